rule score_clip:
    input:
        **rules.score_knn.input,
        weights=weights_file,
    output:
        "<results>/{dataset}/scores/{backbone}.h5",
    log:
        stage_log("score_clip", "dataset", "backbone"),
    benchmark:
        stage_benchmark("score_clip", "dataset", "backbone")
    wildcard_constraints:
        backbone=one_of(CLIP),
    conda:
        "../envs/swsa.yaml"
    threads: THREADS
    params:
        settings=settings(
            "score_clip",
            "candidates.{backbone}",
            "datasets.{dataset}.templates",
            "class_names.{dataset}",
        ),
    script:
        "../workflow_scripts/score_clip.py"
