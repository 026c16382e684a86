"""Scores: all images and anomalies of a data set by one candidate, or by all prompts of a CLIP model."""


rule score_knn:
    input:
        **feature_files(),
        images=at("images"),
        supports=support_files,
    output:
        at("scores"),
    log:
        stage_log("score_knn", "dataset", "backbone"),
    benchmark:
        stage_benchmark("score_knn", "dataset", "backbone")
    wildcard_constraints:
        backbone=one_of(STUDY.candidates),
    conda:
        "../envs/swsa.yaml"
    threads: 2
    params:
        **settings("score_knn", knn="knn"),
    script:
        "../workflow_scripts/score_knn.py"


rule score_clip:
    input:
        **rules.score_knn.input,
        weights=weights_file,
    output:
        at("scores"),
    log:
        stage_log("score_clip", "dataset", "backbone"),
    benchmark:
        stage_benchmark("score_clip", "dataset", "backbone")
    wildcard_constraints:
        backbone=one_of(STUDY.clip),
    conda:
        "../envs/swsa.yaml"
    threads: THREADS
    params:
        **settings(
            "score_clip",
            backbone="candidates.{backbone}",
            templates="datasets.{dataset}.templates",
            class_names="class_names.{dataset}",
        ),
    script:
        "../workflow_scripts/score_clip.py"
