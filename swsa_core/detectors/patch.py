"""Nearest normal patches: an image is as anomalous as its patch that is least like any normal one (Roth et al. 2022)."""

from typing import Protocol

import numpy as np

from swsa_core.detectors.scores import Answer

IMAGES = 2**24  # float32 numbers of query patches and of their distances to bank images at a time: 64 MB each
BLOCK = 2**20  # float32 products of query and bank patches at a time: 4 MB, which stay in the cache
ROUNDING = 1e-5  # of the squared norms: more than a float32 product of centred patches is off
CLOSE = 1e-3  # of the largest distance: patches this close to it are computed again in float64


class Patches(Protocol):
    """Patch features of n images, (n, patches, d) float16: an array, or one that is read from a file as it is asked for."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows, /) -> "Patches": ...
    def __array__(self, dtype=None, copy=None) -> np.ndarray: ...


def patch_scores(
    queries: Patches | np.ndarray,
    bank: np.ndarray,
    rows: np.ndarray | None = None,
    left_out: np.ndarray | None = None,
) -> Answer:
    """The largest L2 distance of a patch of an image to its nearest patch in the bank, and the bank image which that is in.

    queries: (n, p, d) patches of n images; bank: (m, b, d), b patches of each of m images. rows: (r,) the image that each
    result is about, all of them when left out; left_out: (r, l) bank images whose patches it does without, -1 for none.
    Float32 products find the patches that may decide; their distances are computed in float64, so that a score is exact.
    Raises ValueError when no image of the bank is left.
    """
    bank = np.asarray(bank, dtype=np.float32)
    rows = np.arange(len(queries)) if rows is None else np.asarray(rows)
    left_out = np.full((len(rows), 1), -1) if left_out is None else np.asarray(left_out)
    m, b, d = bank.shape
    centre = bank.mean(axis=(0, 1))
    centred = (bank - centre).reshape(-1, d)
    of_images, norms = centred.reshape(m, b, d), np.einsum("nd,nd->n", centred, centred).reshape(m, b)
    of_query: dict[int, list[int]] = {}
    for request, row in enumerate(rows.tolist()):
        of_query.setdefault(row, []).append(request)
    scores, maps, closest = np.empty(len(rows)), None, np.empty(len(rows), int)
    wanted = np.array(list(of_query))
    step = max(1, IMAGES // (max(m, d) * max(1, np.asarray(queries[:1]).shape[1])))
    for start in range(0, len(wanted), step):
        images = np.asarray(queries[wanted[start : start + step]], dtype=np.float32) - centre  # (block, p, d)
        n, p, _ = images.shape
        flat = images.reshape(-1, d)
        nearest = _nearest(flat, of_images, norms).reshape(n, p, m)
        maps = np.empty((len(rows), p), np.float16) if maps is None else maps
        for image, distances, row in zip(images, nearest, wanted[start : start + step].tolist(), strict=True):
            for request in of_query[row]:
                kept = np.setdiff1d(np.arange(m), left_out[request])
                if not len(kept):
                    raise ValueError(f"none of the {m} images of the bank is left")
                of_patches = distances[:, kept].min(axis=1)  # (p,)
                deciding = of_patches >= of_patches.max() * (1 - CLOSE)
                mine = slice(None) if len(kept) == m else kept  # a slice copies nothing
                scores[request] = _exact(image[deciding], of_images[mine].reshape(-1, d), norms[mine].reshape(-1))
                maps[request] = of_patches
                closest[request] = kept[distances[of_patches.argmax(), kept].argmin()]
    return Answer(scores, np.empty((0, 0), np.float16) if maps is None else maps, closest)


def to_images(queries: np.ndarray, bank: np.ndarray) -> np.ndarray:
    """L2 distances (n, p, m) float32 of the patches of n images (n, p, d) to the nearest patch of each bank image (m, b, d)."""
    bank = np.asarray(bank, dtype=np.float32)
    (n, p, d), m = queries.shape, len(bank)
    centre = bank.mean(axis=(0, 1))
    centred = bank - centre
    patches = (np.asarray(queries, dtype=np.float32) - centre).reshape(-1, d)
    return _nearest(patches, centred, np.einsum("mbd,mbd->mb", centred, centred)).reshape(n, p, m)


def _nearest(patches: np.ndarray, bank: np.ndarray, norms: np.ndarray) -> np.ndarray:
    """Distances (n, m) float32 of patches (n, d) to the nearest of each bank image (m, b, d); norms: (m, b) of the bank."""
    (m, b, d), n = bank.shape, len(patches)
    nearest = np.empty((n, m), np.float32)
    rows = max(64, BLOCK // (m * b))  # few rows of many columns: where a whole bank fits, it is not divided
    images = max(1, BLOCK // (b * rows))
    for first in range(0, m, images):
        some = slice(first, first + images)
        turned = -2 * bank[some].reshape(-1, d).T
        for start in range(0, n, rows):
            products = patches[start : start + rows] @ turned
            products += norms[some].reshape(-1)
            nearest[start : start + rows, some] = products.reshape(len(products), -1, b).min(axis=2)
    nearest += np.einsum("nd,nd->n", patches, patches)[:, None]
    return np.sqrt(np.maximum(nearest, 0, out=nearest), out=nearest)


def _exact(patches: np.ndarray, bank: np.ndarray, norms: np.ndarray) -> float:
    """The largest distance (float64) of patches (n, d) to their nearest ones in the bank (r, d) with the squared norms (r,)."""
    largest = 0.0
    for patch in patches:
        squares = bank @ (-2 * patch) + norms  # but for the patch's own norm
        own = float(patch @ patch)
        slack = CLOSE * max(0.0, float(squares.min()) + own) + ROUNDING * (own + float(norms.max()))
        difference = bank[squares <= squares.min() + slack].astype(np.float64) - patch
        largest = max(largest, float(np.einsum("nd,nd->n", difference, difference).min()))
    return float(np.sqrt(largest))


def spread_over(n_images: int, n_patches: int, most: int, generator: np.random.Generator) -> np.ndarray:
    """Which patches of each image a bank of at most `most` keeps, (n_images, b): all of them, or as many of each, at random."""
    each = min(n_patches, max(1, most // n_images))
    if each == n_patches:
        return np.broadcast_to(np.arange(n_patches), (n_images, n_patches))
    return np.stack([np.sort(generator.permutation(n_patches)[:each]) for _ in range(n_images)])
