"""Perlin: another texture shows through a mask of Perlin noise (Zavrtanik et al. 2021, DRAEM)."""

from typing import Annotated

import numpy as np
from PIL import Image, ImageEnhance, ImageOps
from pydantic import field_validator

from swsa_core.anomalies.source import Made, Source, Task, another, in_turn
from swsa_core.anomalies.visible import first_visible, to_uint8
from swsa_core.basics.errors import InputError
from swsa_core.basics.look import Look
from swsa_core.basics.section import Anomalies, LeftOutIfNull, Range, Section


class Perlin(Section):
    area: Range = [0.03, 0.3]
    """Range of the share of the image that the mask covers, drawn uniformly."""
    opacity: Range = [0.3, 1.0]
    """Range of the opacity of the texture in the mask, drawn uniformly."""
    cells: Range = [2, 16]
    """Range of the noise's cells along the shorter side of the image, drawn log-uniformly for each of its axes."""
    n: Annotated[Anomalies | None, LeftOutIfNull] = None
    """Anomalies per task. If left out, (seeds / 2)², as many as the other sources have."""

    @field_validator("area", "opacity", "cells")
    @classmethod
    def _increasing(cls, value, info):
        low, high = (1, 64) if info.field_name == "cells" else (0, 0.5 if info.field_name == "area" else 1)
        if not (low <= value[0] <= value[1] <= high and value[0] > 0):
            raise ValueError(f"expected {low} {'<=' if low else '<'} low <= high <= {high}")
        return value


def perlin_noise(
    shape: tuple[int, int], cells: tuple[float, float], turn: float, rng: np.random.Generator
) -> np.ndarray:
    """Perlin noise (H, W) (Perlin 1985, with the fade of 2002), about -1 to 1.

    cells: along the shorter side, for each axis of the noise; turn: of these axes, in radians.
    """
    rows, columns = np.indices(shape) / min(shape)
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    at = np.tensordot(axes, np.stack([rows, columns]), 1) * np.reshape(cells, (2, 1, 1))  # (2, H, W)
    at -= at.min(axis=(1, 2), keepdims=True)
    corner = np.floor(at).astype(int)
    within = at - corner
    angles = rng.uniform(0, 2 * np.pi, corner.max(axis=(1, 2)) + 2)

    def towards(i, j):
        """Product of the gradient at one corner of each cell and the way from there."""
        angle = angles[corner[0] + i, corner[1] + j]
        return np.cos(angle) * (within[0] - i) + np.sin(angle) * (within[1] - j)

    fade = within**3 * (within * (within * 6 - 15) + 10)
    upper, lower = (towards(i, 0) + fade[1] * (towards(i, 1) - towards(i, 0)) for i in (0, 1))
    return np.sqrt(2) * (upper + fade[0] * (lower - upper))


def perlin_mask(
    shape: tuple[int, int], area: float, cells: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """Mask (H, W) of 0 to 1 with smooth edges that covers about the share `area` of an image, where Perlin noise is highest."""
    noise = perlin_noise(shape, cells, rng.uniform(0, np.pi), rng)
    slope = np.hypot(*np.gradient(noise))
    return np.clip((noise - np.quantile(noise, 1 - area)) / np.maximum(slope, 1e-9) + 0.5, 0, 1)


def augmented(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An image (H, W, 3) uint8 as a texture: three of the eight augmentations of DRAEM, drawn anew."""
    choices = [
        lambda picture: ImageOps.posterize(picture, int(rng.integers(2, 5))),
        lambda picture: ImageOps.solarize(picture, int(rng.integers(32, 129))),
        ImageOps.equalize,
        ImageOps.autocontrast,
        lambda picture: ImageEnhance.Brightness(picture).enhance(rng.choice([0.4, 1.8])),
        lambda picture: ImageEnhance.Sharpness(picture).enhance(rng.uniform(4, 10)),
        lambda picture: Image.merge("RGB", [picture.getchannel(i) for i in rng.permutation(3).tolist()]),
        lambda picture: picture.rotate(float(rng.uniform(45, 315)), Image.Resampling.BICUBIC, fillcolor=_mean(picture)),
    ]
    picture = Image.fromarray(image)
    for i in rng.choice(len(choices), 3, replace=False):
        picture = choices[i](picture)
    return np.asarray(picture)


def perlin(
    image: np.ndarray, other: np.ndarray, section: dict, rng: np.random.Generator
) -> tuple[np.ndarray, float, float]:
    """(anomaly (H, W, 3) uint8, area, opacity): an image with the texture of another one in a mask (DRAEM, Eq. 1)."""
    low, high = np.log(section["cells"])
    cells = np.exp(rng.uniform(low, high)), np.exp(rng.uniform(low, high))
    mask = perlin_mask((len(image), len(image[0])), rng.uniform(*section["area"]), cells, rng)
    opacity = rng.uniform(*section["opacity"])
    texture = Image.fromarray(augmented(other, rng)).resize(image.shape[1::-1], Image.Resampling.BILINEAR)
    cover = (opacity * mask)[..., None]
    return to_uint8(image * (1 - cover) + np.asarray(texture) * cover), float(mask.mean()), float(opacity)


def make(task: Task, section: dict, rng: np.random.Generator) -> Made:
    """Seed images in turn, each with the texture of another seed image."""
    made, parents = [], []
    for image_id in in_turn(task, section):
        image = task.seeds[image_id]

        def draw(image=image, image_id=image_id):
            other = another(task, image_id, rng)
            return *perlin(image, task.seeds[other], section, rng), other

        found = first_visible(image, draw)
        if found is None:
            raise InputError(
                f"image {image_id!r}: no texture of another seed image can be seen on it with opacity {section['opacity']} and "
                f"area {section['area']}: raise sources.perlin.opacity, or remove the image"
            )
        *anomaly, other = found
        made.append(anomaly)
        parents.append((image_id, other))
    images, areas, opacities = map(list, zip(*made, strict=True))
    return Made(images, np.array(parents), {"areas": np.array(areas), "opacities": np.array(opacities)})


def _mean(picture):
    return tuple(int(value) for value in np.asarray(picture).mean(axis=(0, 1)))


SOURCE = Source(
    Perlin,
    title="Perlin",
    about="The texture of another seed image in a mask of Perlin noise (Zavrtanik et al. 2021).",
    look=Look("#E73F74", ">"),
    make=make,
    parents=2,
    seconds_per_pixel=3.5e-7,
    reference="Zavrtanik et al. 2021",
    strength="opacities",
    grades=lambda section: section["opacity"],
)
