rule index_images:
    input:
        inputs_of(index_paths),
    output:
        "<results>/{dataset}/images.csv",
    log:
        stage_log("index_images", "dataset"),
    benchmark:
        stage_benchmark("index_images", "dataset")
    conda:
        "../envs/swsa.yaml"
    params:
        settings=settings(
            "index_images",
            "tasks.{dataset}",
            "datasets.{dataset}.real_split",
            "train_seed.{dataset}",
            *LISTING_LEAVES,
            paths=index_paths,
        ),
    script:
        "../workflow_scripts/index_images.py"
