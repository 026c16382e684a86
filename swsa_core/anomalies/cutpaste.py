"""CutPaste anomalies: a patch of a normal image pasted elsewhere in it (Li et al. 2021)."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from PIL import Image
from pydantic import Field, field_validator, model_validator

from swsa_core.anomalies.source import Images, Made, Source, Task, number
from swsa_core.basics.errors import InputError
from swsa_core.basics.look import Look
from swsa_core.basics.section import Anomalies, LeftOutIfNull, Range, Section, inconsistent
from swsa_core.files.images import colours_of, fit_of

Pasted = tuple[np.ndarray, tuple[int, ...]]
"""An anomaly (H, W, 3) uint8, and its box."""
MAX_DRAWS = 100
CENTRAL = 224 / 256  # of each side, that the usual central crop of a network shows
MIN_CHANGED = 0.01  # of the pixels of the central crop
MIN_OF_SCAR = 0.5  # of the scar's own pixels, of which there are too few for the share above
PAPER_SIDE = 256  # the image side that the sizes of a scar are told for


class CutPaste(Section):
    form: Literal["patch", "scar"] = "patch"
    """What is pasted elsewhere: a rectangle (`patch`), or a thin rotated rectangle (`scar`, CutPaste-Scar)."""
    area: Range = [0.02, 0.15]
    """Range of the area of the pasted patch as a share of the image, drawn uniformly. It has no effect on scars."""
    aspect: Range = [0.3, 3.3]
    """Range of the width over the height of the patch, drawn log-uniformly. It has no effect on scars."""
    scar_width: Range = [2, 16]
    """Range of the width of a scar in pixels of an image of 256, drawn uniformly and scaled to other sizes."""
    scar_length: Range = [10, 25]
    """Range of the length of a scar in pixels of an image of 256."""
    scar_rotation: Range = [-45, 45]
    """Range of the degrees by which a scar is rotated."""
    jitter: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Strength of the colour jitter of what is pasted. Li et al. use 0.1."""
    n: Annotated[Anomalies | None, LeftOutIfNull] = None
    """Anomalies per task. If left out, (seeds / 2)², as many as the other sources have."""

    @field_validator("area", "aspect", "scar_width", "scar_length")
    @classmethod
    def _increasing(cls, value, info):
        upper = {"area": 1, "aspect": float("inf")}.get(info.field_name, 128)
        if not 0 < value[0] <= value[1] <= upper:
            raise ValueError(f"expected 0 < low <= high{f' <= {upper}' if upper < float('inf') else ''}")
        return value

    @field_validator("scar_rotation")
    @classmethod
    def _degrees(cls, value):
        if not -180 <= value[0] <= value[1] <= 180:
            raise ValueError("expected -180 <= low <= high <= 180")
        return value

    @model_validator(mode="after")
    def _of_the_form(self):
        for name, key in type(self).model_fields.items():
            if self.form == "patch" and name.startswith("scar_") and getattr(self, name) != key.default:
                raise inconsistent(f"{name} is about scars: add `form: scar`, or remove it")
        return self


def cutpaste(
    image: np.ndarray,
    rng: np.random.Generator,
    area: Sequence[float] = (0.02, 0.15),
    aspect: Sequence[float] = (0.3, 3.3),
    jitter: float = 0.0,
    seen: float = CENTRAL,
) -> Pasted:
    """One CutPaste anomaly of an image (Li et al. 2021, Sec. 2.2), by default without colour jitter.

    image: (H, W, 3) uint8. area: share of the image that the patch covers, drawn uniformly. aspect: width over height of
    the patch, drawn log-uniformly. jitter: see `jittered`. Patch and target are drawn again until the patch fits, its
    target is elsewhere, and at least 1 % of the pixels of the central share `seen` of each side change in some channel before
    jitter: a backbone's central crop sees the anomaly.
    Returns (anomaly (H, W, 3) uint8, box (w, h, x, y, to_x, to_y) in pixels).
    Raises InputError after 100 draws in vain, as for an image of one colour.
    """
    height, width = image.shape[:2]
    colours = rng.spawn(1)[0]  # a stream of its own, for the patch that is taken: jitter moves none

    def draw():
        w, h = _patch_size(height, width, rng, area, aspect)
        if not (1 <= w <= width and 1 <= h <= height):
            return None
        x, to_x = rng.integers(0, width - w, size=2, endpoint=True)
        y, to_y = rng.integers(0, height - h, size=2, endpoint=True)

        def paste(patch):
            anomaly = image.copy()
            anomaly[to_y : to_y + h, to_x : to_x + w] = patch
            return anomaly

        return paste, (w, h, int(x), int(y), int(to_x), int(to_y)), MIN_CHANGED

    wanted = f"{MIN_CHANGED:.0%} of the {'central pixels' if seen < 1 else 'pixels'}"
    paste, patch, box = _first_that_shows(image, draw, seen, wanted, f"area {list(area)} and aspect {list(aspect)}")
    return paste(jittered(patch, colours, jitter)), box


