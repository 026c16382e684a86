"""Zero-shot anomaly detection with CLIP: which of two texts an image is closer to (Radford et al. 2021; §4.3).

Features are the outputs of the two towers (`swsa_core.candidates.clip`), before normalisation.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from swsa_core.detectors.knn import l2_normalized

STEP = 2.0**-32  # of the logits: far below the precision of float32 features, far above the rounding of float64


def anomaly_probability(image_features: ArrayLike, text_features: ArrayLike, logit_scale: float) -> np.ndarray:
    """Softmax probability of the anomalous one of two texts, by open_clip's zero-shot formula, (n, p) float64.

    Arguments as of `anomaly_logit`, which gives the same order: the probabilities of many images round to 0 or 1.
    """
    return expit(anomaly_logit(image_features, text_features, logit_scale))


def anomaly_logit(image_features: ArrayLike, text_features: ArrayLike, logit_scale: float) -> np.ndarray:
    """Anomaly score: logit of the anomalous text minus that of the normal one, (n, p) float64.

    image_features: (n, d); text_features: (p, 2, d) of p prompts, [normal, anomalous]; logit_scale: factor of the cosines.
    A multiple of 2⁻³²: images with equal features in one call tie, in whatever order a BLAS sums their products. In two calls
    they may come out on two sides of a multiple's boundary, and differ by one step.
    """
    text_features = np.asarray(text_features)
    p, _, d = text_features.shape
    normal, anomalous = l2_normalized(text_features.reshape(2 * p, d)).reshape(p, 2, d).swapaxes(0, 1)
    logits = l2_normalized(image_features) @ (logit_scale * (anomalous - normal)).T
    return np.rint(logits / STEP) * STEP


def ensemble(text_features: Sequence[ArrayLike]) -> np.ndarray:
    """Prompt ensemble of Radford et al. (2021): the normalised features of each side averaged over prompts, normalised.

    text_features: (p, 2, d), [normal, anomalous]. Returns (2, d) float64.
    """
    return l2_normalized(np.mean([l2_normalized(pair) for pair in text_features], axis=0))
