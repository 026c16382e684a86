"""Nearest normal patches: an image is as anomalous as its patch that is least like any normal one (Roth et al. 2022)."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from swsa_core.detectors.scores import Answer

IMAGES = 2**24  # float32 numbers of query patches and of their distances to bank images at a time: 64 MB each
BLOCK = 2**20  # float32 products of query and bank patches at a time: 4 MB, which stay in the cache
ROUNDING = 1e-5  # of the squared norms: more than a float32 product of centred patches is off
PART = 8  # one in so many bank images is compared with every patch first
FIRST = 8  # patches of an image, the least like those, that are then compared with the whole bank
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
    rows = np.arange(len(queries)) if rows is None else np.asarray(rows)
    left_out = np.full((len(rows), 1), -1) if left_out is None else np.asarray(left_out)
    centre, of_images, norms = _centred(bank)
    m = len(of_images)
    of_query: dict[int, list[int]] = {}
    for request, row in enumerate(rows.tolist()):
        of_query.setdefault(row, []).append(request)
    scores, maps, closest = np.empty(len(rows)), None, np.empty(len(rows), int)
    wanted = np.array(list(of_query))
    for some in _blocks(queries, wanted, of_images):
        images = np.asarray(queries[some], dtype=np.float32) - centre  # (block, p, d)
        n, p, d = images.shape
        nearest = _nearest(images.reshape(-1, d), of_images, norms).reshape(n, p, m)
        maps = np.empty((len(rows), p), np.float16) if maps is None else maps
        for image, distances, row in zip(images, nearest, some.tolist(), strict=True):
            for request in of_query[row]:
                kept = np.setdiff1d(np.arange(m), left_out[request])
                if not len(kept):
                    raise ValueError(f"none of the {m} images of the bank is left")
                scores[request], image_row = _largest(image, distances[:, kept], of_images, norms, kept)
                maps[request] = distances[:, kept].min(axis=1)
                closest[request] = kept[image_row]
    return Answer(scores, np.empty((0, 0), np.float16) if maps is None else maps, closest)


def highest_patch_scores(queries: Patches | np.ndarray, bank: np.ndarray) -> Answer:
    """`patch_scores` of each image by the whole bank, without maps, in about a third of the time.

    The distance to the nearest patch of some bank images is at least that to the nearest of all. So a patch that is closer to
    some than another one of its image is to all cannot decide, and is not compared with the rest.
    """
    centre, of_images, norms = _centred(bank)
    m, _, d = of_images.shape
    if not m:
        raise ValueError("the bank has no images")
    scores, closest = np.empty(len(queries)), np.empty(len(queries), int)
    for some in _blocks(queries, np.arange(len(queries)), of_images):
        images = np.asarray(queries[some], dtype=np.float32) - centre
        n, p, _ = images.shape
        at_most = _nearest(images.reshape(-1, d), of_images[::PART], norms[::PART]).min(axis=1).reshape(n, p)
        first = np.argsort(-at_most, axis=1)[:, :FIRST]
        candidates = np.take_along_axis(images, first[:, :, None], axis=1).reshape(-1, d)
        at_least = _nearest(candidates, of_images, norms).min(axis=1).reshape(n, -1).max(axis=1)
        rounding = 2 * ROUNDING * norms.max()
        row, patch = np.nonzero(at_most**2 >= at_least[:, None] ** 2 * (1 - 2 * CLOSE) - rounding)
        distances = _nearest(images[row, patch], of_images, norms)
        for position, image in enumerate(some.tolist()):
            mine = row == position
            scores[image], closest[image] = _largest(
                images[position, patch[mine]], distances[mine], of_images, norms, np.arange(m)
            )
    return Answer(scores, nearest=closest)


def _centred(bank: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The centre (d,) of a bank (m, b, d), the bank less its centre in float32, and the squared norms (m, b) of that."""
    bank = np.asarray(bank, dtype=np.float32)
    centre = bank.mean(axis=(0, 1))
    centred = bank - centre
    return centre, centred, np.einsum("mbd,mbd->mb", centred, centred)


def _blocks(queries: Patches | np.ndarray, rows: np.ndarray, bank: np.ndarray) -> Iterator[np.ndarray]:
    """Some of the rows of the queries after the other, as many as are compared with a bank (m, b, d) at a time."""
    (m, _, d), p = bank.shape, np.asarray(queries[:1]).shape[1]
    step = max(1, IMAGES // (max(m, d) * max(1, p)))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def _largest(
    patches: np.ndarray, distances: np.ndarray, bank: np.ndarray, norms: np.ndarray, kept: np.ndarray
) -> tuple[float, int]:
    """The largest distance of patches (k, d) to their nearest ones in some images of the bank, and the position of that image.

    distances: (k, r) of `_nearest`, to the images `kept` (r,) of the bank (m, b, d) with the squared norms (m, b).
    """
    of_patches = distances.min(axis=1)
    if not len(patches) or not np.isfinite(of_patches).all():
        raise ValueError("patches of images or of the bank hold NaN or infinite values")
    deciding = np.flatnonzero(of_patches >= of_patches.max() * (1 - CLOSE))
    if len(deciding) > 1:  # patches that are alike, as of a blank border, are looked at once
        deciding = deciding[np.unique(patches[deciding], axis=0, return_index=True)[1]]
    largest = max(_exact(patches[one], distances[one], bank, norms, kept) for one in deciding.tolist())
    return largest, int(distances[of_patches.argmax()].argmin())


def to_images(queries: np.ndarray, bank: np.ndarray) -> np.ndarray:
    """L2 distances (n, p, m) float32 of the patches of n images (n, p, d) to the nearest patch of each bank image (m, b, d)."""
    centre, centred, norms = _centred(bank)
    n, p, d = queries.shape
    patches = (np.asarray(queries, dtype=np.float32) - centre).reshape(-1, d)
    return _nearest(patches, centred, norms).reshape(n, p, len(centred))


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


def _exact(patch: np.ndarray, distances: np.ndarray, bank: np.ndarray, norms: np.ndarray, kept: np.ndarray) -> float:
    """The distance (float64) of one patch (d,) to its nearest; arguments as of `_largest`, distances (r,)."""
    own = float(patch @ patch)
    rounding = ROUNDING * (own + float(norms.max()))
    squares = distances.astype(np.float64) ** 2
    near = kept[squares <= squares.min() * (1 + CLOSE) + rounding]
    some = slice(None) if len(near) == len(bank) else near  # a slice copies nothing
    images, of_images = bank[some].reshape(-1, len(patch)), norms[some].reshape(-1)
    squares = images @ (-2 * patch) + of_images + own
    close = images[squares <= max(0.0, float(squares.min())) * (1 + CLOSE) + rounding]
    difference = close.astype(np.float64) - patch
    return float(np.sqrt(np.einsum("nd,nd->n", difference, difference).min()))


def spread_over(n_images: int, n_patches: int, most: int, generator: np.random.Generator) -> np.ndarray:
    """Which patches of each image a bank of at most `most` keeps, (n_images, b): all of them, or as many of each, at random."""
    each = min(n_patches, max(1, most // n_images))
    if each == n_patches:
        return np.broadcast_to(np.arange(n_patches), (n_images, n_patches))
    return np.stack([np.sort(generator.permutation(n_patches)[:each]) for _ in range(n_images)])
