from workflow_scripts.job import job

from swsa_core.anomalies import SOURCES
from swsa_core.anomalies.pool import OTHER_IMAGES
from swsa_core.anomalies.source import mixtures
from swsa_core.files.support import read_task_supports

with job(snakemake) as mine:
    settings, source = mine.settings, snakemake.params.source["name"]
    n = mixtures(settings["support"]["seeds"])
    chosen = SOURCES[source].others(
        read_task_supports(mine.of_every_task(snakemake.input.supports)), n, settings["seed"]
    )
    for task, images in chosen.groupby("task", sort=False):
        if len(images) < n:
            print(f"{task}: the other tasks have {len(images)} normal images, not {n}")
    OTHER_IMAGES.write(snakemake.output[0], chosen)
