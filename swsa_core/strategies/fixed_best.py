"""One pick for all tasks of a data set: whether choosing for each task is worth anything shows in the difference to it."""

import numpy as np
from numpy.typing import ArrayLike

from swsa_core.strategies.evidence import Case, Evidence, Pick, means
from swsa_core.strategies.strategy import SUPPORT, Strategy


def quality(synthetic: ArrayLike) -> np.ndarray:
    """Mean of a candidate's synthetic AUROCs over the tasks of a data set, (c,): one pick for all of them.

    synthetic: (tasks, c) synthetic AUROCs of one source. NaN where a candidate has none at all.
    """
    return means(np.asarray(synthetic, dtype=float))


def pick(evidence: Evidence, case: Case) -> Pick:
    """The candidate with the highest mean."""
    return evidence.highest(evidence.once(_of_all_tasks, case.source, case.protocol))


def _of_all_tasks(evidence: Evidence, source: str, protocol: str) -> np.ndarray:
    return quality([evidence.synthetic[task, source, protocol] for task in evidence.tasks])


STRATEGY = Strategy(
    title="fixed best by {}",
    description="the highest synthetic AUROC averaged over all tasks of the data set",
    reference="",
    sees=SUPPORT,
    pick=pick,
    per_source=True,
    per_protocol=True,
)
