"""A small made-up data set with features and scores, for the tests of score_knn, evaluate and confidence."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from swsa_core.detectors.score_knn import score_dataset
from swsa_core.detectors.scores import Anomalies, Features, apart, reconstructions_of

SPEC = {"kind": "classes", "groups": "exact", "min_group_size": 1}


@dataclass
class Study:
    """Inputs of `score_dataset` for one candidate, as keywords; `index` is the table of images.csv."""

    index: pd.DataFrame
    supports: list
    images: Features
    prepared: Features
    anomalies: dict[str, Anomalies]
    reconstructions: dict[str, Anomalies] = field(default_factory=dict)

    def features(self, embedding, ids):
        """Rows of `images` or `prepared` by image id, without the code under test."""
        features, known = embedding
        return np.array([features[list(known).index(image_id)] for image_id in ids])

    @property
    def test_ids(self):
        return self.index.image_id[self.index.split == "test"].tolist()

    @property
    def scored(self):
        """Anomalies, and reconstructions under the names by which stages score them."""
        return self.anomalies | {reconstructions_of(source): made for source, made in self.reconstructions.items()}

    def scores(self, k=3, **options):
        scores = score_dataset(self.supports, self.images, self.test_ids, self.prepared, self.scored, k, **options)
        scores.attributes["k"] = k
        return apart(scores)


def study(seed=0, sizes=(8, 10), n_seeds=6, n_test=9, d=4, whole_numbers=False):
    """Tasks a, b, … with banks of `sizes`; sources `one` (a parent), `two` (two, sometimes the same), `pool` (none).

    The source `two` has a reconstruction of each seed image.
    seed: of the features, one candidate each; ids and parents are the same for all seeds.
    whole_numbers: features from a small grid, so that distances tie.
    """
    layout, generator = np.random.default_rng(99), np.random.default_rng(seed)
    draw = (lambda n: generator.integers(0, 3, size=(n, d)).astype(float)) if whole_numbers else (
        lambda n: generator.normal(size=(n, d)).astype(np.float32)
    )  # fmt: skip
    tasks = [chr(ord("a") + t) for t in range(len(sizes))]
    supports, records = [], []
    parts = {"one": [], "two": [], "pool": []}
    for task, size in zip(tasks, sizes, strict=True):
        ids = [f"{task}/train{i}" for i in layout.permutation(size)]
        seeds = min(n_seeds, size)
        supports.append({"task": task, "seed_ids": ids[:seeds], "held_out_ids": ids[seeds:]})
        records += [(image_id, task, "train", task) for image_id in sorted(ids)]
        records += [(f"{task}/test{i}", task, "test", task) for i in range(n_test)]
        parts["one"] += [(task, [ids[i % seeds]]) for i in range(7)]
        parts["two"] += [(task, [ids[i], ids[j % seeds]]) for i in range(3) for j in (0, 3, 4)]
        parts["pool"] += [(task, []) for _ in range(11)]
    index = pd.DataFrame(records, columns=["image_id", "class", "split", "group"])
    index["path"] = index.image_id
    image_ids = layout.permutation(index.image_id.tolist())
    support_ids = layout.permutation(
        [image_id for one in supports for image_id in one["seed_ids"] + one["held_out_ids"]]
    )
    anomalies = {}
    for source, rows in parts.items():
        parents = np.empty((len(rows), len(rows[0][1])), dtype=object)
        for row, (_, of) in enumerate(rows):
            parents[row] = of
        tasks_of = np.array([task for task, _ in rows], dtype=object)
        anomalies[source] = Anomalies(draw(len(rows)), tasks_of, parents)
    images, prepared = (Features(draw(len(ids)), ids) for ids in (image_ids, support_ids))
    seeds = [(one["task"], image_id) for one in supports for image_id in one["seed_ids"]]
    tasks_of, ids = (np.array(column, dtype=object) for column in zip(*seeds, strict=True))
    reconstructions = {"two": Anomalies(draw(len(seeds)), tasks_of, ids[:, None])}
    return Study(index, supports, images, prepared, anomalies, reconstructions)
