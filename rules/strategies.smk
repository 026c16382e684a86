rule strategies:
    input:
        selection=expand("<results>/{dataset}/selection.csv", dataset=DATASETS),
    output:
        table=report("<results>/tables/strategies.csv", caption="captions/strategies.rst", category="Tables"),
        markdown="<results>/tables/strategies.md",
    log:
        stage_log("strategies"),
    benchmark:
        stage_benchmark("strategies")
    conda:
        "../envs/swsa.yaml"
    params:
        settings=settings("strategies", "dataset_order", "seed", "evaluation.bootstrap"),
    script:
        "../workflow_scripts/strategies.py"
