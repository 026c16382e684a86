"""What is recommended for each data set and why, and how that depends on the number of normal images."""


rule support_curve:
    input:
        unpack(embedded_files),
        images=at("images"),
        supports=support_files,
        scores=[at("scores", candidate=slug) for slug in STUDY.candidates if slug not in STUDY.exposed],
        costs=cost_files if STUDY.limited else [],
    output:
        at("support_curve"),
    log:
        stage_log("support_curve", "dataset"),
    benchmark:
        stage_benchmark("support_curve", "dataset")
    conda:
        "../envs/swsa.yaml"
    threads: 2
    params:
        **settings(
            "support_curve",
            later=BUDGET,
            seed="seed",
            k="knn.k",
            strategies="strategies",
            source_order="source_order",
            **{f"{head}.{name}": leaf for head in STUDY.heads for name, leaf in HEADS[head].settings.items()},
            **({"groups": "groups"} | COSTING),
        ),
    script:
        "../workflow_scripts/support_curve.py"


rule recommendation:
    input:
        selection=at("selection"),
        auroc=at("auroc"),
        confidence=at("confidence"),
        candidates=at("candidates"),
        supports=support_files,
        scores=[at("scores", candidate=slug) for slug in STUDY.candidates],
        costs=cost_files,
        curve=curve_file,
    output:
        json=at("recommendation"),
        markdown=at("recommendation_markdown"),
    log:
        stage_log("recommendation", "dataset"),
    benchmark:
        stage_benchmark("recommendation", "dataset")
    conda:
        "../envs/swsa.yaml"
    params:
        **settings(
            "recommendation",
            later=BUDGET,
            seed="seed",
            strategies="strategies",
            source_order="source_order",
            groups="groups",
            exposed="before_after",
            bootstrap="evaluation.bootstrap",
            left_out="left_out",
        ),
    script:
        "../workflow_scripts/recommendation.py"
