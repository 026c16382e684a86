from swsa_core.files import store
from swsa_core.strategies import compare as strategies
from workflow_scripts._job import job
from workflow_scripts._study import read_tables

with job(snakemake):
    settings, written = snakemake.params.settings, snakemake.output
    table = strategies.strategies(
        read_tables(snakemake.input.selection), settings["seed"], settings["evaluation.bootstrap"]
    )
    store.write_table(written.table, table, strategies.COLUMNS)
    store.write_text(written.markdown, strategies.markdown(table))
