rule fetch_weights:
    output:
        "resources/weights/{model}.pt",
    log:
        "resources/weights/{model}.log",
    wildcard_constraints:
        model="|".join(PUBLISHED),
    conda:
        "../envs/swsa.yaml"
    params:
        settings=settings("fetch_weights"),
    script:
        "../workflow_scripts/fetch_weights.py"


rule weights:
    input:
        [path for path in diffusion_weights() if path.startswith("resources/weights/")],


localrules:
    fetch_weights,
    weights,
