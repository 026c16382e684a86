"""Procedural images: a letter or digit over dead leaves, the only training data of the mini models.

Every function draws from the NumPy generator it is given, so an image is a function of its seed alone. Pixels are
drawn at twice the size and averaged, which gives soft edges.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from swsa_core.basics.seeding import rng as named_rng

Palette = Callable[[int], np.ndarray]
"""n -> (n, 3) float64 colours in 0..255."""
# Lower-case letters with the shape of their capitals are left out (the classes of EMNIST Balanced, Cohen et al. 2017).
CLASSES = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"
SIZE = 32

# The fonts that matplotlib ships and whose letters and digits are ordinary ones.
FONTS = (
    *(f"DejaVuSans{style}.ttf" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}.ttf" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}.ttf" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}.ttf" for style in ("", "Bol", "Italic", "BolIta")),
    *(f"cm{style}10.ttf" for style in ("b", "r", "ss", "ti", "tt")),
)

_CANVAS = 2 * SIZE
_GREY = np.array([0.299, 0.587, 0.114])


def draw(rng: np.random.Generator, label: int | None = None) -> tuple[np.ndarray, int]:
    """One image ((32, 32, 3) uint8, label): the letter or digit `CLASSES[label]`, drawn at random if it is None."""
    label = int(rng.integers(len(CLASSES))) if label is None else label
    palette = random_palette(rng)
    canvas = dead_leaves(rng, palette)
    fill, outline = letter_masks(rng, CLASSES[label])
    colour, rim_colour = palette(2)
    colour = contrasting(rng, colour, other=np.asarray(canvas).reshape(-1, 3).mean(0))
    rim_colour = contrasting(rng, rim_colour, other=colour)
    canvas.paste(_integers(rim_colour), mask=outline)
    canvas.paste(_integers(colour), mask=fill)
    image = canvas.reduce(2)
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.8)))
    noise = rng.normal(0, rng.uniform(0, 10), (SIZE, SIZE, 3))
    return (np.asarray(image) + noise).clip(0, 255).round().astype(np.uint8), label


def draw_plain(rng: np.random.Generator) -> np.ndarray:
    """One image (32, 32, 3) uint8 of a large letter or digit, light on a plain dark ground.

    Most are as coarse as an image of 8 to 16 pixels a side that was enlarged, and most are white on black.
    """
    fill, _ = letter_masks(rng, CLASSES[rng.integers(len(CLASSES))])
    side = int(rng.choice([8, 8, 8, 10, 12, 16, SIZE]))
    height, width = rng.uniform(0.8, 1.1) * _CANVAS, rng.uniform(0.4, 0.9) * _CANVAS
    letter = fill.crop(fill.getbbox()).resize((int(width), int(height)), Image.Resampling.BILINEAR)
    canvas = Image.new("L", (_CANVAS, _CANVAS))
    shift = rng.uniform(-0.06, 0.06, 2) * _CANVAS
    left, top = (int(s + (_CANVAS - n) / 2) for s, n in zip(shift, letter.size, strict=True))
    canvas.paste(letter, (left, top))
    coarse = canvas.resize((side, side), Image.Resampling.BOX)
    coarse = coarse.point([min(round(value * gain), 255) for gain in [rng.uniform(0.9, 1.6)] for value in range(256)])
    share = np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BILINEAR))[..., None] / 255  # (32, 32, 1)
    if rng.random() < 0.7:
        ground, ink = np.zeros(3), np.full(3, 255.0)
    else:
        ground, ink = rng.uniform(0, 80, 3), rng.uniform(150, 255, 3)
    return (ground + share * (ink - ground)).round().astype(np.uint8)


def pool_image(seed: int, row: int) -> np.ndarray:
    """Image `row` of the endless pool `seed`: (32, 32, 3) uint8, the same whatever was drawn before."""
    return draw(named_rng(seed, "procedural", str(row)))[0]


def batch(seed: int, step: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The batch of one training step, a function of (seed, step, n): images (n, 32, 32, 3) uint8, labels (n,) int64."""
    rng = named_rng(seed, "procedural batch", str(step))
    images, labels = zip(*(draw(rng) for _ in range(n)), strict=True)
    return np.stack(images), np.array(labels)


def random_palette(rng: np.random.Generator) -> Palette:
    """A function n -> (n, 3) float64 colours in 0..255, scattered about a common one; a third of them are grey."""
    centre, spread = rng.uniform(0, 255, 3), rng.uniform(0, 120)
    is_grey = rng.random() < 1 / 3

    def colours(n):
        values = centre + spread * rng.standard_normal((n, 3))
        values = np.repeat(values @ _GREY[:, None], 3, axis=1) if is_grey else values
        return values.clip(0, 255)

    return colours


