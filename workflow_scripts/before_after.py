from workflow_scripts.job import job

from swsa_core.report.before_after import BEFORE_AFTER, before_after
from swsa_core.report.read_tables import read_tables

with job(snakemake) as mine:
    settings = mine.settings
    auroc = read_tables("auroc", snakemake.input.auroc)
    table = before_after(auroc, settings["pairs"], settings["seed"], settings["bootstrap"])
    BEFORE_AFTER.write(snakemake.output[0], table)
    print(table.to_string(index=False))
