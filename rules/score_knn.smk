rule score_knn:
    input:
        images="<results>/{dataset}/images.csv",
        supports=support_files,
        image_features="<results>/{dataset}/embeddings/{backbone}/images.h5",
        support_features="<results>/{dataset}/embeddings/{backbone}/support.h5",
        anomaly_features=expand(
            "<results>/{{dataset}}/embeddings/{{backbone}}/anomalies/{source}.h5",
            source=TASK_SOURCES,
        ),
        pool_features=expand("<results>/pools/{pool}/{{backbone}}.h5", pool=POOL_SOURCES),
        pool_rows=expand("<results>/{{dataset}}/anomalies/{pool}.csv", pool=POOL_SOURCES),
    output:
        "<results>/{dataset}/scores/{backbone}.h5",
    log:
        stage_log("score_knn", "dataset", "backbone"),
    benchmark:
        stage_benchmark("score_knn", "dataset", "backbone")
    wildcard_constraints:
        backbone=one_of(CANDIDATES),
    conda:
        "../envs/swsa.yaml"
    threads: 2
    params:
        settings=settings("score_knn", "knn"),
    script:
        "../workflow_scripts/score_knn.py"
