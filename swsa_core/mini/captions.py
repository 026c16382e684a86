"""Drawn letters and digits with captions that are true of them, the training data of the mini CLIP.

An image comes with facts: {slot: words}, all that is true of it in the words of captions.txt. A caption states some of
them, and so may be true of other images too. Purposes, which no drawing shows, are given a meaning: an image is for
inspection where it is sharp, for viewing where the character is large.
"""

from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path
from string import Formatter

import numpy as np
from PIL import Image, ImageFilter

from swsa_core.basics.seeding import rng as named_rng
from swsa_core.datasets.digits import WORDS as DIGITS
from swsa_core.files.drawings import CLASSES, SIZE, contrasting, dead_leaves, letter_masks, random_palette

Facts = dict[str, list[str]]
"""{slot: words}: all that is true of an image."""
# What the slots of captions.txt can say, names aside.
SLOTS = {
    "kind": ("digit", "letter", "character"),
    "size": ("small", "large"),
    "look": ("bright", "dark", "blurry", "coarse", "noisy", "close-up", "cropped", "black and white", "colour"),
    "use": ("inspection", "viewing"),
}
# Height of the character as a share of the image's, with the share of images.
HEIGHTS = {
    "small": ((0.4, 0.55), 0.15),
    "": ((0.65, 0.85), 0.25),
    "large": ((0.9, 1.05), 0.4),
    "close-up": ((1.15, 1.35), 0.1),
    "cropped": ((0.8, 1.0), 0.1),
}

_CANVAS = 2 * SIZE


def name_of(character: str) -> str:
    """How captions name a character.

    >>> name_of("7"), name_of("Q"), name_of("q")
    ('seven', 'capital q', 'lowercase q')
    """
    if character.isdigit():
        return DIGITS[int(character)]
    return f"{'capital' if character.isupper() else 'lowercase'} {character.lower()}"


def batch(seed: int, step: int, n: int, n_captions: int) -> tuple[np.ndarray, list[str], np.ndarray]:
    """The batch of one training step, a function of its arguments: n images, each with `n_captions` captions of its own.

    Returns images (n, 32, 32, 3) uint8, m = n * n_captions captions, image by image, and (n, m) bool: whether caption j
    is true of image i.
    """
    rng = named_rng(seed, "captioned batch", str(step))
    images, facts = zip(*(draw(rng) for _ in range(n)), strict=True)
    captions, stated = zip(*(caption(rng, each) for each in facts for _ in range(n_captions)), strict=True)
    return np.stack(images), list(captions), is_true(facts, stated)


def is_true(facts: Iterable[Facts], stated: Collection[set[str]]) -> np.ndarray:
    """(n, m) bool: whether all of `stated[j]`, a set of words, is among the words of `facts[i]`."""
    words = [set().union(*each.values()) for each in facts]
    return np.array([[claim <= known for claim in stated] for known in words])


def caption(rng: np.random.Generator, facts: Facts) -> tuple[str, set[str]]:
    """A caption that is true of an image with these facts, and the words it states."""
    usable = [template for template in templates() if all(facts[slot] for slot in slots(template))]
    template = usable[rng.integers(len(usable))]
    chosen = {slot: facts[slot][rng.integers(len(facts[slot]))] for slot in slots(template)}
    return template.format(**chosen), set(chosen.values())


def draw(rng: np.random.Generator, character: str | None = None) -> tuple[np.ndarray, Facts]:
    """One image, (32, 32, 3) uint8, and its facts. Half of the characters drawn where None are digits."""
    character = character or CLASSES[rng.integers(10) if rng.random() < 0.5 else rng.integers(10, len(CLASSES))]
    frame = str(rng.choice(list(HEIGHTS), p=[share for _, share in HEIGHTS.values()]))
    mask = _placed(rng, _handwritten(rng, character), frame)
    canvas, colour = _coloured(rng, mask)
    # A small character would not be readable at 8 pixels.
    image, looks = _photographed(rng, canvas.reduce(2), coarsest=16 if frame == "small" else 8)
    return image, {
        "name": [name_of(character)],
        "kind": ["digit" if character.isdigit() else "letter", "character"],
        "size": [word for word in SLOTS["size"] if word == frame],
        "look": [*looks, colour, *(word for word in SLOTS["look"] if word == frame)],
        "use": ["inspection"] * looks_sharp(looks) + ["viewing"] * (frame == "large"),
    }


def looks_sharp(looks: Iterable[str]) -> bool:
    """Whether none of the looks takes detail away."""
    return not {"blurry", "coarse", "noisy"} & set(looks)


@cache
def templates() -> tuple[str, ...]:
    """The lines of captions.txt."""
    return tuple(Path(__file__).with_name("captions.txt").read_text(encoding="utf-8").splitlines())


