import os
import sys

from snakemake.utils import min_version

min_version("9.27")

# The library is imported from the workflow's own directory, by rules, jobs and their environments alike; also where another
# Snakefile uses this one as a module.
HERE = str(workflow.current_basedir)
sys.path.insert(0, HERE)
os.environ.update(PYTHONPATH=os.pathsep.join(dict.fromkeys(filter(None, [HERE, os.environ.get("PYTHONPATH")]))))


# A complete config given with --configfile replaces the demo's: Snakemake would merge the two key by key.
if not workflow.overwrite_configfiles:

    configfile: f"{HERE}/config.yaml"


include: "rules/study.smk"
include: "rules/tracking.smk"
include: "rules/paths.smk"
include: "rules/inputs.smk"
include: "rules/inputs_of_sources.smk"
include: "rules/data.smk"
include: "rules/anomalies.smk"
include: "rules/embed.smk"
include: "rules/score.smk"
include: "rules/expose.smk"
include: "rules/elsewhere.smk"
include: "rules/cost.smk"
include: "rules/evaluate.smk"
include: "rules/recommendation.smk"
include: "rules/detector.smk"
include: "rules/tables.smk"
include: "rules/paper.smk"
include: "rules/report.smk"
include: "rules/tools.smk"


rule all:
    default_target: True
    input:
        at("report"),
        per_dataset("recommendation"),
        rules.tables.output,
        rules.strategies.output,
        rules.figures.output,
        [at("before_after")] if STUDY.exposed else [],
        rules.paper.input if STUDY.in_paper else [],
        gone_files,
    localrule: True


# Snakemake removes the outputs of a job before it runs again: of one with several tasks, the finished files stay.
onstart:
    kept.keep(made_by_tasks() if STUDY.tasks_per_job > 1 else [])


onerror:
    kept.forget(made_by_tasks())


onsuccess:
    kept.forget(made_by_tasks())
    targets = set(workflow.dag_settings.targets)
    if not targets or "all" in targets:
        tell_recommendations()
        print(f"\nThe report: {whereabouts('report')}")
