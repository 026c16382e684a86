from swsa_core.files import store
from swsa_core.report import tables
from swsa_core.report.read import read_tables
from workflow_scripts.job import job

with job(snakemake) as mine:
    settings, written = mine.settings, snakemake.output
    auroc, selection = read_tables("auroc", snakemake.input.auroc), read_tables("selection", snakemake.input.selection)
    picks = tables.picks(selection, auroc, settings["protocols"], settings["strategies"])
    store.write_table(written.table1, tables.table1(selection), tables.TABLE1)
    store.write_table(written.picks, picks, tables.PICKS)
    store.write_table(written.pick_counts, tables.pick_counts(selection), tables.PICK_COUNTS)
    store.write_table(written.ranking, tables.ranking(auroc), tables.RANKING)
