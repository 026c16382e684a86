rule total_variation:
    input:
        images="<results>/{dataset}/images.csv",
        auroc="<results>/{dataset}/auroc.csv",
        supports=support_files,
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
        "<results>/{dataset}/total_variation.csv",
    log:
        stage_log("total_variation", "dataset"),
    benchmark:
        stage_benchmark("total_variation", "dataset")
    conda:
        "../envs/swsa.yaml"
    params:
        settings=settings("total_variation", "seed", "figures.space", "source_order", *LABEL_LEAVES),
    script:
        "../workflow_scripts/total_variation.py"
