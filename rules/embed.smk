rule embed_images:
    input:
        images="<results>/{dataset}/images.csv",
        weights=weights_file,
    output:
        "<results>/{dataset}/embeddings/{backbone}/images.h5",
    log:
        stage_log("embed_images", "dataset", "backbone"),
    benchmark:
        stage_benchmark("embed_images", "dataset", "backbone")
    conda:
        "../envs/swsa.yaml"
    threads: THREADS
    resources:
        gpu=embedding_gpus,
    params:
        settings=settings("embed_images", "candidates.{backbone}", "precision"),
        # Embedding goes on without an image or ends at it; `evaluate` tells of finished embeddings that lack images.
        untracked=untracked("embed_images", "datasets.{dataset}.on_bad_image"),
    script:
        "../workflow_scripts/embed_images.py"


rule embed_support:
    input:
        supports=support_files,
        weights=weights_file,
    output:
        "<results>/{dataset}/embeddings/{backbone}/support.h5",
    log:
        stage_log("embed_support", "dataset", "backbone"),
    benchmark:
        stage_benchmark("embed_support", "dataset", "backbone")
    conda:
        "../envs/swsa.yaml"
    threads: THREADS
    resources:
        gpu=embedding_gpus,
    params:
        settings=settings("embed_support", "candidates.{backbone}", "precision", "preparation"),
    script:
        "../workflow_scripts/embed_support.py"


rule embed_anomalies:
    input:
        anomalies=anomaly_files,
        weights=weights_file,
    output:
        "<results>/{dataset}/embeddings/{backbone}/anomalies/{source}.h5",
    log:
        stage_log("embed_anomalies", "dataset", "backbone", "source"),
    benchmark:
        stage_benchmark("embed_anomalies", "dataset", "backbone", "source")
    conda:
        "../envs/swsa.yaml"
    threads: THREADS
    resources:
        gpu=embedding_gpus,
    params:
        settings=settings("embed_anomalies", "candidates.{backbone}", "precision"),
    script:
        "../workflow_scripts/embed_anomalies.py"


rule embed_pool:
    input:
        images="<results>/pools/{pool}/images.csv",
        weights=weights_file,
    output:
        "<results>/pools/{pool}/{backbone}.h5",
    log:
        stage_log("embed_pool", "pool", "backbone"),
    benchmark:
        stage_benchmark("embed_pool", "pool", "backbone")
    conda:
        "../envs/swsa.yaml"
    threads: THREADS
    resources:
        gpu=embedding_gpus,
    params:
        settings=settings("embed_pool", "candidates.{backbone}", "precision", "preparation"),
    script:
        "../workflow_scripts/embed_pool.py"
