from swsa_core.mini import CLASSIFIERS, DIFFUSION_MODELS


rule train_mini:
    output:
        weights="resources/mini_models/{model}.safetensors",
        record="resources/mini_models/{model}.json",
    log:
        "resources/mini_models/{model}.log",
    benchmark:
        "resources/mini_models/{model}.tsv"
    wildcard_constraints:
        model="|".join(CLASSIFIERS + DIFFUSION_MODELS),
    conda:
        "../envs/swsa.yaml"
    params:
        settings=settings("mini_models"),
    script:
        "../workflow_scripts/mini_models.py"


rule mini_models:
    input:
        expand("resources/mini_models/{model}.safetensors", model=CLASSIFIERS + DIFFUSION_MODELS),


localrules:
    mini_models,
