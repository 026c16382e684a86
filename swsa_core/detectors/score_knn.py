"""The score stage of the head knn: all tasks of a data set in one pass, and the file that holds the result.

Real images get the sum of Eq. 4 against the bank of every task. Support images and synthetic anomalies get their k + 2
nearest bank rows and distances, from which `swsa_core.evaluation.protocols` makes the scores of every protocol.

Layout of results/{dataset}/scores/{candidate}.h5, T tasks in the order of `tasks`:

    tasks                          (T,) text
    test/image_id                  (n,) text
    test/scores                    (n, T) float64
    support/image_id               (s,) text: the banks, in bank order, task after task
    support/task                   (s,) int, row of `tasks`
    support/held_out               (s,) bool
    support/neighbours, distances  (s, k + 2) int, float64: rows within the task's bank, nearest first, -1 at 0 for none;
                                   distances of the kind knn.distance
    anomalies/{source}/task        (n,) int; within a task in the order of the source's file
    anomalies/{source}/parents     (n, P) int, rows within the task's bank, -1 for none
    anomalies/{source}/neighbours, distances
    reconstructions/{source}/…     as of anomalies, of the seed images that a source sent through its network and back;
                                   the parent of each is that image

`Scores` of a CLIP prompt, which has no bank (swsa_core.detectors.score_clip), hold `support/scores` (s,) and
`anomalies/{source}/scores` (n,) float64 in place of `neighbours` and `distances`.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from swsa_core.basics.errors import InputError
from swsa_core.detectors.head import Head
from swsa_core.detectors.knn import l2_normalized, nearest, of_squares, squared_distances, sum_of_nearest
from swsa_core.detectors.scores import (
    COLUMNS,
    MOST_PARENTS,
    Anomalies,
    Answer,
    Features,
    Scores,
    anomaly_rows,
    banks_of,
    features_of,
    groups_of,
    support_rows,
)
from swsa_core.files.support import Support

BLOCK = 10**7  # float32 products of test images and bank rows at a time: 40 MB


def score_dataset(
    supports: Sequence[Support],
    images: Features,
    test_ids: Sequence[str],
    prepared: Features,
    anomalies: Mapping[str, Anomalies],
    k: int = 3,
    distance: str = "squared_l2",
    l2_normalize: bool = False,
    threads: int = 1,
) -> Scores:
    """`Scores` of one candidate for all tasks of a data set.

    supports: per task {"task", "seed_ids", "held_out_ids"}; the bank is seeds + held-out (Eq. 3).
    images: of the original files, with every support image and every test image.
    test_ids: the test images that are scored against every task.
    prepared: of the support images as prepared for the generators.
    anomalies: {source: its synthetic anomalies}.
    k, distance: as for `swsa_core.detectors.knn_score`.
    """
    prepare = l2_normalized if l2_normalize else np.asarray
    bank_ids = banks_of(supports)
    for task, ids in bank_ids.items():
        if len(ids) < k:
            raise InputError(
                f"task {task!r} has a bank of {len(ids)} images, too small for knn.k = {k}: add support images or lower knn.k"
            )
    support = support_rows(supports)
    sizes = np.array([len(bank) for bank in bank_ids.values()])
    real = prepare(features_of(images, support["image_id"], "images.h5"))  # (s, d)
    test = prepare(features_of(images, test_ids, "images.h5"))
    banks = np.split(prepare(features_of(prepared, support["image_id"], "support.h5")), np.cumsum(sizes)[:-1])
    support |= _joined([nearest(bank, bank, k + MOST_PARENTS, distance) for bank in banks], k)
    return Scores(
        tasks=list(bank_ids),
        test={
            "image_id": np.array(test_ids, dtype=object),
            "scores": score_all(test, real, sizes, k, threads, distance),
        },
        support=support,
        anomalies={
            source: _score_source(source, made._replace(features=prepare(made.features)), banks, bank_ids, k, distance)
            for source, made in anomalies.items()
        },
    )


def score_all(
    queries: np.ndarray,
    bank: np.ndarray,
    sizes: np.ndarray | Sequence[int],
    k: int,
    threads: int = 1,
    distance: str = "squared_l2",
) -> np.ndarray:
    """Eq. 4 of every query against every task's bank, (n, T) float64; within a task the order is that of float64.

    queries: (n, d); bank: (sum of sizes, d), the banks one after the other; sizes: (T,), each at least k.
    A float32 product gives each sum of squares to about seven digits. Where two scores of a task are closer than that
    can tell, both are computed again in float64: a few in a hundred. Blocks of tasks are fixed and each is computed by one
    thread, so that the number of threads changes no digit.
    """
    queries, bank, starts = np.asarray(queries), np.asarray(bank), np.concatenate([[0], np.cumsum(sizes)])
    scores = np.empty((len(queries), len(sizes)))
    if scores.size == 0:
        return scores
    centre = bank.mean(axis=0, dtype=np.float64).astype(bank.dtype)
    largest = float(np.abs(bank - centre).max()) or 1.0  # in this unit the squares of any features fit into float32
    scaled = queries - centre
    scaled /= largest
    scaled = scaled.astype(np.float32, copy=False)  # (n, d)
    norms = np.einsum("nd,nd->n", scaled, scaled, dtype=np.float64)
    n_blocks = 2 * -(-len(queries) * len(bank) // (2 * BLOCK))  # even: as much work for each of two threads
    n_tasks = -(-len(sizes) // n_blocks)

    def score_block(first):
        """`n_tasks` tasks from `first` on; the float32 error is taken to be four times the largest of a sample."""
        rows = bank[starts[first] : starts[min(first + n_tasks, len(sizes))]]
        scaled_rows = ((rows - centre) / largest).astype(np.float32)
        row_norms = np.einsum("nd,nd->n", scaled_rows, scaled_rows, dtype=np.float64)
        products = scaled @ (-2 * scaled_rows.T)  # (n, rows)
        products += row_norms.astype(np.float32)
        tolerance = None
        for task in range(first, min(first + n_tasks, len(sizes))):
            a, b = starts[task : task + 2] - starts[first]
            smallest = np.partition(products[:, a:b], k - 1, axis=1)[:, :k]
            found = (smallest.sum(axis=1, dtype=np.float64) + k * norms) * largest**2  # sums of squares
            scale = k * (norms + row_norms[a:b].max()) * largest**2  # of the terms that the rounding is relative to
            if tolerance is None:
                tolerance = 4 * _float32_error(found, scale, queries, rows[a:b], k)
            errors = tolerance * scale
            if distance == "l2":
                found, errors = _sums_of_roots((smallest + norms[:, None]) * largest**2, errors)
            doubtful = np.flatnonzero(overlapping(found, errors))
            found[doubtful] = _exact(np.take(queries, doubtful, axis=0), rows[a:b], k, distance)
            scores[:, task] = found

    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        list(pool.map(score_block, range(0, len(sizes), n_tasks)))
    return scores


def overlapping(values: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Which intervals values ± errors touch another one, (n,) bool: the order of the others is certain."""
    order = np.argsort(values)
    low, high = (values - errors)[order], (values + errors)[order]
    touches = np.zeros(len(values), dtype=bool)
    touches[1:] = np.maximum.accumulate(high)[:-1] >= low[1:]
    touches[:-1] |= np.minimum.accumulate(low[::-1])[::-1][1:] <= high[:-1]
    result = np.empty_like(touches)
    result[order] = touches
    return result


