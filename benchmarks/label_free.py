"""Measures of a candidate that need neither labels nor made anomalies: baselines for the rules of benchmarks/selection.py."""

from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans

from swsa_core.basics.seeding import rng
from swsa_core.config.candidates import head_of
from swsa_core.config.study import Study
from swsa_core.detectors import HEADS
from swsa_core.detectors.knn import l2_normalized
from swsa_core.detectors.scores import Features, banks_of, features_of
from swsa_core.files import layout, store
from swsa_core.files.support import read_task_supports
from swsa_core.metrics import auroc

FOLDS = 5  # of the normal images, for `npd`
CLUSTERS = 3  # of the normal images, for `leave_cluster_out`
COLUMNS = ["task", "candidate", "npd", "leave_cluster_out"]
Against = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (queries, bank) -> scores


def of_dataset(planned: Study, dataset: str) -> pd.DataFrame:
    """Table of `COLUMNS` of one data set of a study that is finished up to its embeddings.

    The clusters are those of the features of the first backbone, the same for all candidates.
    """
    place = partial(layout.at, planned.results, dataset=dataset)
    banks = banks_of(read_task_supports(place("support", task=task) for task in planned.tasks[dataset]))
    first = next(iter(planned.backbones))
    plain = {slug: of_support(place("support_features", backbone=slug), "features") for slug in planned.backbones}
    clusters = {
        task: clusters_of(features_of(plain[first], ids, first), planned.config["seed"]) for task, ids in banks.items()
    }
    rows = []
    for slug, candidate in planned.candidates.items():
        backbone, head = planned.shared[slug], HEADS[head_of(candidate)]
        against = partial(head.against, **{name: at(planned.config, path) for name, path in head.settings.items()})
        features = plain[backbone]
        if head.patches:
            grid = planned.grids[backbone]
            features = of_support(place("support_patches", backbone=backbone, grid=grid), "patches")
        for task, ids in banks.items():
            bank = np.asarray(features_of(features, ids, backbone), np.float32)
            generator = rng(planned.config["seed"], dataset, task, "npd")
            measured = npd(against, bank, generator), leave_cluster_out(against, bank, clusters[task])
            rows.append((task, candidate["name"], *measured))
    return pd.DataFrame(rows, columns=COLUMNS)


def of_support(path: str, name: str) -> Features:
    arrays, _ = store.read(path)
    return Features(arrays[name], arrays["image_id"])


def at(config: dict[str, Any], path: str) -> Any:
    """The value of a config at a dotted path."""
    return reduce(lambda section, key: section[key], path.split("."), config)


def npd(against: Against, bank: np.ndarray, generator: np.random.Generator) -> float:
    """How far apart the scores of noise and of held-out normal images lie, in their standard deviations.

    After the normalised pseudo discrepancy of AutoUAD (Dai and Fan, ICLR 2025), which compares a validation set of normal data
    with one of an isotropic Gaussian: here in the space of the features, as noise images would be told by every candidate; as
    wide in each feature as the normal images (bank: (s, d), or (s, p, d) patches). Each fold is scored against the others.
    """
    of_normals, of_noise = [], []
    for out in np.array_split(generator.permutation(len(bank)), FOLDS):
        rest = np.delete(bank, out, axis=0)
        axes = tuple(range(bank.ndim - 1))
        noise = rest.mean(axes) + rest.std(axes) * generator.standard_normal(bank[out].shape)
        of_normals.append(against(bank[out], rest).scores)
        of_noise.append(against(noise.astype(bank.dtype), rest).scores)
    normals, noises = np.concatenate(of_normals), np.concatenate(of_noise)
    spread = np.sqrt(normals.var() + noises.var())
    return float((noises.mean() - normals.mean()) / max(spread, np.finfo(float).tiny))


def clusters_of(features: np.ndarray, seed: int) -> list[np.ndarray]:
    """Rows of each cluster (k-means of the normalised features (s, d)) that has two images at least, half of all at most."""
    labels = KMeans(CLUSTERS, n_init=10, random_state=seed).fit_predict(l2_normalized(features))
    clusters = [np.flatnonzero(labels == label) for label in range(CLUSTERS)]
    return [rows for rows in clusters if 2 <= len(rows) <= len(labels) / 2]


def leave_cluster_out(against: Against, bank: np.ndarray, clusters: list[np.ndarray]) -> float:
    """Mean over the clusters of the AUROC of its images, as anomalies, against all others, each left out of the bank itself.

    bank: (s, d) or (s, p, d). 0.5 without a cluster: such a task says nothing.
    """
    found = []
    for out in clusters:
        rest = np.delete(bank, out, axis=0)
        normals = against(rest, rest, np.arange(len(rest))).scores
        scores = np.concatenate([normals, against(bank[out], rest).scores])
        found.append(auroc(scores, np.arange(len(scores)) >= len(normals)))
    return float(np.mean(found)) if found else 0.5
