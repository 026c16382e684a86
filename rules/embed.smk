"""Embeddings: images, prepared support images, anomalies and pools through every backbone."""


rule embed_images:
    input:
        images=at("images"),
        weights=weights_file,
    output:
        at("image_features"),
    log:
        stage_log("embed_images", "dataset", "backbone"),
    benchmark:
        stage_benchmark("embed_images", "dataset", "backbone")
    conda:
        "../envs/swsa.yaml"
    threads: embedding_threads
    resources:
        gpu=embedding_gpus,
    params:
        **settings("embed_images", backbone="candidates.{backbone}", precision="precision"),
        # Embedding goes on without an image or ends at it; `evaluate` tells of finished embeddings that lack images.
        untracked=untracked(**of_dataset("on_bad_image")),
    script:
        "../workflow_scripts/embed_images.py"


rule embed_support:
    input:
        supports=support_files,
        weights=weights_file,
    output:
        at("support_features"),
    log:
        stage_log("embed_support", "dataset", "backbone"),
    benchmark:
        stage_benchmark("embed_support", "dataset", "backbone")
    conda:
        "../envs/swsa.yaml"
    threads: embedding_threads
    resources:
        gpu=embedding_gpus,
    params:
        **settings("embed_support", backbone="candidates.{backbone}", precision="precision", preparation="preparation"),
    script:
        "../workflow_scripts/embed_support.py"


rule embed_anomalies:
    input:
        anomalies=anomaly_files,
        weights=weights_file,
    output:
        at("anomaly_features"),
    log:
        stage_log("embed_anomalies", "dataset", "backbone", "source"),
    benchmark:
        stage_benchmark("embed_anomalies", "dataset", "backbone", "source")
    conda:
        "../envs/swsa.yaml"
    threads: embedding_threads
    resources:
        gpu=embedding_gpus,
    params:
        **settings("embed_anomalies", backbone="candidates.{backbone}", precision="precision"),
    script:
        "../workflow_scripts/embed_anomalies.py"


rule embed_pool:
    input:
        images=at("pool_images"),
        weights=weights_file,
    output:
        at("pool_features"),
    log:
        stage_log("embed_pool", "pool", "backbone"),
    benchmark:
        stage_benchmark("embed_pool", "pool", "backbone")
    conda:
        "../envs/swsa.yaml"
    threads: embedding_threads
    resources:
        gpu=embedding_gpus,
    params:
        **settings("embed_pool", backbone="candidates.{backbone}", precision="precision", preparation="preparation"),
    script:
        "../workflow_scripts/embed_pool.py"
