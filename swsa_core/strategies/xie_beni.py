"""The index of Xie and Beni (1991): the candidate whose scores lie in the two clearest clusters."""

import numpy as np

from swsa_core.strategies.evidence import by_quality
from swsa_core.strategies.scores import DIGITS, checked
from swsa_core.strategies.strategy import TRANSDUCTIVE, Strategy


def quality(scores: np.ndarray) -> np.ndarray:
    """Minus the index of Xie and Beni (1991) of a candidate's scores in two clusters (Nguyen et al. 2016; Ma et al. 2023).

    The index is the mean squared distance to the own cluster's mean over the squared distance of the two means. The
    clusters are those of exact 2-means, as the share of anomalies is unknown. Scale and offset of the scores do not
    matter. NaN for a candidate that gives all images one score.
    """
    ordered = np.sort(checked(scores), axis=0)
    spread = ordered[-1] > ordered[0]
    if not spread.any():
        return np.full(len(spread), np.nan)
    centred, n = ordered - ordered.mean(axis=0), len(ordered)
    n_low = np.arange(1, n)[:, None]  # of every split into low and high scores
    sums = centred.cumsum(axis=0)[:-1]  # (n - 1, c) of the low ones; those of the high ones are the opposite
    between = sums**2 / (n_low * (n - n_low))  # the part of the variance between the clusters
    best = between.argmax(axis=0)
    picked = best, np.arange(len(best))  # the split with the least variance within
    distance = sums[picked] * n / ((best + 1) * (n - best - 1))
    within = np.maximum((centred**2).mean(axis=0) - between[picked], 0)
    index = np.divide(within, distance**2, out=np.full(len(best), np.nan), where=spread)
    return -index.round(DIGITS)


STRATEGY = Strategy(
    title="Xie-Beni",
    description="scores in the two clearest clusters",
    reference="Nguyen et al. 2016",
    sees=TRANSDUCTIVE,
    pick=by_quality,
    quality=quality,
)
