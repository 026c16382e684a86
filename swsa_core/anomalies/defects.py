"""Defects drawn on a normal image: scratches, stains, holes, cracks, blur and light, as they are seen on products."""

from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from pydantic import field_validator

from swsa_core.anomalies.source import Made, Source, Task, in_turn
from swsa_core.anomalies.visible import LEAST, first_visible, to_uint8, turns
from swsa_core.basics.errors import InputError
from swsa_core.basics.look import Look
from swsa_core.basics.section import Anomalies, LeftOutIfNull, Range, Section, Several

FINER = 4  # masks are drawn at so many times the size, so that their edges are smooth
LEAST_OF_LINE = 0.002  # of the pixels: what is thin is seen, too


class Place(NamedTuple):
    """Where a defect lies on an image of (height, width): its centre (x, y) and its size, all in pixels."""

    height: int
    width: int
    x: float
    y: float
    size: float


class Defects(Section):
    kinds: Annotated[list[Literal["scratch", "stain", "hole", "crack", "blur", "light"]], *Several] = [
        *("scratch", "stain", "hole", "crack", "blur", "light")
    ]
    """The defects that are drawn, all of them equally often. A kind that cannot occur on the products is struck out."""
    strength: Range = [0.4, 1.0]
    """Range of the strength of a defect, drawn uniformly: near 0 it is hardly seen, at 1 it covers what lies below it."""
    size: Range = [0.15, 0.5]
    """Range of the extent of a defect as a share of the shorter side of the image, drawn uniformly."""
    n: Annotated[Anomalies | None, LeftOutIfNull] = None
    """Anomalies per task. If left out, (seeds / 2)², as many as the other sources have."""

    @field_validator("strength", "size")
    @classmethod
    def _shares(cls, value):
        if not 0 < value[0] <= value[1] <= 1:
            raise ValueError("expected 0 < low <= high <= 1")
        return value


