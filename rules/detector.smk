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


rule detectors:
    input:
        per_dataset("detector"),
    localrule: True
