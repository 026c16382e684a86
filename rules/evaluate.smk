rule evaluate:
    input:
        images="<results>/{dataset}/images.csv",
        models=expand("<results>/{{dataset}}/scores/{candidate}.h5", candidate=CANDIDATES),
        prompts=expand("<results>/{{dataset}}/scores/{model}.h5", model=CLIP),
    output:
        auroc="<results>/{dataset}/auroc.csv",
        confidence="<results>/{dataset}/confidence.csv",
        candidates="<results>/{dataset}/candidates.csv",
        quality="<results>/{dataset}/quality.csv",
    log:
        stage_log("evaluate", "dataset"),
    benchmark:
        stage_benchmark("evaluate", "dataset")
    conda:
        "../envs/swsa.yaml"
    threads: 2
    params:
        settings=settings(
            "evaluate",
            "seed",
            "evaluation",
            "candidate_order",
            "source_order",
            "datasets.{dataset}.on_bad_image",
            *LABEL_LEAVES,
        ),
    script:
        "../workflow_scripts/evaluate.py"
