from swsa_core.mini import CLASSIFIERS, CLIP_MODELS, CLIP_TOWER, DIFFUSION_MODELS

MINI_MODELS = CLASSIFIERS + DIFFUSION_MODELS + CLIP_MODELS
TOWER = f"{workflow.basedir}/models/mini/{CLIP_TOWER}.safetensors"


rule train_mini:
    input:
        tower=lambda wildcards: TOWER if wildcards.model in CLIP_MODELS else [],
    output:
        weights="resources/mini_models/{model}.safetensors",
        record="resources/mini_models/{model}.json",
    log:
        "resources/mini_models/{model}.log",
    benchmark:
        "resources/mini_models/{model}.tsv"
    wildcard_constraints:
        model="|".join(MINI_MODELS),
    conda:
        "../envs/swsa.yaml"
    params:
        settings=settings("mini_models"),
    script:
        "../workflow_scripts/mini_models.py"


rule mini_models:
    input:
        expand("resources/mini_models/{model}.safetensors", model=MINI_MODELS),


localrules:
    mini_models,
