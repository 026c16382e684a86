# (data set, slug of the task) of Figure 2, which shows what diffusion made
CONTACT_TASKS = [
    (dataset, task)
    for dataset, slugs in checked(figure_tasks, "contact_sheets", CONFIG["figures"]["contact_sheets"], TASKS).items()
    for task in slugs
    if "diffusion" in SOURCES
]
LEAVES["contact_tasks"] = [list(task) for task in CONTACT_TASKS]  # in their order, which inputs do not keep


rule paper_figures:
    input:
        ranking=rules.tables.output.ranking,
        tsne=expand("<results>/{dataset}/tsne.csv", dataset=TSNE_TASKS),
        supports=[f"<results>/{dataset}/support/{task}.json" for dataset, task in CONTACT_TASKS],
        pairs=[f"<results>/{dataset}/anomalies/diffusion/{task}.h5" for dataset, task in CONTACT_TASKS],
    output:
        report(
            directory("<results>/paper_figures"),
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
        settings=settings(
            "paper_figures",
            "dataset_order",
            "candidate_order",
            "evaluation.protocols",
            "preparation",
            "contact_tasks",
            "figures.space",
            "figures.rows",
            "figures.columns",
        ),
    script:
        "../workflow_scripts/paper_figures.py"