def contrasting(rng: np.random.Generator, colour: np.ndarray, other: np.ndarray, difference: float = 70) -> np.ndarray:
    """`colour` (3,), moved to black or white as far as its brightness needs to differ from that of `other` (3,)."""
    brightness, other = colour @ _GREY, other @ _GREY
    if abs(brightness - other) >= difference:
        return colour
    room = [target for target in (0, 255) if abs(target - other) >= difference]
    target = room[rng.integers(len(room))]
    wanted = other + np.sign(target - other) * rng.uniform(difference, abs(target - other))
    return colour + (wanted - brightness) / (target - brightness) * (target - colour)


def dead_leaves(
    rng: np.random.Generator, palette: Palette, n_leaves: int = 60, smallest: float = 3.0, largest: float = 40.0
) -> Image.Image:
    """Dead leaves (Lee, Mumford and Huang 2001), a 64 x 64 PIL image: discs and rectangles, each over the ones before.

    Radii in pixels follow the density r^-3 between `smallest` and `largest`; an image has up to `n_leaves` leaves, so
    that some backgrounds are plain.
    """
    n = int(rng.integers(n_leaves + 1))
    ground, *colours = map(_integers, palette(n + 1))
    canvas = Image.new("RGB", (_CANVAS, _CANVAS), ground)
    pencil = ImageDraw.Draw(canvas)
    radii = (smallest**-2 - rng.random(n) * (smallest**-2 - largest**-2)) ** -0.5  # (n,) inverse distribution function
    centres = rng.uniform(0, _CANVAS, (n, 2))
    half_sides = radii[:, None] * np.exp(rng.uniform(-0.7, 0.7, n))[:, None] ** (1, -1)  # (n, 2)
    angles = rng.uniform(0, np.pi, n)
    turns = np.stack([np.cos(angles), np.sin(angles), -np.sin(angles), np.cos(angles)], -1).reshape(n, 2, 2)
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    rectangles = (signs * half_sides[:, None]) @ turns + centres[:, None]  # (n, 4, 2)
    discs = np.stack([centres - radii[:, None], centres + radii[:, None]], 1)  # (n, 2, 2) bounding boxes
    for disc, rectangle, is_disc, colour in zip(discs, rectangles, rng.random(n) < 0.5, colours, strict=True):
        if is_disc:
            pencil.ellipse(disc.ravel().tolist(), fill=colour)
        else:
            pencil.polygon(rectangle.ravel().tolist(), fill=colour)
    return canvas


def letter_masks(rng: np.random.Generator, character: str) -> tuple[Image.Image, Image.Image]:
    """Two masks, 64 x 64 PIL images of mode L, of one character in a random font under a random affine map.

    Returns (fill, outline); the outline holds the fill and, for a third of the letters, a rim around it.
    """
    font = FONTS[rng.integers(len(FONTS))]
    weight = int(rng.choice([0, 0, 1, 2]))
    rim = int(rng.choice([0, 0, 2]))
    coefficients = _random_affine(rng)

    def mask(width):
        glyph = _glyph(font, character, width)
        return glyph.transform(glyph.size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)

    fill = mask(weight)
    return fill, mask(weight + rim) if rim else fill


def _random_affine(rng):
    """PIL's coefficients of the map from canvas to glyph pixels: rotation, shear, scale, aspect and shift."""
    angle, shear = rng.normal(0, 0.15), rng.normal(0, 0.15)
    scale, aspect = rng.uniform(0.8, 1.5), np.exp(rng.normal(0, 0.12))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    inverse = np.linalg.inv(turn @ np.array([[1, shear], [0, 1]]) @ np.diag([scale * aspect, scale / aspect]))
    middle = np.full(2, _CANVAS / 2)
    shift = middle - inverse @ (middle + rng.uniform(-8, 8, 2))
    return (*inverse[0], shift[0], *inverse[1], shift[1])


def _integers(colour):
    return tuple(map(int, colour))


@cache
def _glyph(font, character, width):
    """A character in the middle of a 64 x 64 mask, its strokes `width` pixels wider on each side."""
    font = _font(font)
    mask = Image.new("L", (_CANVAS, _CANVAS))
    left, top, right, bottom = font.getbbox(character)
    corner = ((_CANVAS - left - right) / 2, (_CANVAS - top - bottom) / 2)
    ImageDraw.Draw(mask).text(corner, character, fill=255, font=font, stroke_width=width)
    return mask


@cache
def _font(name):
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(str(path), 46, layout_engine=ImageFont.Layout.BASIC)
