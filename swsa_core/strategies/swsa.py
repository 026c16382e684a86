"""The one candidate that SWSA recommends: the best over all tasks of the data set by the leading source."""

import numpy as np

from swsa_core.strategies.evidence import Case, Evidence, Pick, means, of_all_tasks
from swsa_core.strategies.leading import leading_source
from swsa_core.strategies.strategy import SUPPORT, Strategy
from swsa_core.strategies.swsa_source import described


def pick(evidence: Evidence, case: Case) -> Pick:
    """Of the candidates within the budget the one with the highest mean over the tasks, with what is to be said of it here.

    The AUROC of one task's few anomalies is noisier than candidates differ. To shrink it towards the mean over the tasks by
    their variances (empirical Bayes) was measured and did no better than that mean alone (docs/selection.md).
    """
    synthetic = evidence.once(of_all_tasks)
    source = leading_source(synthetic)
    found = evidence.highest(np.where(evidence.once(_affordable), means(synthetic[source]), np.nan))
    return described(found, evidence, case._replace(source=source))


def _affordable(evidence):
    """Which candidates (c,) are within the budget by themselves."""
    return [evidence.budget.allows([column]) for column in range(len(evidence.names))]


STRATEGY = Strategy(
    title="SWSA",
    description="the highest synthetic AUROC by the leading source, averaged over the tasks of the data set",
    reference="Fung et al. 2023",
    sees=SUPPORT,
    pick=pick,
    per_protocol=True,
    recommends=True,
    proposed=True,
    within_budget=True,
)
