from workflow_scripts.job import dataset_spec, job, progress

import time

from swsa_core.datasets import INDEX
from swsa_core.evaluation import evaluate, total_variation
from swsa_core.evaluation.closest import closest_in_table
from workflow_scripts._score import read_embeddings

with job(snakemake) as mine:
    dataset, settings = snakemake.wildcards.dataset, mine.settings
    spec, space = dataset_spec(settings), settings["space"]
    index = INDEX.read(snakemake.input.images)
    auroc = evaluate.AUROC.read(snakemake.input.auroc)
    embeddings, _ = read_embeddings(snakemake.input, mine.of_every_task(snakemake.input.supports))
    supports, images, anomalies = (embeddings[name] for name in ("supports", "images", "anomalies"))
    real = closest_in_table(auroc, index, spec, space, set(images.image_ids))
    started = time.perf_counter()
    table = total_variation.total_variation(
        supports,
        images,
        anomalies,
        real,
        space,
        settings["seed"],
        dataset,
        progress=progress(f"total variation {dataset}", "tasks"),
    )
    print(f"total variation of {len(real)} tasks: {time.perf_counter() - started:.1f} s")
    total_variation.TOTAL_VARIATION.write(snakemake.output[0], table)
