"""16-bit images that use few of their bits: they are told before they are read as nearly black."""

from collections.abc import Iterable, Mapping
from statistics import median_high
from typing import NamedTuple

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.files.reading import parse

SAMPLE = 50  # 16-bit images of a split whose pixels are read


class Depth(NamedTuple):
    """Bits that 16-bit images use, and the depth that their camera probably has."""

    used: int
    camera: int


def shallow(bits: Iterable[int]) -> Depth | None:
    """How deep the 16-bit images of a group are where this is so little that they would be read as nearly black, or None.

    bits: of each image as `significant_bits` gives them, 0 where it has no 16 bits. Their median counts, so that neither
    one dark image nor one with hot pixels decides. Cameras have 10, 12 or 14 bits; a dark scene may use one or two less.
    """
    deep = [number for number in bits if number]
    used = median_high(deep) if deep else 16
    return Depth(used, next(depth for depth in (8, 10, 12, 14) if depth >= used)) if used <= 14 else None


def check_depth(bits: Iterable[int], dataset: str, images: str) -> None:
    """Raise InputError when 16-bit images are `shallow`. images: what they are in words, such as "of task 'red'"."""
    if found := shallow(bits):
        raise InputError(
            f"nearly all values of the 16-bit images {images} take at most {found.used} bits, so they would be read as nearly "
            f"black: set datasets.{dataset}.bit_depth to what the camera has, probably {found.camera}, or to 16 to read them "
            "as they are"
        )


def is_told(path: object) -> bool:
    """Whether the address of an image says how its samples of 16 bits are read."""
    reading = parse(path)[1]
    return reading.bits is not None or reading.value_range is not None


def check_splits(paths: Mapping[str, Iterable[str]], dataset: str) -> None:
    """Raise InputError when the 16-bit images of a split are `shallow` and nothing says how they are read.

    paths: {split: addresses of its images}. Headers tell which have 16 bits; the pixels of at most SAMPLE of these are read,
    spread evenly over the split. Images that cannot be read are passed over: whoever reads all of them tells of them.
    """
    for split, addresses in paths.items():
        deep = [path for path in addresses if not is_told(path) and _bits_in_mode(path)]
        sampled = sorted(set(np.linspace(0, len(deep) - 1, min(SAMPLE, len(deep))).round().astype(int).tolist()))
        check_depth([_bits(deep[number]) for number in sampled], dataset, f"of the {split} images")


def _bits_in_mode(path):
    from swsa_core.files.images import header  # which imports Pillow: the Snakefile reads this package

    try:
        return header(path).mode.startswith("16-bit")
    except (InputError, OSError):
        return False


def _bits(path):
    from swsa_core.files.images import significant_bits

    try:
        return significant_bits(path)
    except (InputError, OSError):
        return 0
