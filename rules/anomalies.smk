"""Synthetic anomalies: those that a source generates for each task, and images that tasks sample of pools and of each other."""

from swsa_core.anomalies.source import inverting, reconstructing, training

GENERATE = "../workflow_scripts/generate.py"
INVERT = "../workflow_scripts/invert_text_guided.py"
TRAIN = "../workflow_scripts/train_text_guided.py"


# Before a source that trains networks generates: its seed images are inverted, and each text has a network trained.
for source, trained in STUDY.trained.items():
    stage, section = inverting(source), f"sources.{source}"

    for batch in BATCHES:

        rule:
            name:
                f"{stage}{batch.ending}"
            input:
                support=batch.at("support"),
                network=network_files(source),
            output:
                batch.at("ways", source=source),
            log:
                batch.place(stage_log, stage),
            benchmark:
                batch.place(stage_benchmark, stage)
            conda:
                "../envs/swsa.yaml"
            threads: network_threads
            resources:
                gpu=network_gpus,
            params:
                **settings(
                    stage,
                    preparation="preparation",
                    precision="precision",
                    **{f"source.{key}": f"{section}.{key}" for key in trained.inverted_by},
                ),
            script:
                INVERT

    stage, (network, losses) = training(source), trained_names(source)
    of_task = () if trained.shared(STUDY.config["sources"][source]) else ("task",)

    rule:
        name:
            stage
        input:
            ways=ways_to_train_on(source),
            network=network_files(source),
            clip=guide_files(source),
        output:
            network=at(network, source=source),
            losses=at(losses, source=source),
        log:
            stage_log(stage, "dataset", *of_task, "text"),
        benchmark:
            stage_benchmark(stage, "dataset", *of_task, "text")
        conda:
            "../envs/swsa.yaml"
        threads: network_threads
        resources:
            gpu=network_gpus,
        params:
            **settings(
                stage,
                seed="seed",
                precision="precision",
                guide=f"guides.{source}",
                text=f"texts.{source}.{{text}}",
                **{f"source.{key}": f"{section}.{key}" for key in trained.trained_by},
            ),
        script:
            TRAIN


# {stage: its source and what it makes}; a source's reconstructions come from the same settings as its anomalies.
GENERATED = {source: (source, "anomalies", "sheet") for source in STUDY.generated}
GENERATED |= {
    reconstructing(source): (source, "reconstructions", "reconstruction_sheet") for source in STUDY.reconstructed
}

for stage, (source, made, sheet) in GENERATED.items():

    for batch in BATCHES:

        rule:
            name:
                f"{stage}{batch.ending}"
            input:
                **(trained_files(source, batch) if made == "anomalies" else {}),
                support=batch.first("support"),
                network=network_files(source),
            output:
                anomalies=batch.at(made, source=source),
                sheet=batch.at(sheet, source=source),
            log:
                batch.place(stage_log, stage),
            benchmark:
                batch.place(stage_benchmark, stage)
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
