"""Family descriptor: classical image descriptors, the candidates that need no trained weights.

Each takes an image (H, W, 3) uint8 and returns (d,) float32. Images of one size give comparable descriptors. Histograms
are square roots of proportions, so that the squared L2 distance of kNN is twice the squared Hellinger distance.
"""

import inspect
from collections.abc import Callable

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean
from swsa_core.candidates.family import NO_WEIGHTS, CandidateSpec, Description, Family, args_of, model_name
from swsa_core.candidates.transforms import Transform

GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as PIL's "L"


def color_histogram(image: np.ndarray, bins: int = 8) -> np.ndarray:
    """Joint histogram of red, green and blue with `bins` bins each: (bins³,)."""
    levels = image.reshape(-1, 3).astype(np.int64) * bins // 256  # (pixels, 3)
    return _proportions(levels @ (bins**2, bins, 1), bins**3)


def hog(image: np.ndarray, cells: int = 8, orientations: int = 9) -> np.ndarray:
    """Histogram of oriented gradients (Dalal & Triggs 2005) of the strongest channel, in `cells` x `cells` cells.

    Blocks of 2 x 2 cells, normalised by L2-Hys: ((cells - 1)² · 4 · orientations,).
    """
    from skimage.feature import hog as histogram_of_gradients

    height, width = image.shape[0] // cells, image.shape[1] // cells
    return histogram_of_gradients(
        image, orientations, pixels_per_cell=(height, width), cells_per_block=(2, 2), channel_axis=-1
    ).astype(np.float32)


def lbp(image: np.ndarray, radii: int = 3, cells: int = 4) -> np.ndarray:
    """Uniform local binary patterns (Ojala et al. 2002) of 8 neighbours at the radii 1 to `radii`.

    One histogram for each radius and each of `cells` x `cells` cells: (radii · cells² · 10,).
    """
    from skimage.feature import local_binary_pattern

    grey = np.rint(image @ GREY).astype(np.uint8)  # (H, W)
    histograms = []
    for radius in range(1, radii + 1):
        codes = local_binary_pattern(grey, P=8, R=radius, method="uniform").astype(np.int64)  # (H, W) in 0..9
        for band in np.array_split(codes, cells, axis=0):
            histograms += [_proportions(cell.ravel(), 10) for cell in np.array_split(band, cells, axis=1)]
    return np.concatenate(histograms)


def _proportions(values, n):
    counts = np.bincount(values, minlength=n)
    return np.sqrt(counts / len(values)).astype(np.float32)


DESCRIPTORS: dict[str, Callable[..., np.ndarray]] = {"color_histogram": color_histogram, "hog": hog, "lbp": lbp}


def check(candidate: CandidateSpec) -> None:
    """Raise InputError for an unknown descriptor, for keys about trained weights, and for arguments that it does not take."""
    model = model_name(candidate)
    if model not in DESCRIPTORS:
        raise InputError(f"there is no descriptor {model!r}: {did_you_mean(model, DESCRIPTORS)}")
    if unused := [key for key in ("weights", "mean", "std") if candidate.get(key)]:
        raise InputError(f"a descriptor has no {' and no '.join(unused)}: remove it")
    options = list(inspect.signature(DESCRIPTORS[model]).parameters)[1:]
    for unknown in args_of(candidate).keys() - set(options):
        raise InputError(f"{model} takes no argument {unknown!r}: {did_you_mean(unknown, options)}")


def load(candidate: CandidateSpec) -> Description:
    """The descriptor with a candidate's arguments, of images of 128 x 128 pixels."""
    model = model_name(candidate)
    return Description(Transform(resize=128, crop=128), model, DESCRIPTORS[model], args_of(candidate))


FAMILY = Family(
    title="classical image descriptors, without trained weights",
    licence="no weights; code Apache-2.0, on top of scikit-image (BSD-3-Clause)",
    licence_of=lambda candidate: NO_WEIGHTS,
    packages=lambda candidate: ("scikit-image",),
    check=check,
    load=load,
    blank=None,
    gpu=False,
    known_bad=("color_histogram",),
)
