import numpy as np

from swsa_core import store
from swsa_core.anomalies.cutpaste import cutpaste_per_image
from swsa_core.anomalies.files import write_anomalies
from swsa_core.errors import InputError
from swsa_core.images import prepared
from swsa_core.seeding import rng
from workflow_scripts._job import job

with job(snakemake):
    config, source = snakemake.config, snakemake.config["sources"]["cutpaste"]
    support = store.read_json(snakemake.input[0])
    seeds = {image_id: prepared(support["paths"][image_id], config["preparation"]) for image_id in support["seed_ids"]}
    generator = rng(config["seed"], support["dataset"], support["task"], "cutpaste")
    anomalies = cutpaste_per_image(seeds, (len(seeds) // 2) ** 2, generator, source["area"], source["aspect"])
    try:
        parents, images, boxes = zip(*anomalies, strict=True)
    except InputError as error:
        raise InputError(f"data set {support['dataset']!r}, task {support['task']!r}: {error}") from None
    write_anomalies(
        snakemake.output[0],
        images,
        np.array(parents)[:, None],
        {"dataset": support["dataset"], "task": support["task"], "source": "cutpaste"},
        boxes=np.array(boxes),
    )
