"""Severity: the synthetic AUROC of each candidate against the strength of the anomalies, of sources that grade theirs."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from swsa_core.detectors.scores import Scores
from swsa_core.evaluation.protocols import compare, mean_of_wins
from swsa_core.files.table import Table

SEVERITY = Table("severity", "candidate task source protocol strength n auroc", numbers="strength n auroc")
MOST_VALUES, BINS = 8, 5  # so many different strengths stay as they are; more are divided into so many bins


def levels(strengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(Level (n,) of each of n strengths, the strength of each level in increasing order).

    A level is a strength where few are different, each of which comes several times; else a bin of about equally many, whose
    strength is their mean.

    >>> levels(np.array([1.0, 0.5, 1.0, 0.5]))
    (array([1, 0, 1, 0]), array([0.5, 1. ]))
    """
    values, level = np.unique(strengths, return_inverse=True)
    if len(values) <= min(MOST_VALUES, len(strengths) // 2):
        return level, values
    edges = np.unique(np.quantile(strengths, np.linspace(0, 1, BINS + 1)[1:-1]))
    level = np.unique(np.searchsorted(edges, strengths, side="right"), return_inverse=True)[1]
    return level, np.bincount(level, weights=strengths) / np.bincount(level)


def severity(
    scores: Mapping[str, Scores], strengths: Mapping[str, Mapping[str, np.ndarray]], protocols: Sequence[str]
) -> pd.DataFrame:
    """Rows of `SEVERITY`: the AUROC of the anomalies of each level of strength against the normals of the protocol.

    scores: {candidate: Scores}; strengths: {source: {task: (n,) of its anomalies, in the order of their file}}. A level is the
    same in all tasks of a source. n: anomalies of the level that the candidate scores.
    """
    rows = [
        {"candidate": candidate, "source": source, **row}
        for source, of_tasks in strengths.items()
        for candidate, one in scores.items()
        for row in _of_source(one, source, of_tasks, protocols)
    ]
    return pd.DataFrame(rows, columns=SEVERITY.columns)


def _of_source(
    scores: Scores, source: str, of_tasks: Mapping[str, np.ndarray], protocols: Sequence[str]
) -> Iterator[dict[str, str | float]]:
    level, values = levels(np.concatenate(list(of_tasks.values())))
    ends = np.cumsum([len(strengths) for strengths in of_tasks.values()])
    for task, mine in zip(of_tasks, np.split(level, ends[:-1]), strict=True):
        for protocol in protocols:
            comparison = compare(scores, task, source, protocol)
            for i in np.unique(mine):
                yield {
                    "task": task,
                    "protocol": protocol,
                    "strength": values[i],
                    "n": int(comparison.counted[mine == i].sum()),
                    "auroc": mean_of_wins(comparison.wins[mine == i]),
                }