def _sums_of_roots(squares, errors):
    """Sums of the roots of `squares` (n, k), and how far they can be off where a sum of squares is by `errors` (n,)."""
    squares, errors = np.maximum(squares, 0), errors[:, None]
    sums, least, most = (
        np.sqrt(np.maximum(each, 0)).sum(axis=1) for each in (squares, squares - errors, squares + errors)
    )
    return sums, np.maximum(most - sums, sums - least)


def _float32_error(scores, scale, queries, bank, k):
    """The largest error of 256 `scores`, relative to `scale`; at least a quarter of float32's precision."""
    sample = np.unique(np.linspace(0, len(queries) - 1, 256).astype(int))
    errors = np.abs(scores[sample] - _exact(queries[sample], bank, k, "squared_l2"))
    return max((errors / np.maximum(scale[sample], np.finfo(float).tiny)).max(), np.finfo(np.float32).eps / 4)


def _exact(queries, bank, k, distance):
    """`knn_score` without its checks, for many queries at once."""
    smallest = np.partition(squared_distances(queries, bank), k - 1, axis=1)[:, :k]
    return of_squares(smallest, distance).sum(axis=1)


def _score_source(source, made, banks, bank_ids, k, distance):
    """The arrays of one source, task after task; made: its `Anomalies`."""
    rows, part = anomaly_rows(source, made.tasks, made.parents, bank_ids)
    found = [
        nearest(made.features[rows[part["task"] == t]], bank, k + MOST_PARENTS, distance)
        for t, bank in enumerate(banks)
    ]
    return part | _joined(found, k)


