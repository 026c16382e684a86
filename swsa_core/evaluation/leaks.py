"""Test images that are copies of training images: the test of a task then measures what its bank remembers.

A normal test image that is in the bank scores as if it were perfect, and an anomalous one is leaked or mislabelled.
"""

from collections.abc import Callable, Collection, Sequence
from itertools import chain
from typing import Literal

import numpy as np
import pandas as pd

from swsa_core.basics.errors import InputError
from swsa_core.datasets import real_validation
from swsa_core.datasets.kind import Spec
from swsa_core.detectors.scores import Features, banks_of
from swsa_core.files.support import Support
from swsa_core.files.table import Table

Likeness = Literal["same", "near", ""]
"""Two images hold the same pixels, are near copies of each other, or are neither."""

LEAKS = Table("leaks", "task group normal image_id training_id", numbers="normal")
CLOSE = 0.5  # of the distance from a training image to the next one, in the median: copies are closer than that
NOISE = 1e-3  # of the length of features: what copies may be apart that were embedded in different batches
BLOCK = 1024  # images that are compared with all others at a time


def leaks(
    images: Features,
    index: pd.DataFrame,
    supports: Sequence[Support],
    spec: Spec,
    same: Callable[[str, str], Likeness],
) -> pd.DataFrame:
    """The test images of each task's real validation that are copies of one of its training images, as the table `LEAKS`.

    images: features of the original files by one candidate; index: the table of images.csv; supports: of all tasks, with
    their copies; spec: the data set's config; same: (id of a test image, id of a training image) -> how alike they are, asked
    for pairs whose features are close. A near copy counts where the test image is normal and its features are far closer than
    those of two training images usually are; of an anomaly only the same pixels: a hairline scratch makes a near copy, too.
    """
    training = {
        task: [*bank, *of] for (task, bank), of in zip(banks_of(supports).items(), _copies(supports), strict=True)
    }
    known, place = set(images.image_ids), pd.Index(images.image_ids)
    test_ids = [image_id for image_id in index.image_id[index.split == "test"] if image_id in known]
    train_ids = [image_id for image_id in dict.fromkeys(chain.from_iterable(training.values())) if image_id in known]
    if not test_ids or not train_ids:
        return pd.DataFrame(columns=LEAKS.columns)
    test, train = (images.features[place.get_indexer(ids)] for ids in (test_ids, train_ids))
    close: dict[str, list[str]] = {}
    closest = set()
    for i, j, is_far_closer in close_pairs(test, train):
        close.setdefault(train_ids[j], []).append(test_ids[i])
        closest |= {(test_ids[i], train_ids[j])} if is_far_closer else set()
    found: dict[tuple[str, str], Likeness] = {}
    rows, groups = [], index["group"].to_numpy(dtype=object)
    for task, ids in training.items():
        pairs = [(image_id, of) for of in ids for image_id in close.get(of, ())]
        if not pairs:
            continue
        places, _, normal = real_validation(index, spec, task)
        group_of = dict(zip(index["image_id"].to_numpy()[places], groups[places], strict=True))
        told = {}
        for pair in pairs:
            if pair[0] in group_of and pair[0] not in told:
                found[pair] = found[pair] if pair in found else same(*pair)
                near = found[pair] == "near" and group_of[pair[0]] == normal and pair in closest
                if found[pair] == "same" or near:
                    told[pair[0]] = pair[1]
        rows += [
            (task, group, group == normal, image_id, told[image_id])
            for image_id, group in group_of.items()
            if image_id in told
        ]
    return pd.DataFrame(rows, columns=LEAKS.columns)


def close_pairs(test: np.ndarray, train: np.ndarray) -> list[tuple[int, int, bool]]:
    """Rows of test (n, d) and train (m, d) that may show the same picture: each test image and its nearest training image.

    The third entry says whether they are less than a third as far apart as a training image usually is from the next one.

    Further pairs are those that are much closer than two training images usually are, as a picture may be in several tasks. Of
    a copy that was saved again the features differ: with products on a fixed stage by as much as those of two products.
    """
    centre = train.mean(axis=0)
    test, train = (np.asarray(features - centre, np.float32) for features in (test, train))
    nearest = np.concatenate([_squared(block, train, first).min(axis=1) for first, block in _blocks(train)])
    lengths = np.einsum("nd,nd->n", train, train).mean()
    usual = np.median(nearest) if len(train) > 1 else 0
    limit = max(CLOSE**2 * usual, NOISE**2 * lengths)
    pairs: list[tuple[int, int, bool]] = []
    sure = max(usual / 9, NOISE**2 * lengths)
    for first, block in _blocks(test):
        distances = _squared(block, train)
        close = distances <= limit
        close[np.arange(len(block)), distances.argmin(axis=1)] = True
        rows, columns = np.nonzero(close)
        pairs += zip(
            (rows + first).tolist(), columns.tolist(), (distances[rows, columns] <= sure).tolist(), strict=True
        )
    return pairs


def check_no_leaks(found: pd.DataFrame, dataset: str) -> None:
    """Raise InputError that names the first leak and how many there are, where there is one."""
    if len(found):
        first, n = found.iloc[0], found["image_id"].nunique()
        others = f"; it is the first of {n} such test images" if n > 1 else ""
        raise InputError(
            f"datasets.{dataset}.on_leak: error, but test image {first.image_id!r} of group {first.group!r} shows the same "
            f"picture as the training image {first.training_id!r} of task {first.task!r}{others}: remove them, or set "
            f"datasets.{dataset}.on_leak: drop to test without them"
        )


def without_normals(found: pd.DataFrame, index: pd.DataFrame, spec: Spec) -> dict[str, int]:
    """{task: its normal test images} of the tasks whose normal test images are all among the leaks, which have no real figures.

    found: rows of `LEAKS`; index: the table of images.csv.
    """
    counts = {}
    for task, rows in found[found["normal"]].groupby("task", sort=False):
        places, groups, normal = real_validation(index, spec, task)
        normals = set(index["image_id"].to_numpy()[places[groups == normal]])
        if normals and normals <= set(rows["image_id"]):
            counts[task] = len(normals)
    return counts


def left_out(found: pd.DataFrame) -> dict[str, Collection[str]]:
    """{task: ids of its test images that are copies of training images}."""
    return {task: set(rows["image_id"]) for task, rows in found.groupby("task")}


def _copies(supports):
    return [[copy for group in support.get("copies", ()) for copy in group["copies"]] for support in supports]


def _blocks(features):
    return [(first, features[first : first + BLOCK]) for first in range(0, len(features), BLOCK)]


def _squared(rows, train, own=None):
    """Squared distances (n, m) of rows (n, d) to train (m, d); infinite of a training image to itself from row `own` on."""
    squares = [np.einsum("nd,nd->n", features, features) for features in (rows, train)]
    distances = squares[0][:, None] + squares[1] - 2 * rows @ train.T
    if own is not None:
        distances[np.arange(len(rows)), np.arange(own, own + len(rows))] = np.inf
    return distances
