from workflow_scripts.job import job

from pathlib import Path

from swsa_core.detectors.cost import of_candidates
from swsa_core.report import figures, severity, tables
from swsa_core.report import style as figure_style
from swsa_core.report.read_pictures import read_sheets
from swsa_core.report.read_supports import read_supports
from swsa_core.report.read_tables import read_costs, read_losses, read_tables
from swsa_core.report.support_curve import support_curve_figure

with job(snakemake) as mine:
    given, settings, folder = snakemake.input, mine.settings, Path(snakemake.output[0])
    settings["results"] = str(folder.parent)  # where this machine has them, also while they lie in object storage
    picks, table1 = tables.PICKS.read(given.picks), tables.TABLE1.read(given.table1)
    supports = read_supports(mine.of_every_task(given.supports))
    drawn = figures.study(
        read_tables("auroc", given.auroc),
        tables.RANKING.read(given.ranking),
        read_tables("confidence", given.confidence),
        table1,
        picks,
        settings["candidate_order"],
        settings["protocols"],
        settings["groups"],
        of_candidates(read_costs(given.costs), settings["groups"]),
    )
    for sheet in read_sheets(picks, supports, given.scores, settings):
        slug = supports[sheet.dataset, sheet.task]["slug"]
        drawn[sheet.dataset, f"contact_sheet.{slug}"] = figures.contact_sheet(sheet)
    of_data_sets = read_tables("severity", given.severity).groupby("dataset", sort=False) if given.severity else ()
    for dataset, rows in of_data_sets:
        figure = severity.severity_figure(
            rows, settings["protocols"][0], settings["candidate_order"], settings["groups"]
        )
        drawn[dataset, "severity"] = figure
    curves = read_tables("support_curve", given.curves).groupby("dataset", sort=False) if given.curves else ()
    for dataset, rows in curves:
        drawn[dataset, "support_curve"] = support_curve_figure(rows)
    trained = read_losses(given.losses, settings["texts"]).groupby("dataset", sort=False) if given.losses else ()
    for dataset, rows in trained:
        drawn[dataset, "training"] = severity.training_figure(rows)
    for (dataset, name), figure in drawn.items():
        (folder / dataset).mkdir(parents=True, exist_ok=True)
        figure_style.save(figure, folder / dataset / name)
    print(f"{len(drawn)} figures in {folder}")
