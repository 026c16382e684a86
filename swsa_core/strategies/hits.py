"""HITS: the best hub of the graph from candidates to images (Kleinberg 1999; Ma et al. 2023)."""

import numpy as np

from swsa_core.strategies.evidence import by_quality
from swsa_core.strategies.scores import DIGITS, checked
from swsa_core.strategies.strategy import TRANSDUCTIVE, Strategy


def quality(scores: np.ndarray) -> np.ndarray:
    """Hub weight of a candidate in the graph candidates → images: HITS (Kleinberg 1999; Ma et al. 2023).

    An edge weighs 1 / rank of the image, rank 1 the least anomalous as in the code of Ma et al. Hubs and authorities
    reinforce each other; the fixed point is the leading eigenvector of WᵀW, unique because all weights are positive.
    """
    from scipy.stats import rankdata

    weights = 1 / rankdata(checked(scores), axis=0)  # (n, c)
    _, vectors = np.linalg.eigh(weights.T @ weights)  # eigenvalues ascend
    return np.abs(vectors[:, -1]).round(DIGITS)


STRATEGY = Strategy(
    title="HITS",
    description="the best hub of the graph candidates → images",
    reference="Ma et al. 2023",
    sees=TRANSDUCTIVE,
    pick=by_quality,
    quality=quality,
)
