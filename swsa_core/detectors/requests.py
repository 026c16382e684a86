"""The score stage of heads that are asked anew for every set of images left out of the bank.

kNN keeps neighbours, from which any protocol makes its scores. Other heads are fitted to a bank or compare parts of images; so
their files hold the scores themselves, with everything left out that `swsa_core.evaluation.protocols` leaves out. The layout
is that of `swsa_core.detectors.score_knn` but for these columns in place of `neighbours` and `distances`:

    support/scores                    (s,) float64, the image itself left out of the bank
    support/scores_in_bank            (s,) nothing left out
    anomalies/{source}/scores         (n,) the anomaly's parents left out
    anomalies/{source}/scores_in_bank (n,) nothing left out
    anomalies/{source}/parent_scores  (n, P) of its parents as normals, all of its parents left out; 0 where there is none
    reconstructions/{source}/…        as of anomalies
    support/map, anomalies/{…}/map    (…, patches) float16, of the head patch: how anomalous each patch is, for `scores`

`parent_scores` stand in the order of `swsa_core.detectors.scores.once_each`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.detectors.scores import (
    Anomalies,
    Answer,
    Features,
    Scores,
    anomaly_rows,
    banks_of,
    features_of,
    once_each,
    support_rows,
)
from swsa_core.files.support import Support

Ask = Callable[[Any, Any, np.ndarray, np.ndarray], Answer]
"""Function of n queries, a bank of m images, the query (r,) of each request and its bank rows left out (r, l), -1 for none."""


def score_dataset(
    supports: Sequence[Support],
    images: Features,
    test_ids: Sequence[str],
    prepared: Features,
    anomalies: Mapping[str, Anomalies],
    ask: Callable[[str], Ask],
) -> Scores:
    """`Scores` of one candidate for all tasks of a data set; arguments but the last as of `score_knn.score_dataset`.

    ask: function of a task to the function that scores its images.
    """
    bank_ids = banks_of(supports)
    for task, ids in bank_ids.items():
        if len(ids) < 2:
            raise InputError(
                f"task {task!r} has a bank of {len(ids)} images, at least 2 are needed: add support images"
            )
    support = support_rows(supports)
    ends = np.cumsum([len(ids) for ids in bank_ids.values()])[:-1]
    real, banks = (
        [features_of(embedded, ids, name) for ids in np.split(support["image_id"], ends)]
        for embedded, name in ((images, "images.h5"), (prepared, "support.h5"))
    )
    asks = [ask(task) for task in bank_ids]
    test = features_of(images, test_ids, "images.h5")
    everything, nothing = np.arange(len(test_ids)), np.full((len(test_ids), 1), -1)
    of_test = [  # a head of one's own need not know what to do without images
        one(test, bank, everything, nothing).scores if len(test_ids) else np.empty(0)
        for one, bank in zip(asks, real, strict=True)
    ]
    parts = [_of_support(one, bank) for one, bank in zip(asks, banks, strict=True)]
    return Scores(
        tasks=list(bank_ids),
        test={"image_id": np.array(test_ids, dtype=object), "scores": np.stack(of_test, axis=1)},
        support=support | _joined(parts),
        anomalies={source: _of_source(source, made, banks, bank_ids, asks) for source, made in anomalies.items()},
    )


def _of_support(ask, bank):
    """The columns of one task's support images."""
    rows = np.arange(len(bank))
    answer = ask(bank, bank, np.tile(rows, 2), np.concatenate([np.full(len(bank), -1), rows])[:, None])
    in_bank, scores = np.split(answer.scores, 2)
    return _columns({"scores": scores, "scores_in_bank": in_bank}, answer.maps, slice(len(bank), None))


def _of_source(source, made, banks, bank_ids, asks):
    """The columns of one source, task after task; made: its `Anomalies`."""
    rows, part = anomaly_rows(source, made.tasks, made.parents, bank_ids)
    found = []
    for task, (ask, bank) in enumerate(zip(asks, banks, strict=True)):
        mine = part["task"] == task
        if not mine.any():
            continue
        parents = once_each(part["parents"][mine])
        n, width = parents.shape
        left_out = np.concatenate([np.full((n, max(width, 1)), -1), parents if width else np.full((n, 1), -1)])
        answer = ask(made.features[rows[mine]], bank, np.tile(np.arange(n), 2), left_out)
        in_bank, scores = np.split(answer.scores, 2)
        of_parents = np.zeros((n, width))
        anomaly, slot = np.nonzero(parents >= 0)
        if len(anomaly):
            of_parents[anomaly, slot] = ask(bank, bank, parents[anomaly, slot], parents[anomaly]).scores
        columns = {"scores": scores, "scores_in_bank": in_bank, "parent_scores": of_parents}
        found.append(_columns(columns, answer.maps, slice(n, None)))
    return part | _joined(found)


def _columns(columns, maps, rows):
    return columns if maps is None else columns | {"map": maps[rows]}


def _joined(parts):
    """The columns of all tasks, one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in (parts[0] if parts else ())}
