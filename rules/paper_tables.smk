# The tables that this config has results for, {name: the data sets that it is about}. Table 3 is about the anomalies of
# one_vs_closest.
PAPER_TABLES = {"table1": list(DATASETS), "table2": list(DATASETS)}
if "one_vs_closest" in CONFIG["evaluation"]["settings"]:
    PAPER_TABLES |= {"table3": list(DATASETS), "table3_all_tasks": list(DATASETS)}
if CLIP:
    PAPER_TABLES["mvtec_prompts"] = [name for name, spec in DATASETS.items() if datasets.kind_of(spec).textures]
PAPER_TABLES = {name: about for name, about in PAPER_TABLES.items() if about}
LEAVES |= {
    "paper_tables": list(PAPER_TABLES),
    "kinds": {name: spec["kind"] for name, spec in DATASETS.items()},
    "tsne_tasks": {name: TASKS[name][slug] for name, slug in TSNE_TASKS.items()},
}


rule paper_tables:
    input:
        table1=rules.tables.output.table1,
        ranking=rules.tables.output.ranking,
        selection=expand("<results>/{dataset}/selection.csv", dataset=PAPER_TABLES.get("mvtec_prompts", [])),
        total_variation=expand("<results>/{dataset}/total_variation.csv", dataset=PAPER_TABLES.get("table3", [])),
    output:
        tables=report(
            expand("<results>/tables/paper/{table}.csv", table=PAPER_TABLES),
            caption="captions/paper_tables.rst",
            category="Tables",
            subcategory="Paper",
        ),
        typeset=expand("<results>/tables/paper/{table}.{ending}", table=PAPER_TABLES, ending=["md", "tex"]),
    log:
        stage_log("paper_tables"),
    benchmark:
        stage_benchmark("paper_tables")
    conda:
        "../envs/swsa.yaml"
    params:
        settings=settings("paper_tables", "tsne_tasks", "paper_tables", "kinds"),
    script:
        "../workflow_scripts/paper_tables.py"
