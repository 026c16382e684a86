from swsa_core.anomalies import SOURCES
from swsa_core.files import store
from workflow_scripts.job import job

with job(snakemake) as mine:
    pool, settings = snakemake.wildcards.pool, mine.settings
    images = SOURCES[pool].pool.images(settings["section"], settings["seed"])
    store.write_table(snakemake.output[0], images, ["image_id", "path"])
    print(f"{pool}: {len(images)} images")
