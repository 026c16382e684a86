"""Contact sheets: the seed images of a task beside the synthetic anomalies that decided its recommendation."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np
from PIL import Image

from swsa_core.files.images import longer_side_to

N_SEEDS, N_HARDEST = 10, 8
CROSS_WIDTH = 480, 960  # pixels: a narrower sheet of all pairs is enlarged, a wider one made smaller
OUTLINE = (213, 94, 0)  # vermillion of Okabe and Ito


class Recommended(Protocol):
    """What is read of a recommended row of `swsa_core.report.tables.picks`."""

    dataset: str
    task: str
    source: str
    candidate: str
    protocol: str


@dataclass(frozen=True)
class Sheet:
    """Images of one task: some seed images, and the synthetic anomalies that the recommended candidate found most normal."""

    dataset: str
    task: str
    source: str
    candidate: str
    seeds: list[np.ndarray]  # of (H, W, 3) uint8
    n_seeds: int  # of the task, shown or not
    anomalies: list[np.ndarray]  # of (H, W, 3) uint8, the hardest first
    n_anomalies: int
    parents: list[
        list[np.ndarray]
    ]  # a list of (H, W, 3) uint8 for each anomaly, all of one length: 0, 1, or 2 for style and content
    # (len(anomalies), 6 or 8) int: width, height, x, y, to_x, to_y, of a scar to_width, to_height
    boxes: np.ndarray | None


def collect(
    pick: Recommended,
    seed_ids: Sequence[str],
    read: Callable[[str], np.ndarray],
    scores: np.ndarray,
    anomaly: Callable[[int], np.ndarray],
    parents: np.ndarray | None = None,
    boxes: np.ndarray | None = None,
    n_seeds: int = N_SEEDS,
    n_hardest: int = N_HARDEST,
) -> Sheet:
    """The contact sheet of one task: its first seed images and the anomalies with the lowest scores, the lowest first.

    pick: recommended row of tables.picks (dataset, task, source, candidate).
    seed_ids: image ids; read: image id -> (H, W, 3) uint8, for seeds and parents.
    scores: (n,) anomaly scores by the recommended candidate; anomaly: row in 0..n-1 -> (H, W, 3) uint8.
    parents: (n, P) image ids, boxes: (n, 6 or 8) of CutPaste; None where the source has none.
    """
    hardest = np.argsort(np.asarray(scores), kind="stable")[:n_hardest]
    return Sheet(
        dataset=pick.dataset,
        task=pick.task,
        source=pick.source,
        candidate=pick.candidate,
        seeds=[read(image_id) for image_id in seed_ids[:n_seeds]],
        n_seeds=len(seed_ids),
        anomalies=[anomaly(int(row)) for row in hardest],
        n_anomalies=len(scores),
        parents=[[read(image_id) for image_id in parents[row]] if parents is not None else [] for row in hardest],
        boxes=None if boxes is None else np.asarray(boxes)[hardest],
    )


def pictures(sheet: Sheet, i: int) -> list[np.ndarray]:
    """[parents..., anomaly] of anomaly `i` of a sheet, with the patch outlined on both where boxes are known."""
    parents, anomaly = sheet.parents[i], sheet.anomalies[i]
    if sheet.boxes is None:
        return [*parents, anomaly]
    width, height, x, y, to_x, to_y, *to_size = map(int, sheet.boxes[i])
    taken = [outlined(image, (x, y, width, height)) for image in parents[:1]]
    return [*taken, *parents[1:], outlined(anomaly, (to_x, to_y, *(to_size or (width, height))))]


def cross_sheet(
    styles: Sequence[np.ndarray], contents: Sequence[np.ndarray], anomalies: np.ndarray, gap: int = 4
) -> np.ndarray:
    """Contact sheet of all pairs as in Figure 2: style images on top, content images at the left, (h, w, 3) uint8.

    styles: n, contents: m images (H, W, 3) uint8; anomalies: (n, m, H, W, 3) uint8.
    """
    side = len(styles[0])
    tile = side + gap
    sheet = np.full((tile * (len(contents) + 1) + 2 * gap, tile * (len(styles) + 1) + 2 * gap, 3), 255, np.uint8)

    def put(row, column, image):
        # the originals stand a little apart from what was made of them
        top, left = (gap + tile * i + (gap if i else 0) for i in (row, column))
        sheet[top : top + side, left : left + side] = image

    for i, style in enumerate(styles):
        put(0, i + 1, style)
        for j, content in enumerate(contents):
            put(j + 1, 0, content)
            put(j + 1, i + 1, anomalies[i, j])
    return sheet


def sheet_of_all(seeds: dict[str, np.ndarray], images: Sequence[np.ndarray], parents: np.ndarray) -> np.ndarray:
    """Every anomaly of one task beside the seed images that it was made from, (h, w, 3) uint8.

    seeds: {image id: image}; images: n of (h, w, 3) uint8; parents: (n, P) image ids.
    All pairs of style and content images make a cross, as in Figure 2; else anomalies stand in the row of their first parent.
    """
    if parents.shape[1] == 2:
        firsts, seconds = (list(dict.fromkeys(column)) for column in parents.T)
        if [tuple(pair) for pair in parents] == list(product(firsts, seconds)):
            whole = np.reshape(images, (len(firsts), len(seconds), *images[0].shape))
            return cross_sheet([seeds[i] for i in firsts], [seeds[i] for i in seconds], whole)
    rows = [
        [seeds[i], *(images[int(k)] for k in np.flatnonzero(parents[:, 0] == i))] for i in dict.fromkeys(parents[:, 0])
    ]
    return grid(rows, apart=True)


def sheet_of_pairs(seeds: dict[str, np.ndarray], images: Sequence[np.ndarray], parents: np.ndarray) -> np.ndarray:
    """Each seed image right above what became of it, ten pairs in a row, (h, w, 3) uint8.

    seeds: {image id: image (H, W, 3) uint8}; images: n of the same size; parents: (n, 1) image ids.
    """
    line = np.full((1, images[0].shape[1], 3), 255, np.uint8)
    pairs = [np.vstack([seeds[image_id], line, image]) for image, (image_id,) in zip(images, parents, strict=True)]
    return grid(in_rows(pairs), apart=False)


def sheet_by_text(
    seeds: dict[str, np.ndarray],
    images: Sequence[np.ndarray],
    parents: np.ndarray,
    texts: np.ndarray,
    alphas: np.ndarray,
) -> np.ndarray:
    """The anomalies of a task that a text makes at several strengths, (h, w, 3) uint8: a block per text, one above the other.

    In a block a seed image stands at the left of its anomalies, weakest first. seeds: {image id: image}; images: n of
    (h, w, 3) uint8; parents: (n, 1) image ids; texts, alphas: (n,).
    """
    blocks = []
    for text in dict.fromkeys(texts):
        rows = []
        for image_id in dict.fromkeys(parents[:, 0]):
            mine = np.flatnonzero((texts == text) & (parents[:, 0] == image_id))
            rows.append([seeds[image_id], *(images[int(k)] for k in mine[np.argsort(alphas[mine], kind="stable")])])
        blocks.append(grid(rows, apart=True))
    gap = np.full((8, blocks[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([part for block in blocks for part in (block, gap)][:-1])


def in_rows(images: list[np.ndarray], length: int = 10) -> list[list[np.ndarray]]:
    """Images in rows of `length`."""
    return [images[first : first + length] for first in range(0, len(images), length)]


def grid(rows: list[list[np.ndarray]], apart: bool, gap: int = 4) -> np.ndarray:
    """Images in rows, each at the upper left of its tile; apart: whether the first column stands a little apart."""
    height, width = (max(image.shape[axis] for row in rows for image in row) + gap for axis in (0, 1))
    columns = max(map(len, rows))
    sheet = np.full((height * len(rows) + gap, width * columns + gap * (1 + apart), 3), 255, np.uint8)
    for r, row in enumerate(rows):
        for c, image in enumerate(row):
            top, left = gap + height * r, gap + width * c + (gap if apart and c else 0)
            sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
    return sheet


def outlined(image: np.ndarray, box: tuple[int, ...], side: int = 96) -> np.ndarray:
    """`image` enlarged to at least `side` pixels, with an outline just around `box` (x, y, width, height)."""
    picture = np.array(enlarged(image, side))
    factor = len(picture) // len(image)
    line = max(1, round(min(picture.shape[:2]) / 64))
    x, y, width, height = (int(value) * factor for value in box)
    rows, columns = np.ogrid[: picture.shape[0], : picture.shape[1]]
    # Chebyshev distance from the box; a white line outside of the coloured one keeps it visible on any ground.
    distance = np.maximum(
        np.maximum(y - rows, rows - (y + height - 1)), np.maximum(x - columns, columns - (x + width - 1))
    )
    picture[(distance > line) & (distance <= line + max(1, line // 2))] = 255
    picture[(distance > 0) & (distance <= line)] = OUTLINE
    return picture


def thumbnail(image: np.ndarray, side: int = 160) -> np.ndarray:
    """The central square of an image at `side` pixels; a smaller one is enlarged by a whole factor, without blurring."""
    short = min(image.shape[:2])
    top, left = ((length - short) // 2 for length in image.shape[:2])
    square = image[top : top + short, left : left + short]
    if short < side:
        return enlarged(square, side)
    return np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.LANCZOS))


def enlarged(image: np.ndarray, side: int) -> np.ndarray:
    """`image` with each pixel repeated, as often as its shorter side needs to reach `side` pixels."""
    factor = max(1, -(-side // min(image.shape[:2])))
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def data_uri(image: np.ndarray, side: int = 160) -> str:
    """An image (H, W, 3) uint8 as a data URI of a small square picture: PNG if it was enlarged, otherwise WebP."""
    picture = thumbnail(image, side)
    return _uri(picture, exact=min(image.shape[:2]) < len(picture))


def whole_uri(image: np.ndarray, side: int = 160) -> str:
    """All of an image (H, W, 3) uint8 as a data URI: its longer side is `side` pixels, or as many as a whole factor makes."""
    if max(image.shape[:2]) >= side:
        return _uri(longer_side_to(image, side, Image.Resampling.LANCZOS), exact=False)
    factor = side // max(image.shape[:2])
    return _uri(image.repeat(factor, axis=0).repeat(factor, axis=1), exact=True)


def cross_uri(sheet: np.ndarray) -> str:
    """A sheet of all pairs (h, w, 3) uint8 as a data URI of the whole sheet, in a width that suits a page."""
    least, most = CROSS_WIDTH
    height, width = sheet.shape[:2]
    if width > most:
        size = most, round(height * most / width)
        return _uri(np.asarray(Image.fromarray(sheet).resize(size, Image.Resampling.LANCZOS)), exact=False)
    factor = -(-least // width)
    return _uri(sheet.repeat(factor, axis=0).repeat(factor, axis=1), exact=factor > 1)


def _uri(picture, exact):
    """A picture (h, w, 3) uint8 as a data URI: PNG where every pixel matters, else WebP, two thirds of a JPEG's size."""
    kind, options = ("png", {}) if exact else ("webp", {"quality": 75})
    data = io.BytesIO()
    Image.fromarray(picture).save(data, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(data.getvalue()).decode()}"