@cache
def slots(template: str) -> tuple[str, ...]:
    """Names of the slots of a caption template."""
    return tuple(slot for _, slot, _, _ in Formatter().parse(template) if slot)


def _handwritten(rng, character, cells=4):
    """Mask of a character, cropped to it, bent as by an unsteady hand: the corners of a grid move at random."""
    letter = letter_masks(rng, character)[0]
    letter = letter.crop(letter.getbbox())
    width, height = letter.size
    amount = rng.uniform(0, 0.1)
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, cells + 1)] * 2), -1)  # (cells + 1, cells + 1, 2) of x, y
    moved = (grid + amount * rng.standard_normal(grid.shape)) * letter.size
    edges = [np.linspace(0, side, cells + 1).round().astype(int).tolist() for side in (width, height)]
    mesh = [
        (
            (edges[0][column], edges[1][row], edges[0][column + 1], edges[1][row + 1]),
            moved[[row, row + 1, row + 1, row], [column, column, column + 1, column + 1]].ravel().tolist(),
        )
        for row in range(cells)
        for column in range(cells)
    ]
    return letter.transform(letter.size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)


def _placed(rng, letter, frame):
    """Mask (64 x 64, mode L) with the letter at the height that its frame asks for; of "cropped" a part is outside."""
    height = rng.uniform(*HEIGHTS[frame][0]) * _CANVAS
    width = height * min(letter.width / letter.height, 1.1) * rng.uniform(0.75, 1.2)
    letter = letter.resize((max(int(width), 4), int(height)), Image.Resampling.BILINEAR)
    free = _CANVAS - np.array(letter.size)  # (2,) negative where the letter is larger than the image
    shift = rng.uniform(-0.5, 0.5, 2) * np.maximum(free, 0.1 * _CANVAS) * 0.8
    if frame == "cropped":
        axis = rng.integers(2)
        shift[axis] = rng.choice([-1, 1]) * (free[axis] / 2 + rng.uniform(0.2, 0.35) * letter.size[axis])
    canvas = Image.new("L", (_CANVAS, _CANVAS))
    canvas.paste(letter, tuple((free / 2 + shift).round().astype(int).tolist()))
    return canvas


def _coloured(rng, mask):
    """The masked character in a colour on a ground, 64 x 64 PIL image: white on black, or over plain or dead leaves.

    Also returns the word for its colours.
    """
    if rng.random() < 0.4:
        return mask.convert("RGB"), "black and white"
    palette = random_palette(rng)
    if rng.random() < 0.3:
        canvas = dead_leaves(rng, palette)
    else:
        canvas = Image.new("RGB", mask.size, tuple(map(int, palette(1)[0])))
    ground = np.asarray(canvas)
    canvas.paste(tuple(map(int, contrasting(rng, palette(1)[0], ground.reshape(-1, 3).mean(0)))), mask=mask)
    colours = np.asarray(canvas).astype(int)
    return canvas, "black and white" if np.ptp(colours, axis=2).max() < 8 else "colour"


def _photographed(rng, image, coarsest):
    """The image (32 x 32 PIL) after a few accidents of photography, uint8 array, and the words for them."""
    looks = []
    side = max(int(rng.choice([8, 10, 12, 16, SIZE], p=[0.25, 0.1, 0.1, 0.15, 0.4])), coarsest)
    if side < SIZE:
        enlarge = Image.Resampling.BILINEAR if rng.random() < 0.8 else Image.Resampling.NEAREST
        image = image.resize((side, side), Image.Resampling.BOX).resize((SIZE, SIZE), enlarge)
        if side <= 12:
            looks += ["coarse"] + ["blurry"] * (enlarge == Image.Resampling.BILINEAR)
    elif rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(1.2, 2)))
        looks += ["blurry"]
    pixels = np.asarray(image, dtype=float)
    ground = np.median(pixels, axis=(0, 1))
    pixels = (ground + rng.uniform(0.9, 1.5) * (pixels - ground)).clip(0, 255)  # contrast that fine strokes lost above
    light = rng.choice(["bright", "dark", ""], p=[0.15, 0.15, 0.7])
    if light == "dark":
        pixels = pixels * rng.uniform(0.3, 0.5)
        looks += ["dark"]
    elif light == "bright":
        pixels = 255 - (255 - pixels) * rng.uniform(0.3, 0.55)
        looks += ["bright"]
    if rng.random() < 0.15:
        pixels = pixels + rng.normal(0, rng.uniform(10, 20), pixels.shape)
        looks += ["noisy"]
    return pixels.clip(0, 255).round().astype(np.uint8), looks
