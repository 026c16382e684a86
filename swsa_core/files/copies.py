"""Copies of a picture: files that hold the same pixels, and the same photograph saved again.

A copy in the bank lies at distance 0 of its original, which makes that normal look perfect. Copies are found by the digest of
the decoded pixels; near copies (another JPEG quality, another format, a little noise) by thumbnails, and then by the images
themselves at full size. Near copies must also be far more alike than the images of the task usually are, as photographs of a
rigid product on a fixed stage differ by little more than noise. Not found are two sizes of one photograph, one that was
developed anew, brighter or darker, and, saved again with loss, photographs below about 128 pixels, of little contrast, or of
which most were saved again: different products must never be joined.

The limits were chosen on real photographs, all pairs of different ones against each photograph saved again:

| | r | colours | cells |
|---|---|---|---|
| limit | 0.20 | 10 | 10 |
| saved again as JPEG of quality 50 or more, or with noise of 3 grey values | at most 0.20 | at most 9 | at most 4 |
| saved again as WebP of quality 80 or more | at most 0.20 | at most 5 | at most 4 |
| bottles of MVTec-AD, 143 rigid products on a fixed stage | at least 0.24 | at least 14 | at least 20 |
| 560 images of Flowers-102 and 543 of CUB-200-2011 | at least 0.86 | | |

r is the root mean square of the difference between the edges of the grey thumbnails, relative to that of the edges: about 1.4
for pictures that have nothing in common. Colours and cells are the largest differences of a mean grey value.
Two exceptions among the real pairs were looked at: image_07307 and image_07309 of Flowers-102 are the same file, and
Laysan_Albatross_0065_809 and _0096_673 of CUB are one photograph developed twice (r 0.22, colours 41), which stays two images.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

OUTLINE = 64  # pixels of the grey thumbnail's side
COLOURS = 16  # of the coloured one's
CELL = 8  # pixels of an image at full size whose mean is compared
MOST_R, MOST_COLOURS, MOST_CELLS = 0.20, 10, 10  # what near copies may differ by, see above
FEWEST, SURE_R = 5, 0.05  # pictures that tell how alike they usually are, and the largest r among fewer
LEAST_CONTRAST = 1.0  # grey values between neighbours of the thumbnail: without any, all pictures look the same
BLOCK = 256  # pictures that are compared with all others at a time
FEW, MANY = 32, 256  # different colours of a drawing or a mask, and of a photograph


class Picture(NamedTuple):
    """What is kept of an image to find its copies."""

    digest: bytes
    shape: tuple[int, ...]
    edges: np.ndarray  # (2 * 64 * 63,) float32: differences between neighbours of the grey thumbnail
    colours: np.ndarray  # (16, 16, 3) float32
    n_colours: int  # different colours of at most 256 x 256 of its pixels


def picture(image: np.ndarray) -> Picture:
    """`Picture` of an image (H, W, 3) uint8."""
    pil = Image.fromarray(image)
    grey = _resized(pil.convert("L"), OUTLINE)  # (64, 64)
    edges = np.concatenate([np.diff(grey, axis=0).ravel(), np.diff(grey, axis=1).ravel()])
    step = max(1, max(image.shape[:2]) // 256)
    some = image[::step, ::step].astype(np.uint32)
    n_colours = len(np.unique(some[..., 0] << 16 | some[..., 1] << 8 | some[..., 2]))
    digest = sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).digest()
    return Picture(digest, image.shape, edges, _resized(pil, COLOURS), n_colours)


def groups_of_copies(pictures: Mapping[str, Picture], read: Callable[[str], np.ndarray]) -> list[list[str]]:
    """The groups of two or more images that show one picture, each in the order of `pictures`, by the order of their first.

    read: image id -> (H, W, 3) uint8, called only for images whose thumbnails are alike. A near copy must be far more alike
    than these images usually are: photographs of one product on a fixed stage stay apart. It is one of the first of its group,
    never of another near copy.
    """
    ids = list(pictures)
    first = list(range(len(ids)))  # number of the image that each is a copy of, its own where it is none
    known: dict[bytes, int] = {}
    for number, image_id in enumerate(ids):
        first[number] = known.setdefault(pictures[image_id].digest, number)
    numbers = list(known.values())
    distinct = [pictures[ids[number]] for number in numbers]
    for i, j in _alike(distinct, limit_of_r(distinct)):
        i, j = numbers[i], numbers[j]
        if first[i] == i and first[j] == j and same_at_full_size(read(ids[i]), read(ids[j])):
            first[j] = i
    members: dict[int, list[str]] = {}
    for number, image_id in enumerate(ids):
        members.setdefault(first[first[number]], []).append(image_id)
    return [several for several in members.values() if len(several) > 1]


def limit_of_r(pictures: Sequence[Picture]) -> float:
    """The largest r of near copies among these pictures, which are all different.

    It is at most a third of what most of them are apart from the one that is most like them, so that photographs that are all
    alike are not taken for copies of each other; among too few to tell, a twentieth.
    """
    if len(pictures) < FEWEST:
        return SURE_R
    nearest = np.concatenate([block.min(axis=1) for _, block in _ratios(pictures)])
    return float(min(MOST_R, np.quantile(nearest, 0.75) / 3))


def likeness(one: np.ndarray, other: np.ndarray) -> Literal["same", "near", ""]:
    """Whether two images (H, W, 3) uint8 hold the same pixels, or are near copies by the widest limits, or neither."""
    pictures = [picture(one), picture(other)]
    if pictures[0].digest == pictures[1].digest:
        return "same"
    return "near" if _alike(pictures, MOST_R) and same_at_full_size(one, other) else ""


def same_at_full_size(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether the grey values of two images of one size agree in the mean of every cell of 8 x 8 pixels.

    A defect, a printed number or a part that one of them lacks is in some cells only.
    """
    if one.shape != other.shape:
        return False
    first, second = (np.asarray(Image.fromarray(image).convert("L").reduce(CELL)).astype(int) for image in (one, other))
    return bool(np.abs(first - second).max() <= MOST_CELLS)


