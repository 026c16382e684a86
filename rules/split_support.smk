rule split_support:
    input:
        inputs_of(support_paths),
    output:
        "<results>/{dataset}/support/{task}.json",
    log:
        stage_log("split_support", "dataset", "task"),
    benchmark:
        stage_benchmark("split_support", "dataset", "task")
    conda:
        "../envs/swsa.yaml"
    params:
        settings=settings(
            "split_support",
            "seed",
            "tasks.{dataset}.{task}",
            "datasets.{dataset}.support",
            *LISTING_LEAVES,
            paths=support_paths,
        ),
        # As in embed_images; and the official split of the real test images has no part in the support.
        untracked=untracked("split_support", "datasets.{dataset}.on_bad_image", "datasets.{dataset}.real_split"),
    script:
        "../workflow_scripts/split_support.py"
