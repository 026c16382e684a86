"""HITS in the other orientation: looking at the images that seem most anomalous."""

import numpy as np

from swsa_core.strategies import hits
from swsa_core.strategies.evidence import by_quality
from swsa_core.strategies.strategy import TRANSDUCTIVE, Strategy


def quality(scores: np.ndarray) -> np.ndarray:
    """`swsa_core.strategies.hits.quality` with rank 1 the most anomalous image."""
    return hits.quality(-np.asarray(scores, dtype=float))


STRATEGY = Strategy(
    title="HITS, anomalous first",
    description="hits, the most anomalous image of rank 1",
    reference="Ma et al. 2023",
    sees=TRANSDUCTIVE,
    pick=by_quality,
    quality=quality,
)
