from workflow_scripts.job import job

from functools import lru_cache

import pandas as pd

from swsa_core.datasets import INDEX
from swsa_core.detectors import DEFAULT, score_knn
from swsa_core.detectors.scores import apart, check_listed
from swsa_core.exposure.scores import score_dataset
from swsa_core.files import store
from swsa_core.files.support import read_task_supports
from workflow_scripts._expose import read_anomalies
from workflow_scripts._score import SAME, describe


@lru_cache(maxsize=1)  # the tasks of a file follow one another
def read_chunk(path):
    """{task: {(network, part): (rows, features)}}."""
    arrays, _ = store.read(path)
    names = ("task", "network", "part")
    of_group = pd.DataFrame({name: arrays[name] for name in names}).groupby(list(names), sort=False).indices
    found = {}
    for (task, network, part), place in of_group.items():
        found.setdefault(task, {})[network, part] = arrays["row"][place], arrays["features"][place]
    return found


with job(snakemake) as mine:
    given, settings = snakemake.input, mine.settings
    supports = read_task_supports(given.supports)
    read = {path: store.read(path, ["task"]) for path in given.exposed}
    store.check_same({path: known for path, (_, known) in read.items()}, SAME)
    path_of = {task: path for path, (arrays, _) in read.items() for task in arrays["task"]}
    embedded, before = store.read(given.image_features)
    before["feature_size"] = embedded["features"].shape[1]
    index, readable = INDEX.read(given.images), set(embedded["image_id"])
    check_listed(index, readable, before["skipped"], (given.images, given.image_features))
    test_ids = [image_id for image_id in index.image_id[index.split == "test"] if image_id in readable]
    made = read_anomalies(given, supports, "original")  # whose images are not read
    scores = score_dataset(
        supports,
        test_ids,
        {name: (one.tasks, one.parents) for name, one in made.items()},
        lambda task: read_chunk(path_of[task])[task],
        settings["exposure"]["exposure"]["folds"],
        settings["knn"],
    )
    described = describe(before) | {"candidate": snakemake.params.candidate, "head": DEFAULT}
    described |= {"backbone": before["backbone"], "exposure": settings["exposure"]["exposure"]["source"]}
    score_knn.write(snakemake.output[0], apart(scores), described)