def drawings_among(pictures: Mapping[str, Picture]) -> list[str]:
    """The images of few colours, such as masks, where others are photographs; [] where all are of one sort."""
    few = [image_id for image_id, one in pictures.items() if one.n_colours <= FEW]
    return few if any(one.n_colours > MANY for one in pictures.values()) else []


def _alike(pictures, most_r):
    """Pairs (i, j), i < j, of pictures of one shape whose thumbnails are alike, r at most `most_r`, in order."""
    found = [
        (i + start, j)
        for start, block in _ratios(pictures)
        for i, j in zip(*map(np.ndarray.tolist, np.nonzero(block <= most_r)), strict=True)
        if i + start < j
    ]
    return [
        (i, j)
        for i, j in found
        if pictures[i].shape == pictures[j].shape
        and np.abs(pictures[i].colours - pictures[j].colours).max() <= MOST_COLOURS
    ]


def _ratios(pictures):
    """(first row, r (k, n)) of some pictures against all; infinite of a picture to itself, and where one has no contrast."""
    edges = np.stack([one.edges for one in pictures])
    squares = np.einsum("nd,nd->n", edges, edges)
    enough = squares >= LEAST_CONTRAST**2 * edges.shape[1]
    for start in range(0, len(pictures), BLOCK):
        block = slice(start, start + BLOCK)
        both = np.maximum((squares[block, None] + squares) / 2, np.finfo(np.float32).tiny)
        r = np.sqrt(np.maximum(2 - 2 * edges[block] @ edges.T / both, 0))
        r[~(enough[block, None] & enough)] = np.inf
        r[np.arange(len(r)), np.arange(start, start + len(r))] = np.inf
        yield start, r


def _resized(image, side):
    return np.asarray(image.resize((side, side), Image.Resampling.BOX), np.float32)
