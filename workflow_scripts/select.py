from workflow_scripts.job import job

from swsa_core.evaluation.confidence import CONFIDENCE
from swsa_core.evaluation.consensus import QUALITY
from swsa_core.evaluation.evaluate import AUROC, CANDIDATES
from swsa_core.report.tables import stack
from swsa_core.strategies import of_selection, select
from workflow_scripts._budget import budget_of

with job(snakemake) as mine:
    settings = mine.settings
    given = snakemake.input
    auroc, confidence = AUROC.read(given.auroc), CONFIDENCE.read(given.confidence)
    candidates, quality = CANDIDATES.read(given.candidates), QUALITY.read(given.quality)
    picks = {
        selection: select.select(
            auroc[auroc["selection"] == selection],
            confidence[confidence["selection"] == selection],
            described,
            of_selection(selection, settings["strategies"]),
            settings["protocols"],
            quality[quality["selection"] == selection],
            # prompts share one model
            budget_of(settings, given.costs if selection == "model" else [], described),
        )
        for selection, described in candidates.groupby("selection", sort=False)
    }
    select.SELECTION.write(snakemake.output[0], stack(picks, "selection"))
