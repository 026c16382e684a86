"""CutPaste anomalies: a patch of a normal image pasted elsewhere in it (Li et al. 2021)."""

import numpy as np

from swsa_core.errors import InputError

MAX_DRAWS = 100
CENTRAL = 224 / 256
MIN_CHANGED = 0.01


def cutpaste(image, rng, area=(0.02, 0.15), aspect=(0.3, 3.3)):
    """One CutPaste anomaly of an image (Li et al. 2021, Sec. 2.2), without colour jitter.

    image: (H, W, 3) uint8. area: share of the image that the patch covers, drawn uniformly. aspect: width over height of
    the patch, drawn log-uniformly. Patch and target are drawn again until the patch fits, its target is elsewhere, and
    at least 1 % of the pixels of the central 224/256 of each side change in some channel: a backbone's central crop sees
    the anomaly.
    Returns (anomaly (H, W, 3) uint8, box (w, h, x, y, to_x, to_y) in pixels).
    Raises InputError after 100 draws in vain, as for an image of one colour.
    """
    height, width = image.shape[:2]
    for _ in range(MAX_DRAWS):
        w, h = _patch_size(height, width, rng, area, aspect)
        if not (1 <= w <= width and 1 <= h <= height):
            continue
        x, to_x = rng.integers(0, width - w, size=2, endpoint=True)
        y, to_y = rng.integers(0, height - h, size=2, endpoint=True)
        anomaly = image.copy()
        anomaly[to_y : to_y + h, to_x : to_x + w] = image[y : y + h, x : x + w]
        if (x, y) != (to_x, to_y) and _changed_centrally(image, anomaly) >= MIN_CHANGED:
            return anomaly, (w, h, int(x), int(y), int(to_x), int(to_y))
    raise InputError(
        f"none of {MAX_DRAWS} CutPaste draws changed {MIN_CHANGED:.0%} of the central pixels of a {width} x {height} "
        f"image with area {list(area)} and aspect {list(aspect)}: it is nearly of one colour; remove it, or leave "
        "sources.cutpaste out"
    )


def cutpaste_per_image(images, n, rng, area=(0.02, 0.15), aspect=(0.3, 3.3)):
    """`n` CutPaste anomalies of the images in turn, so that counts per image differ by at most one.

    images: {image id: (H, W, 3) uint8}. Yields (parent image id, anomaly, box) in a stable order.
    """
    ids = list(images)
    for i in range(n):
        parent = ids[i % len(ids)]
        try:
            yield parent, *cutpaste(images[parent], rng, area, aspect)
        except InputError as error:
            raise InputError(f"image {parent!r}: {error}") from None


def _patch_size(height, width, rng, area, aspect):
    pixels = rng.uniform(*area) * height * width
    ratio = np.exp(rng.uniform(*np.log(aspect)))
    return round(np.sqrt(pixels * ratio)), round(np.sqrt(pixels / ratio))


def _changed_centrally(image, anomaly):
    """Share of the pixels inside the central crop that differ in any channel."""
    top, left = (round(side * (1 - CENTRAL) / 2) for side in image.shape[:2])
    inside = np.s_[top : image.shape[0] - top, left : image.shape[1] - left]
    return (image[inside] != anomaly[inside]).any(-1).mean()
