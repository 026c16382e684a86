"""Tables of the study: Table 1, recommendations, rankings, and strategies with intervals over tasks."""


rule tables:
    input:
        auroc=per_dataset("auroc"),
        selection=per_dataset("selection"),
    output:
        table1=report(at("table1"), caption="captions/table1.rst", category="Tables"),
        picks=report(at("picks"), caption="captions/picks.rst", category="Tables"),
        pick_counts=report(at("pick_counts"), caption="captions/pick_counts.rst", category="Tables"),
        ranking=report(at("ranking"), caption="captions/ranking.rst", category="Tables"),
    log:
        stage_log("tables"),
    benchmark:
        stage_benchmark("tables")
    conda:
        "../envs/swsa.yaml"
    params:
        **settings("tables", dataset_order="dataset_order", strategies="strategies", protocols="evaluation.protocols"),
    script:
        "../workflow_scripts/tables.py"


rule strategies:
    input:
        selection=per_dataset("selection"),
    output:
        table=report(at("strategies"), caption="captions/strategies.rst", category="Tables"),
        markdown=at("strategies_markdown"),
    log:
        stage_log("strategies"),
    benchmark:
        stage_benchmark("strategies")
    conda:
        "../envs/swsa.yaml"
    params:
        **settings("strategies", dataset_order="dataset_order", seed="seed", bootstrap="evaluation.bootstrap"),
    script:
        "../workflow_scripts/strategies.py"


if STUDY.exposed:

    rule before_after:
        input:
            auroc=per_dataset("auroc"),
        output:
            report(at("before_after"), caption="captions/before_after.rst", category="Tables"),
        log:
            stage_log("before_after"),
        benchmark:
            stage_benchmark("before_after")
        conda:
            "../envs/swsa.yaml"
        params:
            **settings("before_after", pairs="before_after", seed="seed", bootstrap="evaluation.bootstrap"),
        script:
            "../workflow_scripts/before_after.py"
