"""Tools beside the study: what it would cost, what its images are read as, what interrupted runs left, and the
bundled small models trained anew."""

from swsa_core.files.weights import MINI_WEIGHTS
from swsa_core.mini import CLASSIFIERS, CLIP_MODELS, CLIP_TOWER, DIFFUSION_MODELS

MINI_MODELS = CLASSIFIERS + DIFFUSION_MODELS + CLIP_MODELS
TOWER = str(MINI_WEIGHTS / f"{CLIP_TOWER}.safetensors")


rule plan:
    log:
        stage_log("plan"),
    localrule: True
    conda:
        "../envs/swsa.yaml"
    threads: network_threads
    resources:
        gpu=network_gpus,
    params:
        **settings("plan"),
        config=not_tracked(**STUDY.config),
        untracked=untracked(left_out="left_out"),
    script:
        "../workflow_scripts/plan.py"


# Without an output, like `plan`, so that it runs whenever it is asked for; its page lies beside the report.
rule inspect:
    log:
        stage_log("inspect"),
    priority: 1  # it begins, where other results are asked for as well
    localrule: True
    conda:
        "../envs/swsa.yaml"
    params:
        **settings("inspect"),
        config=not_tracked(**STUDY.config),
    script:
        "../workflow_scripts/inspect.py"


# Without an output, like `plan`: Snakemake's lock of another run does not stop it, so that its script looks for that.
rule clean_partials:
    log:
        stage_log("clean_partials"),
    localrule: True
    conda:
        "../envs/swsa.yaml"
    params:
        **settings("clean_partials", results="results"),
    script:
        "../workflow_scripts/clean_partials.py"


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
        model=one_of(MINI_MODELS),
    conda:
        "../envs/swsa.yaml"
    params:
        **settings("mini_models"),
    script:
        "../workflow_scripts/mini_models.py"


rule mini_models:
    input:
        expand("resources/mini_models/{model}.safetensors", model=MINI_MODELS),
    localrule: True
