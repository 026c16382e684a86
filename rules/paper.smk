"""The paper's own tables and figures, and what only they need: t-SNE and total variation in one candidate's features."""


rule tsne:
    input:
        **feature_files(backbone=STUDY.shared[STUDY.space]),
        images=at("images"),
        supports=lambda wildcards: [at("support", dataset=wildcards.dataset, task=STUDY.tsne_tasks[wildcards.dataset])],
        scores=at("scores", candidate=STUDY.space),
    output:
        at("tsne"),
    log:
        stage_log("tsne", "dataset"),
    benchmark:
        stage_benchmark("tsne", "dataset")
    wildcard_constraints:
        dataset=one_of(STUDY.tsne_tasks),
    conda:
        "../envs/swsa.yaml"
    params:
        **settings("tsne", seed="seed", preparation="preparation", source_order="source_order", **LABELS),
    script:
        "../workflow_scripts/tsne.py"


rule total_variation:
    input:
        **feature_files(backbone=STUDY.shared[STUDY.space]),
        images=at("images"),
        auroc=at("auroc"),
        supports=support_files,
    output:
        at("total_variation"),
    log:
        stage_log("total_variation", "dataset"),
    benchmark:
        stage_benchmark("total_variation", "dataset")
    conda:
        "../envs/swsa.yaml"
    params:
        **settings("total_variation", seed="seed", space="figures.space", source_order="source_order", **LABELS),
    script:
        "../workflow_scripts/total_variation.py"


rule paper_tables:
    input:
        table1=rules.tables.output.table1,
        ranking=rules.tables.output.ranking,
        selection=[at("selection", dataset=name) for name in STUDY.paper_tables.get("mvtec_prompts", [])],
        total_variation=[at("total_variation", dataset=name) for name in STUDY.paper_tables.get("table3", [])],
    output:
        tables=report(
            [at("paper_table", table=table) for table in STUDY.paper_tables],
            caption="captions/paper_tables.rst",
            category="Tables",
            subcategory="Paper",
        ),
        typeset=[
            at("paper_typeset", table=table, ending=ending) for table in STUDY.paper_tables for ending in ("md", "tex")
        ],
    log:
        stage_log("paper_tables"),
    benchmark:
        stage_benchmark("paper_tables")
    conda:
        "../envs/swsa.yaml"
    params:
        **settings("paper_tables", tsne_tasks="tsne_tasks", tables="paper_tables", kinds="kinds"),
    script:
        "../workflow_scripts/paper_tables.py"


rule paper_figures:
    input:
        ranking=rules.tables.output.ranking,
        tsne=[at("tsne", dataset=dataset) for dataset in STUDY.tsne_tasks],
        supports=[at("support", dataset=one.dataset, task=one.slug) for one in STUDY.contact_tasks],
        pairs=[at("anomalies", dataset=one.dataset, task=one.slug, source=one.source) for one in STUDY.contact_tasks],
    output:
        report(
            directory(at("paper_figures")),
            patterns=["{kind}.svg"],
            caption="captions/paper_figures.rst",
            category="Figures",
            subcategory="as in the paper",
        ),
    log:
        stage_log("paper_figures"),
    benchmark:
        stage_benchmark("paper_figures")
    conda:
        "../envs/swsa.yaml"
    params:
        **settings(
            "paper_figures",
            dataset_order="dataset_order",
            candidate_order="candidate_order",
            protocols="evaluation.protocols",
            preparation="preparation",
            contact_tasks="contact_tasks",
            space="figures.space",
            rows="figures.rows",
            columns="figures.columns",
        ),
    script:
        "../workflow_scripts/paper_figures.py"


# Made by default for the data sets that the paper is about.
rule paper:
    input:
        rules.paper_tables.output,
        rules.paper_figures.output,
    localrule: True