def scratch(image: np.ndarray, place: Place, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A bent line that tapers off, bright or dark, with the opposite shade along one side as a groove has it."""
    turn, bend = rng.uniform(0, np.pi), rng.uniform(-0.2, 0.2)
    t = np.linspace(-0.5, 0.5, 24)
    along, across = t * 1.6 * place.size, bend * place.size * (1 - 4 * t**2)
    path = _turned(place, along, across, turn)
    width = rng.uniform(0.006, 0.016) * min(place.height, place.width) * (0.4 + 0.6 * np.sqrt(1 - 4 * t**2))
    line = _line(place, path, width)
    side = _shifted(line, 1) * (1 - line)
    sign = rng.choice([-1, 1])
    return image + sign * 130 * strength * (line - 0.5 * side)[..., None]


def crack(image: np.ndarray, place: Place, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A jagged dark line with branches, of which each is thinner than what it leaves."""
    whole = np.zeros((place.height, place.width), np.float32)
    step, least = 0.07 * place.size, 0.005 * min(place.height, place.width)
    waiting = [((place.x, place.y), rng.uniform(0, 2 * np.pi), 3 * least, 18)]
    while waiting:
        (x, y), turn, width, steps = waiting.pop()
        points = [(x, y)]
        for _ in range(steps):
            angle = turn + rng.normal(0, 0.55)
            x, y = x + step * np.cos(angle), y + step * np.sin(angle)
            points.append((x, y))
            if steps > 6 and rng.random() < 0.14:
                waiting.append(((x, y), turn + rng.choice([-1, 1]) * rng.uniform(0.5, 1.1), width * 0.6, steps // 2))
        widths = np.linspace(width, least, len(points))
        whole = np.maximum(whole, _line(place, np.array(points), widths))
    return image * (1 - 0.9 * strength * whole[..., None])


def stain(image: np.ndarray, place: Place, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A spot of a colour that what lies below shines through, darker at its rim as where a liquid dried."""
    blob = _blob(place, rng, softness=0.05)
    rim = np.clip(blob - _blurred(blob, 0.12 * place.size), 0, 1)
    colour = rng.uniform(20, 235, 3) if rng.random() < 0.5 else np.array([120, 85, 45]) * rng.uniform(0.4, 1.2)
    cover = strength * (0.65 * blob + 0.35 * rim)[..., None]
    texture = 1 + 0.15 * (_noise(place, rng) - 0.5)[..., None]
    return image * (1 - cover) + colour * texture * cover


def hole(image: np.ndarray, place: Place, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A missing part: what lies behind, which is dark or looks like the border of the image, in the shade of its edge."""
    blob = _blob(place, rng, softness=0.004)
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    behind = np.median(border, axis=0) if rng.random() < 0.5 else rng.uniform(5, 45, 3)
    shade = 0.5 + 0.5 * _shifted(_blurred(blob, 0.06 * place.size), round(0.04 * place.size))
    cover = ((0.6 + 0.4 * strength) * blob)[..., None]  # little shines through what is missing
    return image * (1 - cover) + behind * shade[..., None] * cover


def blur(image: np.ndarray, place: Place, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A part that is out of focus or smeared."""
    blob = _blob(place, rng, softness=0.08)[..., None]
    smeared = Image.fromarray(to_uint8(image)).filter(
        ImageFilter.GaussianBlur(0.01 + strength * 0.03 * min(place.height, place.width))
    )
    return image * (1 - blob) + np.asarray(smeared, np.float32) * blob


def light(image: np.ndarray, place: Place, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A spot of light or a shadow, which fades out."""
    blob = _blob(place, rng, softness=0.2)[..., None]
    if rng.random() < 0.5:
        return image * (1 - 0.75 * strength * blob)
    return image + (255 - image) * 0.75 * strength * blob


class Kind(NamedTuple):
    """draw: function of an image (H, W, 3) float32 of grey levels, the place, the strength and rng to the image with the
    defect; least: share of the pixels that must change."""

    draw: Callable[[np.ndarray, Place, float, np.random.Generator], np.ndarray]
    least: float = LEAST


KINDS = {
    "scratch": Kind(scratch, LEAST_OF_LINE),
    "stain": Kind(stain),
    "hole": Kind(hole),
    "crack": Kind(crack, LEAST_OF_LINE),
    "blur": Kind(blur),
    "light": Kind(light),
}


def defect(
    image: np.ndarray, kind: str, strength: float, size: tuple[float, float] | list[float], rng: np.random.Generator
) -> np.ndarray | None:
    """An image (H, W, 3) uint8 with one defect of a kind, centred anywhere; None where none of a few draws can be seen.

    strength: 0 to 1. size: range of the extent as a share of the shorter side.
    """
    height, width = image.shape[:2]
    pixels = image.astype(np.float32)

    def draw():
        extent = rng.uniform(*size) * min(height, width)
        place = Place(height, width, rng.uniform(0, width), rng.uniform(0, height), extent)
        return (to_uint8(KINDS[kind].draw(pixels, place, strength, rng)),)

    found = first_visible(image, draw, KINDS[kind].least)
    return found and found[0]


def make(task: Task, section: dict, rng: np.random.Generator) -> Made:
    """Seed images in turn, each with a defect. Where a kind cannot be seen on an image, such as blur on a plain one, it gets
    another kind."""
    kinds, made = section["kinds"], []
    parents = in_turn(task, section)
    for image_id, wanted in zip(parents, turns(kinds, len(parents), rng), strict=True):
        strength = rng.uniform(*section["strength"])
        others = [kind for kind in rng.permutation(kinds) if kind != wanted]
        for kind in (wanted, *others):
            anomaly = defect(task.seeds[image_id], kind, strength, section["size"], rng)
            if anomaly is not None:
                made.append((anomaly, image_id, str(kind), strength))
                break
        else:
            raise InputError(
                f"image {image_id!r}: none of the defects {', '.join(kinds)} can be seen on it with strength {strength:.2f} "
                f"and size {section['size']}: raise sources.defects.strength or size, or remove the image"
            )
    images, parents, drawn, strengths = map(list, zip(*made, strict=True))
    columns = {"kinds": np.array(drawn, dtype=object), "strengths": np.array(strengths)}
    return Made(images, np.array(parents)[:, None], columns)


def _turned(place, along, across, turn):
    """Points (n, 2) x, y around the centre of a place, given along and across a direction."""
    cos, sin = np.cos(turn), np.sin(turn)
    return np.stack([place.x + along * cos - across * sin, place.y + along * sin + across * cos], axis=1)


def _mask(place, draw):
    """What `draw` puts on a finer canvas, as coverage (height, width) float32, 0 to 1."""
    canvas = Image.new("L", (place.width * FINER, place.height * FINER))
    draw(ImageDraw.Draw(canvas))
    return np.asarray(canvas.reduce(FINER), np.float32) / 255


def _line(place, points, widths):
    """Coverage of a line through points (n, 2) with a width at each, in pixels."""

    def draw(canvas):
        for start, end, width in zip(points[:-1] * FINER, points[1:] * FINER, widths[1:] * FINER, strict=True):
            canvas.line([*start, *end], 255, max(1, round(width)))
            canvas.circle((end[0], end[1]), max(0.5, width / 2 - 0.5), 255)

    return _mask(place, draw)


def _blob(place, rng, softness):
    """Coverage of an irregular spot; softness: of its edge, as a share of its size."""
    turn, waves = np.linspace(0, 2 * np.pi, 96, endpoint=False), np.arange(2, 7)
    heights, phases = rng.normal(0, 0.18, len(waves)) / waves, rng.uniform(0, 2 * np.pi, len(waves))
    radius = place.size / 2 * (1 + (heights * np.cos(waves * turn[:, None] + phases)).sum(1))
    flat = np.sqrt(rng.uniform(0.4, 1))
    points = _turned(place, radius * np.cos(turn) / flat, radius * np.sin(turn) * flat, rng.uniform(0, np.pi))
    spot = _mask(place, lambda canvas: canvas.polygon([tuple(point) for point in points * FINER], 255))
    return _blurred(spot, softness * place.size)


def _blurred(mask, radius):
    picture = Image.fromarray(to_uint8(mask * 255)).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(picture, np.float32) / 255


def _noise(place, rng):
    """Smooth noise (height, width), 0 to 1."""
    coarse = Image.fromarray(rng.integers(0, 256, (9, 9), dtype=np.uint8))
    return np.asarray(coarse.resize((place.width, place.height), Image.Resampling.BICUBIC), np.float32) / 255


def _shifted(mask, pixels):
    """A mask moved right and down; its border is repeated."""
    return np.pad(mask, ((pixels, 0), (pixels, 0)), mode="edge")[: mask.shape[0], : mask.shape[1]]


SOURCE = Source(
    Defects,
    title="defects",
    about="Defects drawn on a seed image: scratch, stain, hole, crack, blur, light.",
    look=Look("#7F3C8D", "<"),
    make=make,
    parents=1,
    seconds_per_pixel=1.5e-7,
    strength="strengths",
    grades=lambda section: section["strength"],
)
