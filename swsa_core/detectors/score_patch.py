"""The score stage of the head patch: every patch of an image against those of the task's normal images (Roth et al. 2022)."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from swsa_core.basics.seeding import rng
from swsa_core.detectors.head import Head
from swsa_core.detectors.patch import highest_patch_scores, patch_scores, spread_over, to_images
from swsa_core.detectors.requests import score_dataset
from swsa_core.detectors.scores import (
    Anomalies,
    Answer,
    Features,
    Scores,
    anomaly_rows,
    banks_of,
    features_of,
    support_rows,
)
from swsa_core.files.support import Support

DECIDING = 32  # patches of an image that are compared with smaller banks


def score(*, dataset: str, bank: int, seed: int, threads: int = 1, **embeddings: Any) -> Scores:
    """`Scores` by the largest distance of a patch to its nearest normal one.

    bank: the most patches that a bank keeps, as many of each of its images, drawn at random; seed: of that draw. Other
    arguments as of `score_knn.score_dataset`, of patch features (n, patches, d).
    """
    with threadpool_limits(threads):
        return score_dataset(**embeddings, ask=lambda task: partial(_answer, dataset, task, bank, seed))


def _answer(
    dataset: str, task: str, most: int, seed: int, queries: Any, bank: Any, rows: np.ndarray, left_out: np.ndarray
) -> Answer:
    return patch_scores(queries, keep(bank, dataset, task, bank=most, seed=seed), rows, left_out)


def keep(images: Any, dataset: str, task: str, *, bank: int, seed: int) -> np.ndarray:
    """What the bank of a task keeps of its images' patches (m, p, d): the draw of `score`."""
    return _kept(images, bank, rng(seed, dataset, task, "patch bank"))


def against(
    queries: Any, images: Any, own: np.ndarray | None = None, *, bank: int, seed: int, maps: bool = True
) -> Answer:
    """Scores, maps and nearest images of patches (n, p, d) against those of a bank (m, p, d).

    own: as of `Head.against`; bank, seed: as of `score`. What `keep` has kept is kept whole. maps: False where scores alone
    are wanted.
    """
    kept = _kept(images, bank, rng(seed, "patch bank"))
    if own is None and not maps:
        return highest_patch_scores(queries, kept)
    return patch_scores(queries, kept, None, None if own is None else np.asarray(own)[:, None])


def _kept(bank: Any, most: int, generator: np.random.Generator) -> np.ndarray:
    """The patches (m, b, d) of a bank (m, p, d) that it keeps, at most `most` of all."""
    images = np.asarray(bank)
    kept = spread_over(len(images), images.shape[1], most, generator)
    return np.take_along_axis(images, kept[:, :, None], axis=1)


def redraw(
    scores: Scores, *, dataset: str, bank: int, seed: int, supports: Sequence[Support], prepared: Features,
    anomalies: Mapping[str, Anomalies], **unused: Any,
) -> Callable[[Sequence[Support]], Scores]:  # fmt: skip
    """As of `Head.redraw`: of each image only the `DECIDING` patches that are least like the whole bank are compared anew.

    The banks keep the patches of the images that the whole bank keeps. A patch that is like the whole bank and unlike a smaller
    one is missed, so that scores are at most what `score` gives.
    """
    banks = banks_of(supports)
    made, to_support, to_anomalies = {}, [], {}
    for source, one in anomalies.items():
        rows, made[source] = anomaly_rows(source, one.tasks, one.parents, banks)
        to_anomalies[source] = [rows[made[source]["task"] == t] for t in range(len(banks))]
    for t, (task, ids) in enumerate(banks.items()):
        images = np.asarray(features_of(prepared, ids, "support.h5"))
        kept = keep(images, dataset, task, bank=bank, seed=seed)
        to_support.append(to_images(_deciding(images, scores.of_task(scores.support, task)["map"]), kept))
        for source, one in anomalies.items():
            maps = scores.of_task(scores.anomalies[source], task)["map"]
            queries = np.asarray(one.features[to_anomalies[source][t]])
            to_anomalies[source][t] = to_images(_deciding(queries, maps), kept)
    return partial(_redrawn, banks, made, to_support, to_anomalies)


def _deciding(patches: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """The patches (n, t, d) of n images (n, p, d) that are most anomalous by their maps (n, p)."""
    most = np.argpartition(-maps, min(DECIDING, maps.shape[1]) - 1, axis=1)[:, :DECIDING]
    return np.take_along_axis(patches, most[:, :, None], axis=1)


def _redrawn(banks, made, to_support, to_anomalies, supports):
    """`Scores` of subsets of `banks`; to_support, to_anomalies: distances (n, t, m) of each task's images to its bank's."""
    places = [
        np.array([list(whole).index(image_id) for image_id in mine], dtype=int)
        for whole, mine in zip(banks.values(), banks_of(supports).values(), strict=True)
    ]
    of_support, anomalies = [], {}
    for distances, place in zip(to_support, places, strict=True):
        own = np.arange(len(place))[:, None]
        of_support.append(_largest(distances[np.ix_(place, np.arange(distances.shape[1]), place)], own))
    for source, part in made.items():
        found = []
        for t, (distances, place) in enumerate(zip(to_anomalies[source], places, strict=True)):
            new = np.full(distances.shape[2], -1)  # bank row -> row within the subset
            new[place] = np.arange(len(place))
            parents = part["parents"][part["task"] == t]
            kept = (new[parents] >= 0).all(axis=1)
            found.append((new[parents[kept]], _largest(distances[kept][:, :, place], new[parents[kept]])))
        anomalies[source] = {
            "task": np.repeat(np.arange(len(places)), [len(one) for one, _ in found]),
            "parents": np.concatenate([one for one, _ in found]),
            "scores": np.concatenate([one for _, one in found]),
        }
    support = support_rows(supports) | {"scores": np.concatenate(of_support)}
    test = {"image_id": np.empty(0, dtype=object), "scores": np.empty((0, len(places)))}
    return Scores(list(banks), test, support, anomalies)


def _largest(distances: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """Scores (n,) of images whose t patches are so far (n, t, m) from those of m bank images; left_out: (n, l) of these."""
    far = distances.copy()
    for column in left_out.T:
        far[np.arange(len(far)), :, column] = np.inf
    return far.min(axis=2).max(axis=1).astype(np.float64)


HEAD = Head(
    title="patch",
    about="The largest distance of a patch of the image to the nearest patch of any normal image.",
    reference="Roth et al. 2022",
    score=score,
    against=against,
    keep=keep,
    redraw=redraw,
    settings={"bank": "patch.bank", "seed": "seed"},
    patches=True,
    numbers=lambda config: 3 + config["patch"]["grid"] ** 2 // 4,  # the map is in float16
)
