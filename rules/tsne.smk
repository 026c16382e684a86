from swsa_core.config.figure_tasks import figure_tasks

# {data set: slug of the task in Figure 4 and Table 3}, and the candidate whose features they are about, by its slug
TSNE_TASKS = {
    dataset: slugs[0]
    for given in ({}, CONFIG["figures"]["tsne"])
    for dataset, slugs in checked(figure_tasks, "tsne", given, TASKS).items()
}
SPACE = next(slug for slug, candidate in CANDIDATES.items() if candidate["name"] == CONFIG["figures"]["space"])


rule tsne:
    input:
        images="<results>/{dataset}/images.csv",
        supports=lambda wildcards: [f"<results>/{wildcards.dataset}/support/{TSNE_TASKS[wildcards.dataset]}.json"],
        scores=f"<results>/{{dataset}}/scores/{SPACE}.h5",
        image_features=f"<results>/{{dataset}}/embeddings/{SPACE}/images.h5",
        support_features=f"<results>/{{dataset}}/embeddings/{SPACE}/support.h5",
        anomaly_features=expand(
            "<results>/{{dataset}}/embeddings/{space}/anomalies/{source}.h5",
            space=SPACE,
            source=TASK_SOURCES,
        ),
        pool_features=expand("<results>/pools/{pool}/{space}.h5", pool=POOL_SOURCES, space=SPACE),
        pool_rows=expand("<results>/{{dataset}}/anomalies/{pool}.csv", pool=POOL_SOURCES),
    output:
        "<results>/{dataset}/tsne.csv",
    log:
        stage_log("tsne", "dataset"),
    benchmark:
        stage_benchmark("tsne", "dataset")
    wildcard_constraints:
        dataset=one_of(TSNE_TASKS),
    conda:
        "../envs/swsa.yaml"
    params:
        settings=settings("tsne", "seed", "preparation", "source_order", *LABEL_LEAVES),
    script:
        "../workflow_scripts/tsne.py"
