"""Mix: regions of another normal image blended in without a seam (Schlüter et al. 2022, NSA)."""

from typing import Annotated

import numpy as np
from PIL import Image
from pydantic import Field, field_validator

from swsa_core.anomalies.source import Made, Source, Task, another, in_turn
from swsa_core.anomalies.visible import first_visible, to_uint8
from swsa_core.basics.errors import InputError
from swsa_core.basics.look import Look
from swsa_core.basics.section import Anomalies, LeftOutIfNull, Range, Section

SCALE = 0.7, 1.3  # of a region on its way from one image to the other
SMALLEST = 4  # pixels of a region's side


class Mix(Section):
    area: Range = [0.03, 0.2]
    """Range of the area of one region as a share of the image, drawn uniformly."""
    aspect: Range = [0.5, 2.0]
    """Range of the width over the height of a region, drawn log-uniformly."""
    regions: Annotated[int, Field(ge=1, le=100)] = 2
    """Most regions of one anomaly; their number is drawn uniformly."""
    n: Annotated[Anomalies | None, LeftOutIfNull] = None
    """Anomalies per task. If left out, (seeds / 2)², as many as the other sources have."""

    @field_validator("area", "aspect")
    @classmethod
    def _increasing(cls, value, info):
        upper = 0.5 if info.field_name == "area" else 10
        if not 0 < value[0] <= value[1] <= upper:
            raise ValueError(f"expected 0 < low <= high <= {upper}")
        return value


def blended(region: np.ndarray, patch: np.ndarray) -> np.ndarray:
    """A patch with its own gradients and the colours at the border of a region: Poisson blending (Pérez et al. 2003, Eq. 10).

    region, patch: (h, w, 3), at least 3 x 3. Returns (h, w, 3) float64, the outermost pixels those of `region`. A rectangle's
    Poisson equation is diagonal in the sine transform, so it is solved exactly.
    """
    from scipy.fft import dstn, idstn

    # The patch plus a harmonic function, which is the difference of the two at the border
    difference = region.astype(np.float64) - patch
    rim = difference.copy()
    rim[1:-1, 1:-1] = 0
    known = rim[:-2, 1:-1] + rim[2:, 1:-1] + rim[1:-1, :-2] + rim[1:-1, 2:]
    height, width = known.shape[:2]
    rows, columns = (2 * np.cos(np.pi * np.arange(1, n + 1) / (n + 1)) for n in (height, width))
    factors = 4 - rows[:, None] - columns
    inner = idstn(dstn(known, 1, axes=(0, 1)) / factors[..., None], 1, axes=(0, 1))
    found = region.astype(np.float64)
    found[1:-1, 1:-1] = patch[1:-1, 1:-1] + inner
    return found


def mixed(image: np.ndarray, other: np.ndarray, section: dict, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """(anomaly (H, W, 3) uint8, share of it that is of the other image)."""
    anomaly, covered = image.astype(np.float64), np.zeros(image.shape[:2], bool)
    for _ in range(rng.integers(1, section["regions"], endpoint=True)):
        pixels, ratio = rng.uniform(*section["area"]) * covered.size, np.exp(rng.uniform(*np.log(section["aspect"])))
        height, width = (max(SMALLEST, round(np.sqrt(side))) for side in (pixels / ratio, pixels * ratio))
        place = _somewhere(anomaly, height, width, rng)
        scale = rng.uniform(*SCALE)
        taken = other[_somewhere(other, round(height / scale), round(width / scale), rng)]
        region = anomaly[place]
        patch = Image.fromarray(taken).resize(region.shape[1::-1], Image.Resampling.BILINEAR)
        anomaly[place] = blended(region, np.asarray(patch))
        covered[place] = True
    return to_uint8(anomaly), float(covered.mean())


def _somewhere(image: np.ndarray, height: int, width: int, rng: np.random.Generator) -> tuple[slice, slice]:
    """A region of an image, anywhere, as an index; no larger than the image."""
    spans = []
    for wanted, most in zip((height, width), image.shape[:2], strict=True):
        side = min(wanted, most)
        first = int(rng.integers(0, most - side, endpoint=True))
        spans.append(slice(first, first + side))
    return spans[0], spans[1]


def make(task: Task, section: dict, rng: np.random.Generator) -> Made:
    """Seed images in turn, each with regions of another seed image."""
    images, areas, parents = [], [], []
    for image_id in in_turn(task, section):
        image = task.seeds[image_id]

        def draw(image=image, image_id=image_id):
            other = another(task, image_id, rng)
            return *mixed(image, task.seeds[other], section, rng), other

        found = first_visible(image, draw)
        if found is None:
            raise InputError(
                f"image {image_id!r}: no region of another seed image can be seen on it with area {section['area']}: raise "
                "sources.mix.area, or remove the image"
            )
        anomaly, area, other = found
        images.append(anomaly)
        areas.append(area)
        parents.append((image_id, other))
    return Made(images, np.array(parents), {"areas": np.array(areas)})


SOURCE = Source(
    Mix,
    title="mix",
    about="Regions of another seed image blended in without a seam (Schlüter et al. 2022).",
    look=Look("#D55E00", "P"),
    make=make,
    parents=2,
    seconds_per_pixel=1.2e-7,
    reference="Schlüter et al. 2022",
    strength="areas",
    grades=lambda section: section["area"],
)
