"""Synthetic anomalies: those that a source generates for each task, and images that tasks sample of pools and of each other."""

from swsa_core.anomalies.source import reconstructing

GENERATE = "../workflow_scripts/generate.py"


# {stage: its source and what it makes}; a source's reconstructions come from the same settings as its anomalies.
GENERATED = {source: (source, "anomalies", "sheet") for source in STUDY.generated}
GENERATED |= {
    reconstructing(source): (source, "reconstructions", "reconstruction_sheet") for source in STUDY.reconstructed
}

for stage, (source, made, sheet) in GENERATED.items():

    rule:
        name:
            stage
        input:
            support=at("support"),
            network=network_files(source),
        output:
            anomalies=at(made, source=source),
            sheet=at(sheet, source=source),
        log:
            stage_log(stage, "dataset", "task"),
        benchmark:
            stage_benchmark(stage, "dataset", "task")
        conda:
            "../envs/swsa.yaml"
        threads: network_threads if SOURCES[source].gpu else 1
        resources:
            gpu=network_gpus if SOURCES[source].gpu else 0,
        params:
            **settings(
                stage,
                seed="seed",
                section=f"sources.{source}",
                preparation="preparation",
                **({"precision": "precision"} if SOURCES[source].gpu else {}),
            ),
        script:
            GENERATE


rule index_pool:
    input:
        inputs_of(pool_paths),
    output:
        at("pool_images"),
    log:
        stage_log("index_pool", "pool"),
    benchmark:
        stage_benchmark("index_pool", "pool")
    conda:
        "../envs/swsa.yaml"
    params:
        **settings("index_pool", paths=pool_paths, seed="seed", section="sources.{pool}"),
    script:
        "../workflow_scripts/index_pool.py"


for pool in STUDY.pools:

    rule:
        name:
            f"sample_{pool}"
        input:
            at("pool_images", pool=pool),
        output:
            at("pool_rows", pool=pool),
        log:
            stage_log(f"sample_{pool}", "dataset"),
        benchmark:
            stage_benchmark(f"sample_{pool}", "dataset")
        conda:
            "../envs/swsa.yaml"
        params:
            **settings("sample_pool", seed="seed", tasks="tasks.{dataset}", support="datasets.{dataset}.support"),
            source=not_tracked(name=pool),
        script:
            "../workflow_scripts/sample_pool.py"


# By the features of the first candidate, as of the leaks.
for source, pool in STUDY.pool_of.items():

    rule:
        name:
            f"sample_{source}"
        input:
            supports=support_files,
            support_features=at("support_features", backbone=next(iter(STUDY.backbones))),
            pool_features=at("pool_features", pool=pool, backbone=next(iter(STUDY.backbones))),
        output:
            at("nearest_rows", source=source),
        log:
            stage_log(f"sample_{source}", "dataset"),
        benchmark:
            stage_benchmark(f"sample_{source}", "dataset")
        conda:
            "../envs/swsa.yaml"
        params:
            **settings("sample_nearest", support="datasets.{dataset}.support", section=f"sources.{source}"),
            source=not_tracked(name=source),
        script:
            "../workflow_scripts/sample_nearest.py"


for source in STUDY.others:

    rule:
        name:
            f"sample_{source}"
        input:
            supports=support_files,
        output:
            at("other_images", source=source),
        log:
            stage_log(f"sample_{source}", "dataset"),
        benchmark:
            stage_benchmark(f"sample_{source}", "dataset")
        conda:
            "../envs/swsa.yaml"
        params:
            **settings("sample_others", seed="seed", support="datasets.{dataset}.support"),
            source=not_tracked(name=source),
        script:
            "../workflow_scripts/sample_others.py"
