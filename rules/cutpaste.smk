rule cutpaste:
    input:
        "<results>/{dataset}/support/{task}.json",
    output:
        "<results>/{dataset}/anomalies/cutpaste/{task}.h5",
    log:
        stage_log("cutpaste", "dataset", "task"),
    benchmark:
        stage_benchmark("cutpaste", "dataset", "task")
    conda:
        "../envs/swsa.yaml"
    params:
        settings=settings("cutpaste", "seed", "sources.cutpaste", "preparation"),
    script:
        "../workflow_scripts/cutpaste.py"
