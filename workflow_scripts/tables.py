from workflow_scripts.job import job

from swsa_core.report import tables
from swsa_core.report.read_tables import read_tables

with job(snakemake) as mine:
    settings, written = mine.settings, snakemake.output
    auroc, selection = read_tables("auroc", snakemake.input.auroc), read_tables("selection", snakemake.input.selection)
    picks = tables.picks(selection, auroc, settings["protocols"], settings["strategies"])
    tables.TABLE1.write(written.table1, tables.table1(selection))
    tables.PICKS.write(written.picks, picks)
    tables.PICK_COUNTS.write(written.pick_counts, tables.pick_counts(selection))
    tables.RANKING.write(written.ranking, tables.ranking(auroc))
