"""The scores of a detector of several candidates, as those of one candidate."""

from collections.abc import Sequence

import numpy as np

from swsa_core.detectors.scores import Scores
from swsa_core.detectors.together import scale_of, together
from swsa_core.evaluation.protocols import LEADING, compare, normal_scores


def as_one(scores: Sequence[Scores]) -> Scores:
    """`Scores` of candidates together, by the protocol `LEADING` alone and without test images; of one candidate its own.

    Anomalies that some member does not score are left out.
    """
    if len(scores) == 1:
        return scores[0]
    first = scores[0]
    normals = [np.stack([normal_scores(one, task) for one in scores], axis=1) for task in first.tasks]
    scales = [scale_of(of_task) for of_task in normals]
    of_normals = [together(of_task, scale) for of_task, scale in zip(normals, scales, strict=True)]
    anomalies = {}
    for source, part in first.anomalies.items():
        kept, found = [], []
        for number, (task, scale) in enumerate(zip(first.tasks, scales, strict=True)):
            rows = np.flatnonzero(part["task"] == number)
            if len(rows):
                members = np.stack([compare(one, task, source, LEADING).scores for one in scores], axis=1)
                finite = np.isfinite(members).all(axis=1)
                kept.append(rows[finite])
                found.append(together(members[finite], scale))
        rows = np.concatenate(kept)
        anomalies[source] = {name: part[name][rows] for name in ("task", "parents")} | {"scores": np.concatenate(found)}
    places = {name: first.support[name] for name in ("image_id", "task", "held_out")}
    test = {"image_id": np.empty(0, dtype=object), "scores": np.empty((0, len(first.tasks)))}
    return Scores(first.tasks, test, places | {"scores": np.concatenate(of_normals)}, anomalies)
