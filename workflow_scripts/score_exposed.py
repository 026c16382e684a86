from functools import partial

from swsa_core.datasets import INDEX
from swsa_core.detectors import DEFAULT, score_knn
from swsa_core.detectors.scores import apart
from swsa_core.exposure.scores import score_dataset
from swsa_core.files import store
from swsa_core.files.text import read_json
from workflow_scripts._expose import read_anomalies
from workflow_scripts._score import SAME, describe
from workflow_scripts.job import job


def found_of(chunks, task):
    """{(network, part): (rows, features)} of a task, of the file that holds it."""
    for path in chunks:
        arrays, _ = store.read(path, ["task"])
        mine = arrays["task"] == task
        if mine.any():
            arrays, _ = store.read(path)
            keys = list(zip(arrays["network"].tolist(), arrays["part"].tolist(), strict=True))
            found = {}
            for key in dict.fromkeys(key for key, own in zip(keys, mine, strict=True) if own):
                chosen = mine & (arrays["network"] == key[0]) & (arrays["part"] == key[1])
                found[key] = arrays["row"][chosen], arrays["features"][chosen]
            return found
    raise ValueError(task)


with job(snakemake) as mine:
    given, settings = snakemake.input, mine.settings
    supports = [read_json(path) for path in given.supports]
    known = {path: store.read(path, ["row"])[1] for path in given.exposed}
    store.check_same(known, SAME)
    embedded, before = store.read(given.image_features)
    before["feature_size"] = embedded["features"].shape[1]
    index, readable = INDEX.read(given.images), set(embedded["image_id"])
    test_ids = [image_id for image_id in index.image_id[index.split == "test"] if image_id in readable]
    made = read_anomalies(given, supports, "original")  # whose images are not read
    scores = score_dataset(
        supports,
        test_ids,
        {name: (one.tasks, one.parents) for name, one in made.items()},
        partial(found_of, given.exposed),
        settings["exposure"]["exposure"]["folds"],
        settings["knn"],
    )
    described = describe(before) | {"candidate": snakemake.params.candidate, "head": DEFAULT}
    described |= {"backbone": before["backbone"], "exposure": settings["exposure"]["exposure"]["source"]}
    score_knn.write(snakemake.output[0], apart(scores), described)
