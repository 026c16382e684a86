from swsa_core.files import store
from swsa_core.report import tables
from workflow_scripts._job import job
from workflow_scripts._study import read_tables

with job(snakemake):
    settings, written = snakemake.params.settings, snakemake.output
    auroc, selection = read_tables(snakemake.input.auroc), read_tables(snakemake.input.selection)
    picks = tables.picks(selection, auroc, settings["evaluation.protocols"], settings["strategies"])
    store.write_table(written.table1, tables.table1(selection), tables.TABLE1)
    store.write_table(written.picks, picks, tables.PICKS)
    store.write_table(written.pick_counts, tables.pick_counts(selection), tables.PICK_COUNTS)
    store.write_table(written.ranking, tables.ranking(auroc), tables.RANKING)
