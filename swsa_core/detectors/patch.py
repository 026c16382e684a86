"""Nearest normal patches: an image is as anomalous as its patch that is least like any normal one (Roth et al. 2022)."""

from typing import Protocol

import numpy as np

from swsa_core.detectors.scores import Answer

BLOCK = 2**24  # float32 products of query and bank patches at a time: 64 MB
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
    """The largest L2 distance of a patch of an image to its nearest patch in the bank.

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
    norms = np.einsum("nd,nd->n", centred, centred)
    of_query: dict[int, list[int]] = {}
    for request, row in enumerate(rows.tolist()):
        of_query.setdefault(row, []).append(request)
    scores, maps = np.empty(len(rows)), None
    wanted = np.array(list(of_query))
    step = max(1, BLOCK // (m * b * max(1, np.asarray(queries[:1]).shape[1])))
    for start in range(0, len(wanted), step):
        images = np.asarray(queries[wanted[start : start + step]], dtype=np.float32) - centre  # (block, p, d)
        n, p, _ = images.shape
        flat = images.reshape(-1, d)
        products = flat @ (-2 * centred.T)
        products += norms
        nearest = products.reshape(n * p, m, b).min(axis=2)  # of each bank image
        nearest += np.einsum("nd,nd->n", flat, flat)[:, None]
        nearest = np.sqrt(np.maximum(nearest, 0)).reshape(n, p, m)
        maps = np.empty((len(rows), p), np.float16) if maps is None else maps
        for image, distances, row in zip(images, nearest, wanted[start : start + step].tolist(), strict=True):
            for request in of_query[row]:
                kept = np.setdiff1d(np.arange(m), left_out[request])
                if not len(kept):
                    raise ValueError(f"none of the {m} images of the bank is left")
                of_patches = distances[:, kept].min(axis=1)  # (p,)
                deciding = of_patches >= of_patches.max() * (1 - CLOSE)
                scores[request] = _exact(image[deciding], centred.reshape(m, b, d)[kept].reshape(-1, d))
                maps[request] = of_patches
    return Answer(scores, np.empty((0, 0), np.float16) if maps is None else maps)


def _exact(patches: np.ndarray, bank: np.ndarray) -> float:
    """The largest distance (float64) of some patches to their nearest ones in the bank."""
    largest = 0.0
    for patch in patches.astype(np.float64):
        difference = bank - patch
        largest = max(largest, float(np.einsum("nd,nd->n", difference, difference).min()))
    return float(np.sqrt(largest))


def spread_over(n_images: int, n_patches: int, most: int, generator: np.random.Generator) -> np.ndarray:
    """Which patches of each image a bank of at most `most` keeps, (n_images, b): all of them, or as many of each, at random."""
    each = min(n_patches, max(1, most // n_images))
    if each == n_patches:
        return np.broadcast_to(np.arange(n_patches), (n_images, n_patches))
    return np.stack([np.sort(generator.permutation(n_patches)[:each]) for _ in range(n_images)])
