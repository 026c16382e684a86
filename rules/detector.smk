"""The detector that is recommended for each data set, as a folder that scores new images."""


rule detector:
    input:
        selection=at("selection"),
        supports=support_files,
        scores=[at("scores", candidate=slug) for slug in STUDY.deployable],
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


# Apart from the detector: its pictures and wording may change, and the detector stays as it is.
rule detector_page:
    input:
        unpack(made_for_tasks),
        detector=at("detector"),
        banks=at("detector_banks"),
        scores=[at("scores", candidate=slug) for slug in STUDY.deployable],
        costs=cost_files,
    output:
        at("detector_page"),
    log:
        stage_log("detector_page", "dataset"),
    benchmark:
        stage_benchmark("detector_page", "dataset")
    conda:
        "../envs/swsa.yaml"
    params:
        **settings("detector_page", groups="groups", preparation="preparation"),
    script:
        "../workflow_scripts/detector_page.py"


rule detectors:
    input:
        per_dataset("detector"),
        per_dataset("detector_page"),
        per_dataset("prompt_detector") if STUDY.clip else [],
    localrule: True
