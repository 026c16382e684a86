"""Normal images that are unusual among the others: they may show a defect, or something else than the others show."""

import numpy as np

FAR = 3.5  # modified z-score beyond which a value is an outlier (Iglewicz and Hoaglin 1993)


def far_out(scores: np.ndarray) -> np.ndarray:
    """The modified z-score (n,) of the logarithm of each anomaly score, 0 where half of the scores are equal.

    scores: (n,) of normal images, each left out of the bank; scores that have been standardised, which can be negative, are
    taken as they are. An image is far out where it exceeds `FAR`.

    >>> far_out(np.array([1.0, 1.1, 0.9, 1.05, 0.95, 40])).round(1).tolist()
    [-0.2, 0.7, -1.2, 0.2, -0.7, 33.7]
    """
    values = np.log(np.maximum(scores, np.finfo(float).tiny)) if (scores >= 0).all() else np.asarray(scores, float)
    away = values - np.median(values)
    spread = np.median(np.abs(away))
    return 0.6745 * away / spread if spread > 0 else np.zeros(len(values))
