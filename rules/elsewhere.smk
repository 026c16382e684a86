"""Detectors that run elsewhere: the images that they are to score, and the scores that come back."""


rule to_score:
    input:
        unpack(made_for_tasks),
        images=at("images"),
        image_features=first_features,
    output:
        manifest=at("to_score"),
        images=directory(at("to_score_images")),
    log:
        stage_log("to_score", "dataset"),
    benchmark:
        stage_benchmark("to_score", "dataset")
    conda:
        "../envs/swsa.yaml"
    params:
        **settings("to_score", preparation="preparation"),
    script:
        "../workflow_scripts/to_score.py"


rule images_to_score:
    input:
        per_dataset("to_score"),
    localrule: True


rule score_given:
    input:
        unpack(made_for_tasks),
        images=at("images"),
        image_features=first_features,
        manifest=at("to_score"),
        scores=given_scores,
    output:
        at("scores"),
    log:
        stage_log("score_given", "dataset", "candidate"),
    benchmark:
        stage_benchmark("score_given", "dataset", "candidate")
    wildcard_constraints:
        candidate=one_of(STUDY.given),
    conda:
        "../envs/swsa.yaml"
    params:
        **settings("score_given"),
        candidate=lambda wildcards, input: STUDY.candidates[wildcards.candidate]["name"],
    script:
        "../workflow_scripts/score_given.py"