def _joined(parts, k):
    """Neighbours and distances of all tasks, one after the other."""
    parts = parts or [(np.empty((0, k + MOST_PARENTS), np.int32), np.empty((0, k + MOST_PARENTS)))]
    neighbours, distances = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return {"neighbours": neighbours, "distances": distances}


def write(path: Path | str, scores: Scores, attributes: Mapping) -> None:
    """Write `Scores` to an HDF5 file; attributes: candidate, model, n_parameters, feature_size, k, …"""
    from swsa_core.files import store

    arrays = {f"{part}/{name}": values for part, columns in scores.parts.items() for name, values in columns.items()}
    store.write(path, {"tasks": np.array(scores.tasks, dtype=object), **arrays}, {**scores.attributes, **attributes})


def read(path: Path | str, sources: Iterable[str] = ()) -> Scores:
    """`Scores` from an HDF5 file, whose anomalies are in the order of `sources`; by name where that is empty.

    A data set may lack one of the sources, which needs other tasks.
    """
    from swsa_core.files import store

    arrays, attributes = store.read(path, needed=COLUMNS)
    groups, anomalies, reconstructions = groups_of(arrays)
    anomalies = {source: anomalies[source] for source in sources or anomalies if source in anomalies}
    tasks = groups[""]["tasks"].tolist()
    return Scores(tasks, groups["test"], groups["support"], anomalies, attributes, reconstructions)


def by_knn(*, dataset: str, knn: dict[str, Any], k: int | None = None, **embeddings: Any) -> Scores:
    """`Scores` by the config's section `knn`, and by `k` in place of its own; dataset is not used."""
    options = knn if k is None else knn | {"k": k}
    return replace(score_dataset(**embeddings, **options), attributes={"k": options["k"]})


def against(
    queries: np.ndarray, bank: np.ndarray, own: np.ndarray | None = None, *, knn: dict[str, Any], k: int | None = None
) -> Answer:
    """Scores of features (n, d) against a bank (m, d), and the nearest rows; own: as of `Head.against`; knn, k: of `by_knn`."""
    prepare = l2_normalized if knn["l2_normalize"] else np.asarray
    own = np.full(len(queries), -1) if own is None else np.asarray(own)
    k = knn["k"] if k is None else k
    rows, distances = nearest(prepare(queries), prepare(bank), k + 1, knn["distance"])
    first = np.where(rows[:, 0] == own, rows[:, 1], rows[:, 0])
    return Answer(sum_of_nearest(rows, distances, k, own[:, None]), nearest=first)


HEAD = Head(
    title="kNN",
    about="The sum of the squared distances to the k nearest normal images (Eq. 4).",
    reference="Bergman et al. 2020",
    score=by_knn,
    against=against,
    settings={"knn": "knn"},
    numbers=lambda config: 2 * (config["knn"]["k"] + MOST_PARENTS),
)
