"""Alarm levels from normal images alone: conformal p-values, and what a level promises (Bates et al. 2023).

A new image is compared with the leave-one-out scores of the n normal images: where it is normal too, its rank among them is
any rank with the same chance, whatever the detector. Each normal image is scored by all others, not by a bank of their own
(cross-conformal detection with n folds, Hennhöfer & Preisach 2024), so that none is lost; the promise then holds up to what
one image more in the bank changes.
"""

import math

import numpy as np

WANTED = 0.05  # false alarms, where nobody says otherwise


def p_values(scores: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """p = (1 + number of normal scores ≥ s) / (n + 1) of each score s, (m,); normals: (n,) leave-one-out scores.

    >>> p_values(np.array([0.5, 2.5, 9.0]), np.array([1.0, 2.0, 3.0]))
    array([1.  , 0.5 , 0.25])
    """
    below = np.searchsorted(np.sort(normals), scores, side="left")
    return (1 + len(normals) - below) / (len(normals) + 1)


def least_rate(n: int) -> float:
    """The smallest share of false alarms that a level of n normal images can promise."""
    return 1 / (n + 1)


def rank_of(n: int, rate: float) -> int:
    """How many of n + 1 normal images may be alarms at a wanted share of false alarms; 0 where no level can promise it.

    >>> rank_of(19, 0.05), rank_of(10, 0.05), rank_of(99, 0.05)
    (1, 0, 5)
    """
    return math.floor(rate * (n + 1) + 1e-9)  # 0.05 times 20 is not to be 0.9999…


def level_of(normals: np.ndarray, rate: float) -> float:
    """The alarm level at a wanted share of false alarms: scores above it have p ≤ rate. Infinite where none can promise it."""
    rank = rank_of(len(normals), rate)
    return float(np.sort(normals)[-rank]) if 0 < rank <= len(normals) else math.inf if not rank else -math.inf


def realised(n: int, rate: float, confidence: float = 0.95) -> tuple[float, float]:
    """The interval that holds the realised share of false alarms at the level of `rate`, by the Beta law of its rank.

    (0, 0) where no level promises the rate. The share is that of all normal images to come, for one set of n normal images.

    >>> low, high = realised(99, 0.05)
    >>> round(low, 3), round(high, 3)
    (0.017, 0.1)
    """
    from scipy.stats import beta

    rank = rank_of(n, rate)
    if not rank:
        return 0.0, 0.0
    low, high = beta.ppf([(1 - confidence) / 2, (1 + confidence) / 2], rank, n + 1 - rank) if rank <= n else (1, 1)
    return float(low), float(high)


def told(n: int) -> str:
    """What n normal images can promise at best, as a sentence."""
    return f"With {n} normal images no level can promise fewer than 1 false alarm in {n + 1}."


def ranks(n: int, most: int = 50, largest: float = 0.3) -> list[int]:
    """At most `most` numbers of alarms among n + 1 normal images that a level can be chosen by, up to a share `largest`.

    The steps between them grow: from 1 to 2 % there is more to choose than from 29 to 30 %.

    >>> ranks(10), ranks(1), ranks(5000)[:4], ranks(5000)[-1]
    ([1, 2, 3], [1], [1, 2, 3, 4], 1500)
    """
    end = max(1, math.floor(largest * (n + 1)))
    return (
        list(range(1, end + 1)) if end <= most else np.unique(np.geomspace(1, end, most).round().astype(int)).tolist()
    )


def written(n: int, rank: int) -> str:
    """The share of false alarms rank / (n + 1) in as few digits as ask for the same level.

    >>> written(20, 1), written(99, 5), written(10_000, 3)
    ('0.05', '0.05', '0.0003')
    """
    for digits in range(2, 12):
        rate = math.ceil(rank / (n + 1) * 10**digits - 1e-9) / 10**digits
        if rank_of(n, rate) == rank:
            return f"{rate:.{digits}f}"
    raise ValueError(f"no share of false alarms has the rank {rank} of {n} + 1")
