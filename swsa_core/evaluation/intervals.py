"""The interval of a synthetic AUROC that also holds near 1, where percentiles of a bootstrap close.

If every anomaly wins every pair, every resample of them does, and percentiles say [1, 1] however few images there are.
So the bootstrap gives a variance only, and from it an effective number of draws: as many independent pairs as would make
the AUROC as uncertain. The interval is that of Clopper and Pearson for a share of so many draws, as Korn and Graubard (1998) do
for shares in clustered samples. Where few pairs are lost the bootstrap's variance is too small, so the number is capped by what
the images can give at most. docs/protocols.md shows by simulation that it holds.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv

from swsa_core.evaluation.protocols import Comparison


def auroc_interval(
    auroc: ArrayLike, variance: ArrayLike, most: ArrayLike, level: float = 0.95
) -> tuple[ArrayLike, ArrayLike]:
    """Lowest and highest AUROC, in [0, 1] and around `auroc`, that the images leave possible at `level`.

    auroc, variance: (c,), the AUROC and its variance over the resamples; most: of `most_draws`.
    """
    auroc, variance = np.asarray(auroc, dtype=float), np.asarray(variance, dtype=float)
    of_one = auroc * (1 - auroc)  # variance of a single draw
    draws = np.minimum(np.divide(of_one, variance, out=np.full(auroc.shape, np.inf), where=variance > 0), most)
    return clopper_pearson(auroc, draws, level)


def most_draws(comparison: Comparison) -> float:
    """The number of independent pairs that are as uncertain as all pairs of these images, were the images independent.

    The variance of an AUROC of m normals and n anomalies is that of one pair times 1 / pairs + r / m + r / n, less terms of
    the order r / pairs: two pairs that share an image are correlated by r (Hanley and McNeil 1982). For normal scores r
    is 1/3 at an AUROC of .5, 1/4 at .9 and .15 at .98; it is taken to be 1/4. n is the number of different images
    that the anomalies were made from, where they were made from images. In `paired`, with a normal for each anomaly,
    the result is the number of pairs. Anomalies and pairs that do not count are left out; NaN where none does.
    """
    counted = comparison.counted
    parents = comparison.parents[counted]
    parents = parents[parents >= 0]
    paired = comparison.normals[0] < 0
    n_pairs = parents.size if paired else int(np.isfinite(comparison.wins).sum())
    n_sources = len(np.unique(parents)) if parents.size else int(counted.sum())
    if not n_pairs:
        return float("nan")
    return 4 / (1 / comparison.n_normal + 1 / n_sources + 2 / n_pairs)


def clopper_pearson(share: ArrayLike, draws: ArrayLike, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Exact interval of a binomial share, `draws` need not be whole numbers (Clopper and Pearson 1934; Korn and Graubard 1998).

    >>> clopper_pearson(1, 10)[0].round(4)  # the number whose tenth power is .025
    np.float64(0.6915)
    """
    share, draws = np.broadcast_arrays(np.asarray(share, dtype=float), np.asarray(draws, dtype=float))
    won, lost, tail = share * draws, (1 - share) * draws, (1 - level) / 2
    with np.errstate(invalid="ignore"):  # betaincinv is NaN at the ends
        low = np.where(won > 0, betaincinv(np.maximum(won, 1e-12), lost + 1, tail), 0.0)
        high = np.where(lost > 0, betaincinv(won + 1, np.maximum(lost, 1e-12), 1 - tail), 1.0)
    return low[()], high[()]
