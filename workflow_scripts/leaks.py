from workflow_scripts.job import dataset_spec, job

from functools import lru_cache

from swsa_core.datasets import INDEX
from swsa_core.detectors.scores import Features, check_listed
from swsa_core.evaluation import leaks
from swsa_core.files import store
from swsa_core.files.copies import likeness
from swsa_core.files.images import read_image
from swsa_core.files.support import read_task_supports

with job(snakemake) as mine:
    index = INDEX.read(snakemake.input.images)
    embedded, known = store.read(snakemake.input.features)
    check_listed(index, embedded["image_id"], known["skipped"], (snakemake.input.images, snakemake.input.features))
    path = dict(zip(index.image_id, index.path, strict=True))
    read_training = lru_cache(1)(read_image)  # pairs come by training image
    found = leaks.leaks(
        Features(embedded["features"], embedded["image_id"]),
        index,
        read_task_supports(mine.of_every_task(snakemake.input.supports)),
        dataset_spec(mine.settings),
        lambda one, other: likeness(read_image(path[one]), read_training(path[other])),
    )
    for row in found.itertuples():
        print(f"{row.task}: test image {row.image_id!r} shows the same picture as training image {row.training_id!r}")
    leaks.LEAKS.write(snakemake.output[0], found)
