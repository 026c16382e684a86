"""Evaluation: AUROCs and their intervals on every validation set, and what each strategy picks."""

from swsa_core.evaluation.known import MAX_MEMBERS

# Keys that came later, as LISTING
BUDGET = {"max_members": ("max_members", MAX_MEMBERS)}
BUDGET |= {name: (name, None) for name in ("max_ms", "max_mb", "close_call")}
# What candidates cost decides only where there is a limit, or a close call goes to the cheapest.
COSTING = {"groups": "groups", "exposed": "before_after"} if STUDY.limited else {}


# By the features of the first candidate: close ones say which images to compare.
rule leaks:
    input:
        images=at("images"),
        supports=support_files,
        features=at("image_features", backbone=next(iter(STUDY.backbones))),
    output:
        at("leaks"),
    log:
        stage_log("leaks", "dataset"),
    benchmark:
        stage_benchmark("leaks", "dataset")
    conda:
        "../envs/swsa.yaml"
    params:
        **settings("leaks", **LABELS),
    script:
        "../workflow_scripts/leaks.py"


rule evaluate:
    input:
        images=at("images"),
        leaks=leaks_to_heed,
        models=[at("scores", candidate=slug) for slug in STUDY.candidates],
        prompts=[at("scores", candidate=slug) for slug in STUDY.clip],
        costs=cost_files if STUDY.limited else [],
    output:
        auroc=at("auroc"),
        confidence=at("confidence"),
        candidates=at("candidates"),
        quality=at("quality"),
    log:
        stage_log("evaluate", "dataset"),
    benchmark:
        stage_benchmark("evaluate", "dataset")
    conda:
        "../envs/swsa.yaml"
    threads: 2
    params:
        **settings(
            "evaluate",
            later=later_of_dataset("on_leak") | BUDGET | {"licences": ("declared", {})},
            seed="seed",
            evaluation="evaluation",
            candidate_order="candidate_order",
            source_order="source_order",
            **of_dataset("on_bad_image"),
            **LABELS,
            **({"qualities": "qualities"} if STUDY.leaves["qualities"] else {}),
            **COSTING,
        ),
        untracked=untracked(backbones="candidates"),
    script:
        "../workflow_scripts/evaluate.py"


if STUDY.graded:

    rule severity:
        input:
            scores=[at("scores", candidate=slug) for slug in STUDY.candidates],
            anomalies=graded_files,
        output:
            at("severity"),
        log:
            stage_log("severity", "dataset"),
        benchmark:
            stage_benchmark("severity", "dataset")
        conda:
            "../envs/swsa.yaml"
        params:
            **settings("severity", protocols="evaluation.protocols"),
        script:
            "../workflow_scripts/severity.py"


rule select:
    input:
        auroc=at("auroc"),
        confidence=at("confidence"),
        candidates=at("candidates"),
        quality=at("quality"),
        costs=cost_files if STUDY.limited else [],
    output:
        at("selection"),
    log:
        stage_log("select", "dataset"),
    benchmark:
        stage_benchmark("select", "dataset")
    conda:
        "../envs/swsa.yaml"
    params:
        **settings("select", later=BUDGET, strategies="strategies", protocols="evaluation.protocols", **COSTING),
    script:
        "../workflow_scripts/select.py"
