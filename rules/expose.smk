"""Outlier exposure: networks that are fine-tuned for each task, what they embed, and the scores of that."""


rule expose:
    input:
        unpack(lambda wildcards: made_files(wildcards.dataset, tasks_of_chunk(wildcards))),
        images=at("images"),
        image_features=before_features,
        chunk=lambda wildcards: [
            at("support", dataset=wildcards.dataset, task=task) for task in tasks_of_chunk(wildcards)
        ],
        weights=weights_file,
    output:
        at("exposed"),
    log:
        stage_log("expose", "dataset", "candidate", "chunk"),
    benchmark:
        stage_benchmark("expose", "dataset", "candidate", "chunk")
    wildcard_constraints:
        candidate=one_of(STUDY.exposed),
    conda:
        "../envs/swsa.yaml"
    threads: exposing_threads
    resources:
        gpu=exposing_gpus,
    params:
        **settings(
            "expose",
            seed="seed",
            exposure="exposures.{candidate}",
            precision="precision",
            preparation="preparation",
        ),
        untracked=untracked(k="knn.k"),  # which changes no features
    script:
        "../workflow_scripts/expose.py"


rule score_exposed:
    input:
        unpack(lambda wildcards: made_files(wildcards.dataset, STUDY.tasks[wildcards.dataset])),
        exposed=exposed_files,
        images=at("images"),
        image_features=before_features,
    output:
        at("scores"),
    log:
        stage_log("score_exposed", "dataset", "candidate"),
    benchmark:
        stage_benchmark("score_exposed", "dataset", "candidate")
    wildcard_constraints:
        candidate=one_of(STUDY.exposed),
    conda:
        "../envs/swsa.yaml"
    params:
        **settings("score_exposed", exposure="exposures.{candidate}", knn="knn"),
        candidate=lambda wildcards, input: STUDY.candidates[wildcards.candidate]["name"],
    script:
        "../workflow_scripts/score_exposed.py"
