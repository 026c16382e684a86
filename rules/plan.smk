rule plan:
    log:
        stage_log("plan"),
    conda:
        "../envs/swsa.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
    params:
        settings=settings("plan"),
    script:
        "../workflow_scripts/plan.py"


localrules:
    plan,
