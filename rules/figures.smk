rule figures:
    input:
        auroc=expand("<results>/{dataset}/auroc.csv", dataset=DATASETS),
        confidence=expand("<results>/{dataset}/confidence.csv", dataset=DATASETS),
        table1=rules.tables.output.table1,
        picks=rules.tables.output.picks,
        ranking=rules.tables.output.ranking,
        supports=all_support_files,
        scores=all_score_files,
        anomalies=all_anomaly_files,
    output:
        report(
            directory("<results>/figures"),
            patterns=["{dataset}/{kind}.svg"],
            caption="captions/figures.rst",
            category="Figures",
            subcategory="{dataset}",
        ),
    log:
        stage_log("figures"),
    benchmark:
        stage_benchmark("figures")
    conda:
        "../envs/swsa.yaml"
    params:
        settings=settings(
            "figures",
            "results",
            "dataset_order",
            "candidate_order",
            "evaluation.protocols",
            "preparation",
        ),
    script:
        "../workflow_scripts/figures.py"
