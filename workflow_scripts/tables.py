from swsa_core.report import tables
from workflow_scripts._job import job
from workflow_scripts._study import read_tables

with job(snakemake):
    settings, written = snakemake.params.settings, snakemake.output
    auroc, selection = read_tables(snakemake.input.auroc), read_tables(snakemake.input.selection)
    picks = tables.picks(selection, auroc, settings["evaluation.protocols"], settings["strategies"])
    tables.TABLE1.write(written.table1, tables.table1(selection))
    tables.PICKS.write(written.picks, picks)
    tables.PICK_COUNTS.write(written.pick_counts, tables.pick_counts(selection))
    tables.RANKING.write(written.ranking, tables.ranking(auroc))
