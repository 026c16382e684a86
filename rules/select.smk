rule select:
    input:
        auroc="<results>/{dataset}/auroc.csv",
        confidence="<results>/{dataset}/confidence.csv",
        candidates="<results>/{dataset}/candidates.csv",
        quality="<results>/{dataset}/quality.csv",
    output:
        "<results>/{dataset}/selection.csv",
    log:
        stage_log("select", "dataset"),
    benchmark:
        stage_benchmark("select", "dataset")
    conda:
        "../envs/swsa.yaml"
    params:
        settings=settings("select", "strategies", "evaluation.protocols"),
    script:
        "../workflow_scripts/select.py"
