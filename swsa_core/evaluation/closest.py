"""The real anomalies that are hardest for a candidate: those of its closest out-class (or defect type)."""

from collections.abc import Container
from typing import NamedTuple

import numpy as np
import pandas as pd

from swsa_core.datasets import real_validation
from swsa_core.datasets.kind import Spec
from swsa_core.detectors.scores import Scores
from swsa_core.evaluation.evaluate import real_wins


class Closest(NamedTuple):
    """The closest group of real anomalies of one task."""

    group: str  # "" where the task has no real anomalies
    image_ids: list[str]  # of its test images, in the order of images.csv


def closest_in_table(
    auroc: pd.DataFrame, index: pd.DataFrame, spec: Spec, candidate: str, embedded: Container[str]
) -> dict[str, Closest]:
    """{task: the group that the table names in its row of one-vs-closest}, for all tasks with real anomalies.

    auroc: the table of `swsa_core.evaluation.evaluate`, with the setting one_vs_closest; index: the table of images.csv;
    spec: the data set's config; embedded: ids of the images that have features.
    With evaluation.closest "candidate" these are the groups of `closest_of_scores`; with "shared" it is the one group
    that is the hardest for all candidates on average, and only the table knows it.
    """
    rows = auroc[
        (auroc["candidate"] == candidate) & (auroc["validation"] == "real") & (auroc["setting"] == "one_vs_closest")
    ]
    return {
        task: Closest(group, _images_of(group, index, spec, task, embedded))
        for task, group in zip(rows["task"], rows["closest"], strict=True)
    }


def closest_of_scores(scores: Scores, index: pd.DataFrame, spec: Spec, task: str) -> Closest:
    """The group with the lowest AUROC against one task, by the candidate's own scores, whatever other candidates there are.

    index: the table of images.csv; spec: the data set's config.
    """
    alone = Scores([task], scores.test | {"scores": scores.test["scores"][:, [scores.tasks.index(task)]]}, {}, {})
    (wins,) = real_wins({"": alone}, index, spec)
    if wins is None or len(wins.groups) == 1:
        return Closest("", [])
    group = wins.groups[1 + int(np.argmin(wins.aurocs[1:, 0]))]
    return Closest(group, _images_of(group, index, spec, task, set(scores.test["image_id"])))


def _images_of(group, index, spec, task, known):
    """The ids of the test images of a group that are among `known`."""
    rows, groups, _ = real_validation(index, spec, task)
    return [image_id for image_id in index["image_id"].iloc[rows[groups == group]] if image_id in known]
