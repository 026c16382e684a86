from swsa_core.files import store
from swsa_core.report.tables import stack
from swsa_core.strategies import of_selection, select
from workflow_scripts.job import job

TEXT = (
    ["selection", "task", "candidate", "validation", "protocol", "setting", "n_anomalies", "closest", "model"]
    + ["weights_sha256", "transform", "strategy"]
)  # fmt: skip

with job(snakemake) as mine:
    settings = mine.settings
    given = snakemake.input
    auroc, confidence, candidates, quality = (
        store.read_table(path, text=TEXT) for path in (given.auroc, given.confidence, given.candidates, given.quality)
    )
    picks = {
        selection: select.select(
            auroc[auroc["selection"] == selection],
            confidence[confidence["selection"] == selection],
            mine,
            of_selection(selection, settings["strategies"]),
            settings["protocols"],
            quality[quality["selection"] == selection],
        )
        for selection, mine in candidates.groupby("selection", sort=False)
    }
    store.write_table(snakemake.output[0], stack(picks, "selection"), ["selection", *select.COLUMNS])
