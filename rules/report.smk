rule report:
    input:
        images=expand("<results>/{dataset}/images.csv", dataset=DATASETS),
        auroc=expand("<results>/{dataset}/auroc.csv", dataset=DATASETS),
        candidates=expand("<results>/{dataset}/candidates.csv", dataset=DATASETS),
        table1=rules.tables.output.table1,
        picks=rules.tables.output.picks,
        pick_counts=rules.tables.output.pick_counts,
        figures=rules.figures.output[0],
        paper=[rules.paper_tables.output, rules.paper_figures.output] if IN_PAPER else [],
        supports=all_support_files,
        scores=all_score_files,
        anomalies=all_anomaly_files,
    output:
        "<results>/report.html",
    log:
        stage_log("report"),
    benchmark:
        stage_benchmark("report")
    conda:
        "../envs/swsa.yaml"
    params:
        settings=settings(
            "report",
            "config",
            "class_names",
            *(["paper_tables"] if IN_PAPER else []),
        ),
    script:
        "../workflow_scripts/report.py"
