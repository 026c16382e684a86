from workflow_scripts.job import job

from swsa_core.files.text import write_text
from swsa_core.report.read_tables import read_tables
from swsa_core.strategies import compare as strategies

with job(snakemake) as mine:
    settings, written = mine.settings, snakemake.output
    table = strategies.strategies(
        read_tables("selection", snakemake.input.selection), settings["seed"], settings["bootstrap"]
    )
    strategies.STRATEGIES_TABLE.write(written.table, table)
    write_text(written.markdown, strategies.markdown(table))
