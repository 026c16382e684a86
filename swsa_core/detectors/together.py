"""Several detectors as one: the mean of their log scores, each in standard deviations of the normal images."""

import numpy as np

SMALLEST = 1e-12  # of the largest score of the normal images: a score of 0 has no logarithm


def scale_of(normals: np.ndarray) -> np.ndarray:
    """The units of m detectors, (3, m): the smallest score that counts, and mean and standard deviation of the log scores.

    normals: (s, m) scores of the normal images, each left out of the bank.
    """
    floor = np.maximum(normals.max(axis=0), np.finfo(float).tiny) * SMALLEST
    logs = np.log(np.maximum(normals, floor))
    spread = logs.std(axis=0)
    return np.stack([floor, logs.mean(axis=0), np.where(spread > 0, spread, 1)])


def together(scores: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Mean over m detectors of the log score in standard deviations of the normal images, (n,).

    scores: (n, m) of images; scale: (3, m) of `scale_of`.

    >>> together(np.array([[1.0], [100.0]]), scale_of(np.array([[1.0], [100.0]])))
    array([-1.,  1.])
    """
    floor, mean, spread = scale
    return ((np.log(np.maximum(scores, floor)) - mean) / spread).mean(axis=1)
