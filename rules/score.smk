"""Scores: all images and anomalies of a data set by one candidate, or by all prompts of a CLIP model."""

SCORE = "../workflow_scripts/score.py"


for head, slugs in STUDY.heads.items():

    rule:
        name:
            f"score_{head}"
        input:
            unpack(compared_by(head)),
            images=at("images"),
            supports=support_files,
        output:
            at("scores"),
        log:
            stage_log(f"score_{head}", "dataset", "candidate"),
        benchmark:
            stage_benchmark(f"score_{head}", "dataset", "candidate")
        wildcard_constraints:
            candidate=one_of(slugs),
        conda:
            "../envs/swsa.yaml"
        threads: 2
        params:
            **settings(f"score_{head}", **HEADS[head].settings),
            candidate=lambda wildcards, input: STUDY.candidates[wildcards.candidate]["name"],
        script:
            SCORE


rule score_clip:
    input:
        unpack(lambda wildcards: scored_files(dataset=wildcards.dataset, backbone=wildcards.candidate)),
        images=at("images"),
        supports=support_files,
        weights=weights_file,
    output:
        at("scores"),
    log:
        stage_log("score_clip", "dataset", "candidate"),
    benchmark:
        stage_benchmark("score_clip", "dataset", "candidate")
    wildcard_constraints:
        candidate=one_of(STUDY.clip),
    conda:
        "../envs/swsa.yaml"
    threads: THREADS
    params:
        **settings(
            "score_clip",
            backbone="candidates.{candidate}",
            templates="datasets.{dataset}.templates",
            class_names="class_names.{dataset}",
        ),
    script:
        "../workflow_scripts/score_clip.py"
