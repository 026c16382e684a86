"""Data: official data sets and weights fetched, images indexed, support sets drawn."""

from swsa_core.datasets import fetch
from swsa_core.files.downloads import PUBLISHED, published_at


rule index_images:
    input:
        inputs_of(index_paths),
    output:
        at("images"),
    log:
        stage_log("index_images", "dataset"),
    benchmark:
        stage_benchmark("index_images", "dataset")
    conda:
        "../envs/swsa.yaml"
    params:
        **settings(
            "index_images",
            paths=index_paths,
            later=READING,
            tasks="tasks.{dataset}",
            **of_dataset("real_split"),
            train_seed="train_seed.{dataset}",
            **LISTING,
        ),
    script:
        "../workflow_scripts/index_images.py"


for batch in BATCHES:

    rule:
        name:
            f"split_support{batch.ending}"
        input:
            inputs_of(batch.support_paths),
        output:
            batch.at("support"),
        log:
            batch.place(stage_log, "split_support"),
        benchmark:
            batch.place(stage_benchmark, "split_support")
        conda:
            "../envs/swsa.yaml"
        params:
            **settings(
                "split_support",
                paths=batch.support_paths,
                later=READING,
                of=batch.of,
                seed="seed",
                **({"tasks": "batches.{dataset}.{chunk}"} if batch.of else {"task": "tasks.{dataset}.{task}"}),
                **of_dataset("support"),
                **LISTING,
            ),
            # As in embed_images; the official split of the real test images has no part in the support; and how many images the
            # banks need is only checked.
            untracked=untracked(
                **of_dataset("on_bad_image", "real_split"),
                of=batch.of,
                k="knn.k",
                protocols="evaluation.protocols",
                sources="source_order",
            ),
        script:
            "../workflow_scripts/split_support.py"


rule fetch_archive:
    output:
        own("resources/datasets/{archive}"),
    log:
        "resources/datasets/{archive}.log",
    wildcard_constraints:
        archive=one_of(fetch.published_files()),
    localrule: True
    conda:
        "../envs/swsa.yaml"
    params:
        **settings("fetch_archive"),
    script:
        "../workflow_scripts/fetch_archive.py"


# The data set itself is no output: Snakemake would delete it before running the rule again.
rule fetch_dataset:
    input:
        lambda wildcards: outside(fetch.files(fetch.published(STUDY.config)[wildcards.key])),
    output:
        touch(own("resources/datasets/{key}.unpacked")),
    log:
        "resources/datasets/{key}.log",
    wildcard_constraints:
        key=SLUG,
    localrule: True
    conda:
        "../envs/swsa.yaml"
    params:
        **settings("fetch_dataset"),
        config=not_tracked(**STUDY.config),
    script:
        "../workflow_scripts/fetch_dataset.py"


# The marks go when all is done, so that a data set that is removed later is fetched again.
rule datasets:
    input:
        lambda wildcards: outside(f"resources/datasets/{key}.unpacked" for key in checked(fetch.to_fetch, STUDY.config)),
    log:
        "resources/datasets/datasets.log",
    localrule: True
    conda:
        "../envs/swsa.yaml"
    shell:
        "(for mark in {input}; do rm $mark; done) > {log} 2>&1"


rule fetch_weights:
    output:
        own("resources/weights/{model}.pt"),
    log:
        "resources/weights/{model}.log",
    wildcard_constraints:
        model=one_of(PUBLISHED),
    localrule: True
    conda:
        "../envs/swsa.yaml"
    params:
        **settings("fetch_weights"),
    script:
        "../workflow_scripts/fetch_weights.py"


# Without an output, so that it runs whenever it is asked for: what libraries have fetched is in their own caches.
rule weights:
    input:
        [path for source in STUDY.generated for path in network_files(source) if published_at(path)],
    log:
        stage_log("weights"),
    localrule: True
    conda:
        "../envs/swsa.yaml"
    params:
        **settings("weights", candidates="candidates", guides="guides", missing="missing"),
    script:
        "../workflow_scripts/weights.py"
