from swsa_core.anomalies.pool import sample_pool
from swsa_core.files import store
from workflow_scripts.job import job

with job(snakemake) as mine:
    dataset, settings = snakemake.wildcards.dataset, mine.settings
    source = snakemake.params.source["name"]
    n = (settings["support"]["seeds"] // 2) ** 2
    pool = store.read_table(snakemake.input[0], ["image_id", "path"], text=["image_id", "path"])
    rows = sample_pool(len(pool), n, settings["tasks"].values(), settings["seed"], dataset, source)
    store.write_table(snakemake.output[0], rows, ["task", "row"])
