"""Model centrality: the candidate that agrees most with the others (Lin et al. 2020)."""

from itertools import combinations

import numpy as np

from swsa_core.strategies.evidence import by_quality
from swsa_core.strategies.scores import DIGITS, checked
from swsa_core.strategies.strategy import TRANSDUCTIVE, Strategy


def quality(scores: np.ndarray) -> np.ndarray:
    """Mean Kendall τ-b of a candidate with each other one: ModelCentrality (Lin et al. 2020; Ma et al. 2023, "MC").

    NaN for a candidate that gives all images one score, which is left out for the others; 0 for a single candidate.
    """
    from scipy.stats import kendalltau

    scores = checked(scores)
    constant = (scores == scores[:1]).all(axis=0)
    agreement = np.zeros((scores.shape[1], scores.shape[1]))
    for i, j in combinations(np.flatnonzero(~constant), 2):
        tau = kendalltau(scores[:, i], scores[:, j], method="asymptotic").statistic  # the p-value is not used
        agreement[i, j] = agreement[j, i] = tau
    mean = agreement.sum(axis=0) / max(1, (~constant).sum() - 1)
    return np.where(constant, np.nan, mean).round(DIGITS)


STRATEGY = Strategy(
    title="model centrality",
    description="the highest mean Kendall τ with the others",
    reference="Lin et al. 2020",
    sees=TRANSDUCTIVE,
    pick=by_quality,
    quality=quality,
)
