from swsa_core import select, store
from swsa_core.tables import stack
from workflow_scripts._job import job

TEXT = (
    ["selection", "task", "candidate", "validation", "protocol", "setting", "n_anomalies", "closest", "model"]
    + ["weights_sha256", "transform", "strategy"]
)  # fmt: skip

with job(snakemake):
    settings = snakemake.params.settings
    given = snakemake.input
    auroc, confidence, candidates, quality = (
        store.read_table(path, text=TEXT) for path in (given.auroc, given.confidence, given.candidates, given.quality)
    )
    picks = {
        selection: select.select(
            auroc[auroc["selection"] == selection],
            confidence[confidence["selection"] == selection],
            mine,
            [*select.strategies_of(selection, settings["strategies"]), "best"],
            settings["evaluation.protocols"],
            quality[quality["selection"] == selection],
        )
        for selection, mine in candidates.groupby("selection", sort=False)
    }
    store.write_table(snakemake.output[0], stack(picks, "selection"), ["selection", *select.COLUMNS])
