from swsa_core.datasets import fetch as fetch_dataset


rule fetch_archive:
    output:
        "resources/datasets/{archive}",
    log:
        "resources/datasets/{archive}.log",
    wildcard_constraints:
        archive=one_of(fetch_dataset.published_files()),
    conda:
        "../envs/swsa.yaml"
    params:
        settings=settings("fetch_archive"),
    script:
        "../workflow_scripts/fetch_archive.py"


# The data set itself is no output: Snakemake would delete it before running the rule again.
rule fetch_dataset:
    input:
        lambda wildcards: fetch_dataset.files(fetch_dataset.published(CONFIG)[wildcards.key]),
    output:
        touch("resources/datasets/{key}.done"),
    log:
        "resources/datasets/{key}.log",
    wildcard_constraints:
        key=SLUG,
    conda:
        "../envs/swsa.yaml"
    params:
        settings=settings("fetch_dataset"),
    script:
        "../workflow_scripts/fetch_dataset.py"


rule datasets:
    input:
        marks_of_absent,


localrules:
    fetch_archive,
    fetch_dataset,
    datasets,
