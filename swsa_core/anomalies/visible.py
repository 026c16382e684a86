"""When an anomaly is one: enough of the image changes that it can be seen, and most of it stays."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

LEVELS = 8  # grey levels of a channel: smaller changes are hardly seen
LEAST, MOST = 0.01, 0.5  # of the pixels of an image
MAX_DRAWS = 30

Drawn = TypeVar("Drawn", bound=tuple)


def visible_share(image: np.ndarray, anomaly: np.ndarray) -> float:
    """Share of the pixels that change by at least `LEVELS` in some channel; both (H, W, 3) uint8."""
    return float((np.abs(image.astype(np.int16) - anomaly) >= LEVELS).any(-1).mean())


def first_visible(image: np.ndarray, draw: Callable[[], Drawn], least: float = LEAST) -> Drawn | None:
    """The first of `MAX_DRAWS` draws of which between `least` and `MOST` of the pixels can be seen to change, or None.

    draw: () -> (anomaly (H, W, 3) uint8, …).
    """
    for _ in range(MAX_DRAWS):
        drawn = draw()
        if least <= visible_share(image, drawn[0]) <= MOST:
            return drawn
    return None


def turns(items: Sequence[str], n: int, rng: np.random.Generator) -> list[str]:
    """`n` of the items in random order, each as often as any other but for one."""
    return [items[i] for i in rng.permutation(np.arange(n) % len(items))]


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Rounded grey levels, within 0 to 255."""
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
