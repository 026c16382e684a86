"""What one image costs each backbone, and each of its heads, on this machine: what the report says in ms and MB."""


rule cost:
    input:
        supports=first_support_files,
        weights=weights_file,
    output:
        at("costs"),
    log:
        stage_log("cost", "backbone"),
    benchmark:
        stage_benchmark("cost", "backbone")
    wildcard_constraints:
        backbone=one_of(STUDY.heads_of),
    conda:
        "../envs/swsa.yaml"
    threads: embedding_threads
    resources:
        gpu=embedding_gpus,
    params:
        **settings(
            "cost",
            datasets=STUDY.tasks,
            backbone="candidates.{backbone}",
            precision="precision",
            heads="heads_of.{backbone}",
            grid="grid_of.{backbone}",
            **{f"{head}.{name}": leaf for head in STUDY.heads for name, leaf in HEADS[head].settings.items()},
        ),
    script:
        "../workflow_scripts/cost.py"
