rule tables:
    input:
        auroc=expand("<results>/{dataset}/auroc.csv", dataset=DATASETS),
        selection=expand("<results>/{dataset}/selection.csv", dataset=DATASETS),
    output:
        table1=report("<results>/tables/table1.csv", caption="captions/table1.rst", category="Tables"),
        picks=report("<results>/tables/picks.csv", caption="captions/picks.rst", category="Tables"),
        pick_counts=report("<results>/tables/pick_counts.csv", caption="captions/pick_counts.rst", category="Tables"),
        ranking=report("<results>/tables/ranking.csv", caption="captions/ranking.rst", category="Tables"),
    log:
        stage_log("tables"),
    benchmark:
        stage_benchmark("tables")
    conda:
        "../envs/swsa.yaml"
    params:
        settings=settings("tables", "dataset_order", "strategies", "evaluation.protocols"),
    script:
        "../workflow_scripts/tables.py"
