"""The detector that is recommended for each data set, as a folder that scores new images."""


rule detector:
    input:
        selection=at("selection"),
        supports=support_files,
        scores=[at("scores", candidate=slug) for slug in STUDY.candidates if slug not in STUDY.exposed],
        features=[at("image_features", backbone=slug) for slug in STUDY.heads_of],
        patches=[at("image_patches", backbone=slug, grid=grid) for slug, grid in STUDY.grids.items()],
    output:
        at("detector"),
        at("detector_banks"),
        at("detector_card"),
    log:
        stage_log("detector", "dataset"),
    benchmark:
        stage_benchmark("detector", "dataset")
    conda:
        "../envs/swsa.yaml"
    params:
        **settings(
            "detector",
            strategies="strategies",
            backbones="candidates",
            groups="groups",
            **{f"{head}.{name}": leaf for head in STUDY.heads for name, leaf in HEADS[head].settings.items()},
        ),
    script:
        "../workflow_scripts/detector.py"


for slug in STUDY.clip:  # one, or none

    rule prompt_detector:
        input:
            selection=at("selection"),
            supports=support_files,
            scores=at("scores", candidate=slug),
            features=at("image_features", backbone=slug),
        output:
            at("prompt_detector"),
            at("prompt_detector_banks"),
            at("prompt_detector_card"),
        log:
            stage_log("prompt_detector", "dataset"),
        benchmark:
            stage_benchmark("prompt_detector", "dataset")
        conda:
            "../envs/swsa.yaml"
        params:
            **settings(
                "prompt_detector",
                strategies="strategies",
                backbones="candidates",
                templates="datasets.{dataset}.templates",
                class_names="class_names.{dataset}",
            ),
        script:
            "../workflow_scripts/prompt_detector.py"


rule detectors:
    input:
        per_dataset("detector"),
        per_dataset("prompt_detector") if STUDY.clip else [],
    localrule: True
