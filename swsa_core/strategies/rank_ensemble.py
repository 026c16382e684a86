"""The rank ensemble: every candidate counts alike (Rayana and Akoglu 2016)."""

import numpy as np

from swsa_core.evaluation.known import Known
from swsa_core.strategies.evidence import as_detector
from swsa_core.strategies.scores import checked
from swsa_core.strategies.strategy import TRANSDUCTIVE, Strategy


def combine(scores: np.ndarray, known: Known | None = None) -> np.ndarray:
    """A detector of all candidates: the mean of their ranks of each image, (n,) from (n, c); tied scores share a rank."""
    from scipy.stats import rankdata

    return rankdata(checked(scores), axis=0).mean(axis=1)


STRATEGY = Strategy(
    title="rank ensemble",
    description="all candidates: the mean of their ranks",
    reference="Rayana and Akoglu 2016",
    sees=TRANSDUCTIVE,
    pick=as_detector,
    picks_one=False,
    is_detector=True,
    combine=combine,
)
