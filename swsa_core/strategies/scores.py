"""What the strategies share that look at the scores of the unlabelled test images.

Their `quality` takes the scores (n, c) of n test images by c candidates, higher = more anomalous, and returns (c,)
float64, higher is better. What it sees makes it transductive: the test images, without their labels. Qualities are
rounded to `DIGITS`, so that candidates that are alike tie whatever the order of a sum. Literature: docs/strategies.md.
"""

import numpy as np

DIGITS = 12


def checked(scores: np.ndarray) -> np.ndarray:
    """Scores (images, candidates) as float64. Raises ValueError for another shape, and for scores that are not finite."""
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or scores.size == 0:
        raise ValueError(f"expected scores (images, candidates), received the shape {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(scores))} of {scores.size} scores are NaN or infinite")
    return scores
