"""Figures of each data set, and the report that shows them with the recommendations."""


rule figures:
    input:
        auroc=per_dataset("auroc"),
        confidence=per_dataset("confidence"),
        table1=rules.tables.output.table1,
        picks=rules.tables.output.picks,
        ranking=rules.tables.output.ranking,
        supports=first_support_files,
        scores=all_score_files,
        costs=cost_files,
        anomalies=first_anomaly_files,
        severity=per_dataset("severity") if STUDY.graded else [],
        curves=all_curve_files,
        losses=all_trained_losses,
    output:
        report(
            directory(at("figures")),
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
        **settings(
            "figures",
            datasets=STUDY.tasks,
            results="results",
            dataset_order="dataset_order",
            candidate_order="candidate_order",
            groups="groups",
            protocols="evaluation.protocols",
            preparation="preparation",
            **({"texts": "texts"} if STUDY.trained else {}),
        ),
    script:
        "../workflow_scripts/figures.py"


rule report:
    input:
        images=per_dataset("images"),
        leaks=per_dataset("leaks"),
        auroc=per_dataset("auroc"),
        candidates=per_dataset("candidates"),
        table1=rules.tables.output.table1,
        picks=rules.tables.output.picks,
        pick_counts=rules.tables.output.pick_counts,
        recommendations=per_dataset("recommendation"),
        figures=rules.figures.output[0],
        paper=[rules.paper_tables.output, rules.paper_figures.output] if STUDY.in_paper else [],
        supports=first_support_files,
        scores=all_score_files,
        costs=cost_files,
        before_after=[at("before_after")] if STUDY.exposed else [],
        anomalies=first_anomaly_files,
        sheets=sheet_files,
    output:
        at("report"),
    log:
        stage_log("report"),
    benchmark:
        stage_benchmark("report")
    conda:
        "../envs/swsa.yaml"
    params:
        **settings(
            "report",
            datasets=STUDY.tasks,
            config="config",
            class_names="class_names",
            groups="groups",
            **({"paper_tables": "paper_tables"} if STUDY.in_paper else {}),
            **({"left_out": "left_out"} if STUDY.left_out else {}),
        ),
    script:
        "../workflow_scripts/report.py"
