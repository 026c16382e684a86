"""Which source of synthetic anomalies the recommendation heeds.

Averages over sources, or over ranks by them, were measured and did worse than the best source alone (docs/selection.md).
"""

from collections.abc import Mapping

import numpy as np

from swsa_core.anomalies import SOURCES
from swsa_core.strategies.evidence import means
from swsa_core.strategies.verdict import is_saturated


def leading_source(synthetic: Mapping[str, np.ndarray]) -> str:
    """The source by which candidates are picked: normal images of other tasks before made ones, else in the order given.

    synthetic: {source: AUROC (tasks, c)}. A source whose means over the tasks are saturated (`verdict.is_saturated`) cannot
    tell the best candidates apart and is passed over, unless all are.
    """
    of_tasks = [source for source in synthetic if source in SOURCES and SOURCES[source].others]
    ordered = [*of_tasks, *(source for source in synthetic if source not in of_tasks)]
    return next((source for source in ordered if not is_saturated(means(synthetic[source]))), ordered[0])
