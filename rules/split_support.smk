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
    script:
        "../workflow_scripts/split_support.py"
