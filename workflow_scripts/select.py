from swsa_core import select, store
from workflow_scripts._job import job

with job(snakemake):
    settings = snakemake.params.settings
    text = ["task", "candidate", "validation", "protocol", "setting", "n_anomalies", "closest"]
    picks = select.select(
        store.read_table(snakemake.input.auroc, text=text),
        store.read_table(snakemake.input.confidence, text=["task", "candidate", "validation", "protocol"]),
        store.read_table(snakemake.input.candidates, text=["candidate", "model"]),
        [*settings["strategies"], "best"],
        settings["evaluation.protocols"],
    )
    store.write_table(snakemake.output[0], picks, select.COLUMNS)
