rule index_pool:
    input:
        inputs_of(pool_paths),
    output:
        "<results>/pools/{pool}/images.csv",
    log:
        stage_log("index_pool", "pool"),
    benchmark:
        stage_benchmark("index_pool", "pool")
    conda:
        "../envs/swsa.yaml"
    params:
        settings=settings("index_pool", "seed", "sources.{pool}", paths=pool_paths),
    script:
        "../workflow_scripts/index_pool.py"


rule sample_tiny_imagenet:
    input:
        "<results>/pools/tiny_imagenet/images.csv",
    output:
        "<results>/{dataset}/anomalies/tiny_imagenet.csv",
    log:
        stage_log("sample_tiny_imagenet", "dataset"),
    benchmark:
        stage_benchmark("sample_tiny_imagenet", "dataset")
    conda:
        "../envs/swsa.yaml"
    params:
        settings=settings("sample_tiny_imagenet", "seed", "tasks.{dataset}", "datasets.{dataset}.support"),
    script:
        "../workflow_scripts/sample_tiny_imagenet.py"


use rule sample_tiny_imagenet as sample_procedural with:
    input:
        "<results>/pools/procedural/images.csv",
    output:
        "<results>/{dataset}/anomalies/procedural.csv",
    log:
        stage_log("sample_procedural", "dataset"),
    benchmark:
        stage_benchmark("sample_procedural", "dataset")
