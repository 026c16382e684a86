rule diffusion:
    input:
        support="<results>/{dataset}/support/{task}.json",
        weights=diffusion_weights,
    output:
        anomalies="<results>/{dataset}/anomalies/diffusion/{task}.h5",
        sheet="<results>/{dataset}/anomalies/diffusion/{task}.png",
    log:
        stage_log("diffusion", "dataset", "task"),
    benchmark:
        stage_benchmark("diffusion", "dataset", "task")
    conda:
        "../envs/swsa.yaml"
    threads: THREADS
    resources:
        gpu=GPUS,
    params:
        settings=settings("diffusion", "seed", "sources.diffusion", "preparation", "precision"),
    script:
        "../workflow_scripts/diffusion.py"
