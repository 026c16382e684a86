import os
import sys

from snakemake.utils import min_version

min_version("9.27")

# The library is imported from the workflow's own directory, by rules, jobs and their environments alike.
sys.path.insert(0, str(workflow.basedir))
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [sys.path[0], os.environ.get("PYTHONPATH")])))


# A complete config given with --configfile replaces the demo's: Snakemake would merge the two key by key.
if not workflow.overwrite_configfiles:

    configfile: f"{workflow.basedir}/config.yaml"


include: "rules/common.smk"
include: "rules/index_images.smk"
include: "rules/split_support.smk"
include: "rules/cutpaste.smk"
include: "rules/weights.smk"
include: "rules/datasets.smk"
include: "rules/diffusion.smk"
include: "rules/tiny_imagenet.smk"
include: "rules/embed.smk"
include: "rules/score_knn.smk"
include: "rules/score_clip.smk"
include: "rules/evaluate.smk"
include: "rules/select.smk"
include: "rules/strategies.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/tsne.smk"
include: "rules/total_variation.smk"
include: "rules/paper_tables.smk"
include: "rules/paper_figures.smk"
include: "rules/report.smk"
include: "rules/mini_models.smk"
include: "rules/plan.smk"


localrules:
    all,
    paper,


# The paper's tables and figures; made by default for the data sets that it is about.
rule paper:
    input:
        rules.paper_tables.output,
        rules.paper_figures.output,


rule all:
    default_target: True
    input:
        "<results>/report.html",
        rules.tables.output,
        rules.strategies.output,
        rules.figures.output,
        rules.paper.input if IN_PAPER else [],


onsuccess:
    if set(workflow.dag_settings.targets) <= {"all"}:
        print(f"\nThe report: {os.path.abspath(CONFIG['results'])}/report.html")
