from workflow_scripts.job import job

from swsa_core.anomalies import SOURCES
from swsa_core.anomalies.pool import POOL_IMAGES, POOL_ROWS, sample_pool, whole_pool

with job(snakemake) as mine:
    dataset, settings = snakemake.wildcards.dataset, mine.settings
    source = snakemake.params.source["name"]
    n = (settings["support"]["seeds"] // 2) ** 2
    pool = POOL_IMAGES.read(snakemake.input[0])
    tasks = settings["tasks"].values()
    if SOURCES[source].labelled:
        rows = whole_pool(len(pool), tasks, dataset, source)
    else:
        rows = sample_pool(len(pool), n, tasks, settings["seed"], dataset, source)
    POOL_ROWS.write(snakemake.output[0], rows)
