"""Which source of synthetic anomalies the recommendation heeds, and what the study's other tasks say about a candidate.

Averages over sources, or over ranks by them, were measured and did worse than the best source alone (docs/selection.md).
"""

from collections.abc import Mapping

import numpy as np

from swsa_core.anomalies import SOURCES
from swsa_core.strategies.evidence import means

SATURATED = 0.995  # mean AUROC over the tasks from which on a candidate has nothing left to show
MANY = 4  # candidates of which each is saturated: the source cannot tell which is the best


def leading_source(synthetic: Mapping[str, np.ndarray]) -> str:
    """The source by which candidates are picked: normal images of other tasks before made ones, else in the order given.

    synthetic: {source: AUROC (tasks, c)}. A source by which `MANY` candidates (or all, where there are fewer) are as good as
    perfect is passed over, unless all are.
    """
    of_tasks = [source for source in synthetic if source in SOURCES and SOURCES[source].others]
    ordered = [*of_tasks, *(source for source in synthetic if source not in of_tasks)]
    return next((source for source in ordered if not is_saturated(synthetic[source])), ordered[0])


def is_saturated(aurocs: np.ndarray) -> bool:
    """Whether so many candidates tell all anomalies that these cannot tell which is the best; aurocs (tasks, c)."""
    over_tasks = means(np.asarray(aurocs, dtype=float))
    known = np.sort(over_tasks[~np.isnan(over_tasks)])
    return len(known) > 1 and bool(known[-min(MANY, len(known))] >= SATURATED)
