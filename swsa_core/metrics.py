"""Figures of merit: AUROC and its mean, rank correlation, total variation.

A score is higher = more anomalous throughout. An AUROC is the share of (anomaly, normal) pairs in which the anomaly
scores higher, a tie counting one half: pairs are counted in whole numbers and divided once, so that equal counts give
equal floats.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


def auroc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the ROC curve: the share of (anomaly, normal) pairs in which the anomaly scores higher; a tie is 1/2.

    scores: (n,); labels: (n,), 1 = anomalous, 0 = normal. Raises ValueError for one class alone or a score that is
    not finite.

    >>> auroc([0.1, 0.4, 0.4, 0.9], [0, 0, 1, 1])
    0.875
    """
    labels = np.asarray(labels)
    if unknown := set(np.unique(labels).tolist()) - {0, 1}:
        raise ValueError(f"labels must be 0 (normal) or 1 (anomalous), received {sorted(unknown)}")
    if labels.size == 0 or labels.min() == labels.max():
        raise ValueError(f"an AUROC needs normal and anomalous scores, received {labels.size} labels of one class only")
    won, sizes = pair_counts(np.asarray(scores)[:, None], labels.astype(int), normal=0, n_groups=2)  # (2, 1), (2,)
    return float(won[1, 0] / (2 * sizes[0] * sizes[1]))


def exact_mean(values: ArrayLike) -> float:
    """Mean of the values that are not NaN, of a correctly rounded sum: the same ones in another order tie. NaN of none.

    >>> exact_mean([0.1, 0.2, 0.3]) == exact_mean([0.3, 0.2, 0.1])
    True
    """
    values = np.asarray(values, dtype=float)
    known = values[~np.isnan(values)]
    return math.fsum(known) / len(known) if len(known) else math.nan


def pairwise_auroc(scores: ArrayLike, groups: ArrayLike, normal: object) -> np.ndarray:
    """AUROC of the group `normal` against each other group, in sorted order of the groups.

    scores: (n,), or (n, c) for c columns at once; groups: (n,) labels.
    Returns (n_groups - 1,) or (c, n_groups - 1) float64. Raises ValueError when `normal` or every other group is
    absent, or a score is not finite.

    >>> pairwise_auroc([1, 2, 2, 3], ["good", "bent", "good", "cut"], "good")
    array([0.75, 1.  ])
    """
    scores = np.asarray(scores)
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    found = np.flatnonzero(names == normal)
    if len(found) == 0 or len(names) < 2:
        raise ValueError(f"expected the normal group {normal!r} and at least one other, received {names.tolist()}")
    won, sizes = pair_counts(scores.reshape(len(scores), -1), codes, found[0], len(names))  # (n_groups, c), (n_groups,)
    others = np.arange(len(names)) != found[0]
    result = (won[others] / (2 * sizes[found[0]] * sizes[others])[:, None]).T  # (c, n_groups - 1)
    return result if scores.ndim == 2 else result[0]


def pair_counts(scores: ArrayLike, codes: ArrayLike, normal: int, n_groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Twice the number of pairs that each group wins against the group `normal`, a tie being half a pair; group sizes.

    scores: (n, c) columns; codes: (n,) int group of each row; normal: the code of the normal group.
    Returns won (n_groups, c) int64 and sizes (n_groups,) int64: `won[g] / (2 * sizes[normal] * sizes[g])` is the AUROC
    of each column, and sums over groups give one-vs-rest. Raises ValueError for a score that is not finite.
    """
    scores, codes = np.asarray(scores, dtype=np.float64), np.asarray(codes)
    if len(scores) != len(codes):
        raise ValueError(f"received {len(scores)} scores for {len(codes)} labels")
    if not np.isfinite(scores).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(scores))} of {scores.size} scores are NaN or infinite")
    sizes = np.bincount(codes, minlength=n_groups)
    won = np.empty((n_groups, scores.shape[1]), dtype=np.int64)
    for column, values in enumerate(scores.T):
        values = np.ascontiguousarray(values)
        normals = np.sort(values[codes == normal])
        below = np.searchsorted(normals, values)  # (n,)
        tied = np.flatnonzero(np.take(normals, below, mode="clip") == values)  # where "left" and "right" may differ
        upto = np.searchsorted(normals, values[tied], "right")
        below *= 2
        below[tied] += upto - below[tied] // 2
        # float64 sums of whole numbers, exact below 2**53
        won[:, column] = np.bincount(codes, weights=below, minlength=n_groups)
    return won, sizes


def kendall_tau(a: ArrayLike, b: ArrayLike) -> tuple[float, float]:
    """Kendall's rank correlation τ-b and its two-sided p-value, exact without ties.

    a, b: (n,) values, e.g. the synthetic and the real AUROC of n candidates. (nan, nan) when all of one side ties.
    """
    a, b = np.asarray(a), np.asarray(b)
    ties = len(np.unique(a)) < len(a) or len(np.unique(b)) < len(b)
    result = stats.kendalltau(a, b, variant="b", method="asymptotic" if ties else "exact")
    return float(result.statistic), float(result.pvalue)


def total_variation(
    a: np.ndarray, b: np.ndarray, n_clusters: int | None = None, n_runs: int = 10, seed: int = 0
) -> float:
    """Total variation Σ|p_i − q_i| of two sets over the k-means clusters of their union (App. B; Sajjadi et al. 2018).

    a: (n, d), b: (m, d) features; the union is a multiset, p and q are the shares of each set in each cluster.
    n_clusters: default round(√(n + m)). Returns the mean of `n_runs` k-means runs, a float in [0, 2].
    """
    # scikit-learn takes half a second to import, and only this function needs it
    from sklearn.cluster import KMeans

    union = np.concatenate([a, b])
    n_clusters = n_clusters or round(np.sqrt(len(union)))
    distances = []
    for run in range(n_runs):
        random_state = np.random.RandomState([seed, run])
        clusters = KMeans(n_clusters, n_init=1, random_state=random_state).fit_predict(union)  # (n + m,)
        p, q = (np.bincount(part, minlength=n_clusters) / len(part) for part in np.split(clusters, [len(a)]))
        distances.append(np.abs(p - q).sum())
    return float(np.mean(distances))
