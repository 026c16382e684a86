"""The scores file of a candidate that is fine-tuned for each task, from the features of its networks.

A score is the sum of the Euclidean distances to the k nearest images of the bank (App. A.3). Test images have the whole support
set for a bank, as it is. The network of a fold scores its fold's images, as prepared, and anomalies of other sources; its bank
is the rest of the support set, so that what is scored is never in it. These scores are told in units of the mean over the
fold's images, so that those of several networks can be put in one order.

The layout is that of `swsa_core.detectors.score_knn` but for these columns in place of `neighbours` and `distances`:

    support/scores                  (s,) float64, by the network of the image's fold
    support/network                 (s,) int, its fold
    anomalies/{source}/scores       (n,) mean over the networks that may score it, 0 where none may
    anomalies/{source}/by_network   (n, folds) float64, by each of them
    anomalies/{source}/counted      (n, folds) bool, whether that network may
    reconstructions/{source}/…      as of anomalies
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.detectors.knn import knn_score, l2_normalized
from swsa_core.detectors.scores import Scores, anomaly_rows, banks_of, support_rows
from swsa_core.exposure.folds import BANK, SUPPORT, TEST, WHOLE, folds_of
from swsa_core.files.support import Support

Found = Mapping[tuple[int, str], tuple[np.ndarray, np.ndarray]]
"""{(network, part): rows (r,) of the part, and their features (r, d)} of one task."""


def score_dataset(
    supports: Sequence[Support],
    test_ids: Sequence[str],
    made: Mapping[str, tuple[np.ndarray, np.ndarray]],
    found_of: Callable[[str], Found],
    folds: int,
    knn: Mapping[str, Any],
) -> Scores:
    """`Scores` of one candidate for all tasks of a data set.

    made: {source: task names (n,) and parents (n, P) of its anomalies}, in whose order, within a task, rows of a part count;
    found_of: function of a task to what its networks embedded; knn: the config's section.
    """
    banks = banks_of(supports)
    for task, bank in banks.items():
        check_bank(task, len(bank), folds, knn["k"])
    parts = {source: anomaly_rows(source, *origins, banks)[1] for source, origins in made.items()}
    empty = {source: np.zeros((len(part["task"]), folds)) for source, part in parts.items()}
    support, of_test = support_rows(supports), []
    support |= {"scores": np.zeros(len(support["task"])), "network": np.zeros(len(support["task"]), dtype=int)}
    anomalies = {
        source: part | {"by_network": empty[source], "counted": np.zeros(empty[source].shape, dtype=bool)}
        for source, part in parts.items()
    }
    for t, task in enumerate(banks):
        found, rows = _prepared(found_of(task), knn), np.flatnonzero(support["task"] == t)
        test = found.get((WHOLE, TEST))  # none where the data set has no test images
        of_test.append(_score(test[1], found[WHOLE, BANK][1], knn) if test else np.zeros(0))
        fold_of = folds_of(len(rows), folds)
        support["network"][rows] = fold_of
        for fold in range(folds):
            own, bank = (found[fold, SUPPORT][1][mine] for mine in (fold_of == fold, fold_of != fold))
            normal = _score(own, bank, knn)
            unit = float(normal.mean()) or 1.0
            support["scores"][rows[fold_of == fold]] = normal / unit
            for source, part in anomalies.items():
                if (fold, source) in found and len(found[fold, source][0]):
                    which, features = found[fold, source]
                    place = np.flatnonzero(part["task"] == t)[which]
                    part["by_network"][place, fold] = _score(features, bank, knn) / unit
                    part["counted"][place, fold] = True
    for part in anomalies.values():
        part["scores"] = part["by_network"].sum(axis=1) / np.maximum(part["counted"].sum(axis=1), 1)
    test = {"image_id": np.array(test_ids, dtype=object), "scores": np.stack(of_test, axis=1)}
    return Scores(list(banks), test, support, anomalies)


def check_bank(task: str, n: int, folds: int, k: int) -> None:
    """Raise InputError unless a bank of n images has k left without those of a fold."""
    if n - -(-n // folds) < k:
        raise InputError(
            f"task {task!r} has a bank of {n} images, and without one of {folds} folds fewer than knn.k = {k}: add support "
            "images, or lower knn.k"
        )


def _prepared(found, knn):
    prepare = l2_normalized if knn["l2_normalize"] else np.asarray
    return {key: (rows, prepare(features)) for key, (rows, features) in found.items()}


def _score(queries, bank, knn):
    return knn_score(queries, bank, knn["k"], distance=knn["distance"])
