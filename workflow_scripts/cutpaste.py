import numpy as np

from swsa_core.anomalies.cutpaste import by_config, cutpaste_per_image
from swsa_core.anomalies.made import write_anomalies
from swsa_core.basics.errors import InputError
from swsa_core.basics.seeding import rng
from swsa_core.files import store
from swsa_core.files.images import prepared
from workflow_scripts._job import job

with job(snakemake):
    settings = snakemake.params.settings
    support = store.read_json(snakemake.input[0])
    preparation = settings["preparation"]
    seeds = {image_id: prepared(support["paths"][image_id], preparation) for image_id in support["seed_ids"]}
    generator = rng(settings["seed"], support["dataset"], support["task"], "cutpaste")
    anomalies = cutpaste_per_image(seeds, (len(seeds) // 2) ** 2, generator, by_config(settings["sources.cutpaste"]))
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
