from swsa_core.files.downloads import published_at


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


# Without an output, so that it runs whenever it is asked for: what libraries have fetched is in their own caches.
rule weights:
    input:
        [path for path in diffusion_weights() if published_at(path)],
    log:
        stage_log("weights"),
    conda:
        "../envs/swsa.yaml"
    params:
        settings=settings("weights", "candidates"),
    script:
        "../workflow_scripts/weights.py"


localrules:
    fetch_weights,
    weights,
