"""Classical image descriptors, the candidates that need no trained weights.

Each takes an image (H, W, 3) uint8 and returns (d,) float32. Images of one size give comparable descriptors. Histograms
are square roots of proportions, so that the squared L2 distance of kNN is twice the squared Hellinger distance.
"""

import numpy as np

GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as PIL's "L"


def color_histogram(image, bins=8):
    """Joint histogram of red, green and blue with `bins` bins each: (bins³,)."""
    levels = image.reshape(-1, 3).astype(np.int64) * bins // 256  # (pixels, 3)
    return _proportions(levels @ (bins**2, bins, 1), bins**3)


def hog(image, cells=8, orientations=9):
    """Histogram of oriented gradients (Dalal & Triggs 2005) of the strongest channel, in `cells` x `cells` cells.

    Blocks of 2 x 2 cells, normalised by L2-Hys: ((cells - 1)² · 4 · orientations,).
    """
    from skimage.feature import hog as histogram_of_gradients

    height, width = image.shape[0] // cells, image.shape[1] // cells
    return histogram_of_gradients(
        image, orientations, pixels_per_cell=(height, width), cells_per_block=(2, 2), channel_axis=-1
    ).astype(np.float32)


def lbp(image, radii=3, cells=4):
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


DESCRIPTORS = {"color_histogram": color_histogram, "hog": hog, "lbp": lbp}


def _proportions(values, n):
    counts = np.bincount(values, minlength=n)
    return np.sqrt(counts / len(values)).astype(np.float32)
