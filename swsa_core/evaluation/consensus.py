"""Judging candidates by their scores of the unlabelled test images alone: how much they agree, how well they separate.

A `*_quality` function takes the scores (n, c) of n test images by c candidates, higher = more anomalous, and returns
(c,) float64, higher is better. What it sees makes it transductive: the test images, without their labels. Qualities are
rounded to 12 digits, so that candidates that are alike tie whatever the order of a sum. Literature: docs/strategies.md.
"""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import kendalltau, rankdata

from swsa_core.datasets import real_validation

DIGITS = 12
RANK_ENSEMBLE = "rank_ensemble"  # in place of a candidate's name
COLUMNS = ["task", "candidate", "strategy", "quality"]
TEXT = ["task", "candidate", "strategy"]  # of the columns


def rank_ensemble(scores):
    """A detector of all candidates: the mean of their ranks of each image, (n,) from (n, c); tied scores share a rank."""
    return rankdata(_checked(scores), axis=0).mean(axis=1)


def model_centrality_quality(scores):
    """Mean Kendall τ-b of a candidate with each other one: ModelCentrality (Lin et al. 2020; Ma et al. 2023, "MC").

    NaN for a candidate that gives all images one score, which is left out for the others; 0 for a single candidate.
    """
    scores = _checked(scores)
    constant = (scores == scores[:1]).all(axis=0)
    agreement = np.zeros((scores.shape[1], scores.shape[1]))
    for i, j in combinations(np.flatnonzero(~constant), 2):
        tau = kendalltau(scores[:, i], scores[:, j], method="asymptotic").statistic  # the p-value is not used
        agreement[i, j] = agreement[j, i] = tau
    quality = agreement.sum(axis=0) / max(1, (~constant).sum() - 1)
    return np.where(constant, np.nan, quality).round(DIGITS)


def hits_quality(scores):
    """Hub weight of a candidate in the graph candidates → images: HITS (Kleinberg 1999; Ma et al. 2023).

    An edge weighs 1 / rank of the image, rank 1 the least anomalous as in the code of Ma et al. Hubs and authorities
    reinforce each other; the fixed point is the leading eigenvector of WᵀW, unique because all weights are positive.
    """
    weights = 1 / rankdata(_checked(scores), axis=0)  # (n, c)
    _, vectors = np.linalg.eigh(weights.T @ weights)  # eigenvalues ascend
    return np.abs(vectors[:, -1]).round(DIGITS)


def hits_anomalous_quality(scores):
    """`hits_quality` with rank 1 the most anomalous image."""
    return hits_quality(-np.asarray(scores, dtype=float))


def xie_beni_quality(scores):
    """Minus the index of Xie and Beni (1991) of a candidate's scores in two clusters (Nguyen et al. 2016; Ma et al. 2023).

    The index is the mean squared distance to the own cluster's mean over the squared distance of the two means. The
    clusters are those of exact 2-means, as the share of anomalies is unknown. Scale and offset of the scores do not
    matter. NaN for a candidate that gives all images one score.
    """
    ordered = np.sort(_checked(scores), axis=0)
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


# The strategies that pick the candidate of the highest quality.
QUALITIES = {
    "model_centrality": model_centrality_quality,
    "hits": hits_quality,
    "hits_anomalous": hits_anomalous_quality,
    "xie_beni": xie_beni_quality,
}


def qualities(scores, index, spec):
    """Table with `COLUMNS`: the quality of every candidate for every task by each strategy of QUALITIES.

    scores: {candidate: Scores} in the order of the config, of the same tasks and images; index: the table of images.csv;
    spec: the data set's config.
    The images are those of the real validation set, each once, unreadable ones left out. A task without normal or
    without anomalous test images has no rows.
    """
    first = next(iter(scores.values()))
    place = pd.Index(first.test["image_id"]).get_indexer(index["image_id"])  # index row -> test row
    rows = []
    for t, task in enumerate(first.tasks):
        images = np.unique(place[real_validation(index, spec, task)[0]])
        images = images[images >= 0]
        if len(images) == 0:
            continue
        columns = np.stack([of.test["scores"][images, t] for of in scores.values()], axis=1)  # (images, candidates)
        for strategy, quality in QUALITIES.items():
            rows += [(task, name, strategy, value) for name, value in zip(scores, quality(columns), strict=True)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _checked(scores):
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or scores.size == 0:
        raise ValueError(f"expected scores (images, candidates), received the shape {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(scores))} of {scores.size} scores are NaN or infinite")
    return scores
