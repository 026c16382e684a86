from workflow_scripts.job import job

from swsa_core.anomalies import SOURCES
from swsa_core.anomalies.pool import POOL_IMAGES

with job(snakemake) as mine:
    pool, settings = snakemake.wildcards.pool, mine.settings
    images = SOURCES[pool].pool.images(settings["section"], settings["seed"])
    POOL_IMAGES.write(snakemake.output[0], images)
    print(f"{pool}: {len(images)} images")