def cutpaste_scar(
    image: np.ndarray,
    rng: np.random.Generator,
    width: Sequence[float] = (2, 16),
    length: Sequence[float] = (10, 25),
    rotation: Sequence[float] = (-45, 45),
    jitter: float = 0.0,
    seen: float = CENTRAL,
) -> Pasted:
    """One CutPaste-Scar anomaly of an image (Li et al. 2021): a thin rectangle, rotated and pasted elsewhere.

    image: (H, W, 3) uint8. width, length: of the upright rectangle, in pixels of an image whose shorter side has 256,
    scaled to this one, at least one pixel; rotation: in degrees; all drawn uniformly. jitter: see `jittered`.
    Drawn again until the scar's bounding box is elsewhere, and pixels change inside the central share `seen` of each side that
    number at least half of the scar's own, before jitter.
    Returns (anomaly (H, W, 3) uint8, box (w, h, x, y, to_x, to_y, to_w, to_h) in pixels: the rectangle that was taken, and
    the bounding box of the scar). Raises InputError after 100 draws in vain, as for an image of one colour.
    """
    rows, columns = image.shape[:2]
    scale = min(rows, columns) / PAPER_SIDE
    n_central = image[_central(image, seen)][..., 0].size
    colours = rng.spawn(1)[0]

    def draw():
        w, h = (max(1, round(rng.uniform(*limits) * scale)) for limits in (width, length))
        if w > columns or h > rows:
            return None
        x, y = rng.integers(0, columns - w, endpoint=True), rng.integers(0, rows - h, endpoint=True)
        degrees = rng.uniform(*rotation)
        _, covered = _rotated(image[y : y + h, x : x + w], degrees)
        to_h, to_w = covered.shape
        if to_w > columns or to_h > rows:
            return None
        to_x, to_y = rng.integers(0, columns - to_w, endpoint=True), rng.integers(0, rows - to_h, endpoint=True)

        def paste(patch):
            anomaly = image.copy()
            anomaly[to_y : to_y + to_h, to_x : to_x + to_w][covered] = _rotated(patch, degrees)[0][covered]
            return anomaly

        box = w, h, int(x), int(y), int(to_x), int(to_y), to_w, to_h
        return paste, box, MIN_OF_SCAR * covered.sum() / n_central

    wanted = f"{MIN_OF_SCAR:.0%} of a scar's pixels{' inside the centre' if seen < 1 else ''}"
    paste, patch, box = _first_that_shows(image, draw, seen, wanted, f"width {list(width)} and length {list(length)}")
    return paste(jittered(patch, colours, jitter)), box


def by_config(source: dict[str, Any], seen: float = CENTRAL) -> Callable[[np.ndarray, np.random.Generator], Pasted]:
    """The form of CutPaste that the config's section asks for, as a function of image and rng; seen: as of `cutpaste`."""
    if source["form"] == "scar":
        shape = {"width": source["scar_width"], "length": source["scar_length"], "rotation": source["scar_rotation"]}
        return partial(cutpaste_scar, **shape, jitter=source["jitter"], seen=seen)
    return partial(cutpaste, area=source["area"], aspect=source["aspect"], jitter=source["jitter"], seen=seen)


def cutpaste_per_image(
    images: Images,
    n: int,
    rng: np.random.Generator,
    make: Callable[[np.ndarray, np.random.Generator], Pasted] = cutpaste,
) -> Iterator[tuple[str, np.ndarray, tuple[int, ...]]]:
    """`n` CutPaste anomalies of the images in turn, so that counts per image differ by at most one.

    images: {image id: (H, W, 3) uint8}; make: (image, rng) -> (anomaly, box). Yields (parent image id, anomaly, box) in a
    stable order.
    """
    ids = list(images)
    for i in range(n):
        parent = ids[i % len(ids)]
        try:
            yield parent, *make(images[parent], rng)
        except InputError as error:
            raise InputError(f"image {parent!r}: {error}") from None


