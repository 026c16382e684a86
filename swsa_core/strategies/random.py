"""A random pick, in closed form: its expectation, not a draw."""

import numpy as np

from swsa_core.strategies.evidence import Case, Evidence, Outcome, Pick
from swsa_core.strategies.strategy import SUPPORT, Strategy


def pick(evidence: Evidence, case: Case) -> Pick:
    """What a uniform draw among the candidates of known real AUROC does on average: the mean, and the chance of the best."""
    real = evidence.real[case.task, case.setting]
    real = real[~np.isnan(real)]
    if not real.size:
        return Pick(outcome=Outcome(np.nan, np.nan))
    return Pick(outcome=Outcome(float(real.mean()), float((real == real.max()).mean())))


STRATEGY = Strategy(
    title="random pick (expected)",
    description="the expectation of a uniform draw",
    reference="",
    sees=SUPPORT,
    pick=pick,
    default=True,
    picks_one=False,
)