def jittered(patch: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Colour jitter of a patch (h, w, 3) uint8, as torchvision's ColorJitter does it: 0.1 in Li et al.

    Brightness, contrast and saturation are scaled by factors from 1 ± strength, the hue is turned by ± strength of a full
    turn; all are drawn uniformly and applied in random order. 0 leaves the patch as it is.
    """
    if strength == 0:
        return patch
    from torchvision.transforms.v2 import functional  # seconds to import, for this alone

    adjustments = [
        (functional.adjust_brightness, 1),
        (functional.adjust_contrast, 1),
        (functional.adjust_saturation, 1),
        (functional.adjust_hue, 0),
    ]
    picture = Image.fromarray(patch)
    for i in rng.permutation(len(adjustments)):
        adjust, centre = adjustments[i]
        picture = adjust(picture, centre + rng.uniform(-strength, strength))
    return np.array(picture)


def _patch_size(height, width, rng, area, aspect):
    pixels = rng.uniform(*area) * height * width
    ratio = np.exp(rng.uniform(*np.log(aspect)))
    return round(np.sqrt(pixels * ratio)), round(np.sqrt(pixels / ratio))


def _rotated(patch, degrees):
    """A patch turned within its new bounding box (h, w, 3), and which pixels of that it covers (h, w) bool.

    Each pixel is a pixel of the patch, so that no colour of a background is mixed in at the edges.
    """
    turn = partial(Image.Image.rotate, angle=degrees, resample=Image.Resampling.NEAREST, expand=True)
    covered = np.array(turn(Image.fromarray(np.full(patch.shape[:2], 255, np.uint8)))) > 0
    return np.array(turn(Image.fromarray(patch))), covered


def _first_that_shows(image, draw, seen, wanted, settings):
    """(paste, patch, box) of the first draw whose target is elsewhere and that changes enough of the central pixels.

    draw: () -> (paste, box (w, h, x, y, to_x, to_y, ...), least share of the central pixels), or None where the patch does
    not fit; paste: patch (h, w, 3) -> anomaly.
    """
    for _ in range(MAX_DRAWS):
        if (drawn := draw()) is None:
            continue
        paste, box, least = drawn
        w, h, x, y, to_x, to_y = box[:6]
        patch = image[y : y + h, x : x + w]
        if (x, y) != (to_x, to_y) and _changed_centrally(image, paste(patch), seen) >= least:
            return paste, patch, box
    height, width = image.shape[:2]
    raise InputError(
        f"none of {MAX_DRAWS} CutPaste draws changed {wanted} of a {width} x {height} image with {settings}: "
        f"{_appearance(image)}; remove it, or leave sources.cutpaste out (`snakemake inspect` shows which images stand out)"
    )


def _appearance(image):
    """How an image looks in which no patch shows, as a part of a sentence."""
    found = colours_of(image)
    share = f"{found.share:.1%}".replace("100.0%", "100%" if found.number == 1 else "more than 99.9%")
    counted = "one colour" if found.number == 1 else f"{found.number:,} colours, the commonest on {share} of its pixels"
    doubt = ", and with so few it may be a mask or a label map, not an image of the product" if found.few else ""
    return f"it is nearly of one colour (it has {counted}){doubt}"


def _central(image, seen):
    """Index of the central share `seen` of each side."""
    top, left = (round(side * (1 - seen) / 2) for side in image.shape[:2])
    return np.s_[top : image.shape[0] - top, left : image.shape[1] - left]


def _changed_centrally(image, anomaly, seen):
    """Share of the pixels inside the central crop that differ in any channel."""
    inside = _central(image, seen)
    return (image[inside] != anomaly[inside]).any(-1).mean()


def make(task: Task, section: dict, rng: np.random.Generator) -> Made:
    """CutPaste anomalies of the seed images in turn."""
    seen = CENTRAL if fit_of(task.preparation) == "crop" else 1.0  # the candidates then see all of the image
    n = number(len(task.seeds), section)
    anomalies = cutpaste_per_image(task.seeds, n, rng, by_config(section, seen))
    parents, images, boxes = zip(*anomalies, strict=True)
    areas = [w * h / (image.shape[0] * image.shape[1]) for (w, h, *_), image in zip(boxes, images, strict=True)]
    return Made(list(images), np.array(parents)[:, None], {"boxes": np.array(boxes), "areas": np.array(areas)})


SOURCE = Source(
    CutPaste,
    title="CutPaste",
    about="A part of a seed image pasted elsewhere (Li et al. 2021).",
    look=Look("#009E73", "s"),
    make=make,
    parents=1,
    seconds_per_pixel=1.7e-8,
    in_paper=True,
    reference="Li et al. 2021",
    strength="areas",
    grades=lambda section: section["area"] if section["form"] == "patch" else section["scar_length"],
)
