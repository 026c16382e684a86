"""Which images of a group stand out, and which group among the training images: hints for someone who looks at the images.

An image stands out where nearly all others of its group agree in something and it does not.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from swsa_core.basics.wording import plural
from swsa_core.datasets.depth import shallow
from swsa_core.files.images import FEW_COLOURS, Colours

LEAST = 5  # images of a group among which one can stand out
RARE = 0.1  # of a group: what more images have is nothing that stands out
FACTOR = 2  # between the longer side of an image and the median of its group


class Seen(NamedTuple):
    """An image that could be opened. colours: None where its pixels were not read.

    bits: what `significant_bits` gives; 0 also where the pixels were not read, or the config says how they are.
    """

    image_id: str
    path: str  # what `read_image` takes
    width: int
    height: int
    mode: str
    suffix: str
    colours: Colours | None = None
    bits: int = 0


def stand_out(seen: Sequence[Seen]) -> dict[str, list[str]]:
    """{image id: why it stands out among the images of a group}, in the order of the group.

    Compared are mode, suffix, size and colours. Nothing stands out in groups of fewer than LEAST images, nor does what more
    than a tenth of the images have in common (and more than one image).
    """
    reasons = [*_other_values(seen, "mode"), *_other_values(seen, "suffix"), *_other_sizes(seen), *_few_colours(seen)]
    order = {one.image_id: number for number, one in enumerate(seen)}
    told: dict[str, list[str]] = {}
    for image_id, reason in sorted(reasons, key=lambda pair: order[pair[0]]):
        told.setdefault(image_id, []).append(reason)
    return told


def differs(group: Sequence[Seen], usual: Sequence[Seen]) -> list[str]:
    """How the images of a whole group differ from the training images of its class, as parts of a sentence.

    Compared are what nearly all images of each have: mode, suffix, size, and the median number of colours. Where the group
    uses few of its 16 bits, which leaves few colours, this is told in place of the colours.
    """
    told = []
    for what, value in (("mode", lambda one: one.mode), ("suffix", lambda one: one.suffix), ("size", _upright)):
        mine, theirs = (_common(list(map(value, images))) for images in (group, usual))
        if mine is not None and theirs is not None and mine != theirs:
            told.append(f"{what} {mine or 'none'}, the training images {theirs or 'none'}")
    mine, theirs = (_numbers(images) for images in (group, usual))
    if depth := few_bits(group):
        told.append(depth)
    elif len(mine) and len(theirs) and _is_few(np.median(mine), np.median(theirs)):
        told.append(
            f"{np.median(mine):,.0f} colours by the median, the training images {np.median(theirs):,.0f}: "
            "these may be masks or label maps"
        )
    return told


def few_bits(seen: Sequence[Seen]) -> str:
    """What to do about 16-bit images that use so few bits that they are read as nearly black; "" where none are."""
    found = shallow(one.bits for one in seen)
    return f"16-bit files that use only {found.used} bits: set bit_depth: {found.camera}" if found else ""


def size(one: Seen) -> str:
    """Width x height in pixels."""
    return f"{one.width} x {one.height}"


def _upright(one):
    """The size with the longer side first."""
    return f"{max(one.width, one.height)} x {min(one.width, one.height)}"


def _common(values):
    """The value that nearly all of a group have; None where there is none, or the group is too small to tell."""
    if len(values) < LEAST:
        return None
    value, count = Counter(values).most_common(1)[0]
    return value if len(values) - count <= _most_rare(len(values)) else None


def _most_rare(n):
    """How many of n images can stand out in one respect."""
    return max(1, int(RARE * n))


def _rare(images, n):
    """The images that stand out, or none where they are too many among n to stand out, or n are too few."""
    return images if n >= LEAST and len(images) <= _most_rare(n) else []


def _other_values(seen, attribute):
    """(image id, reason) of the images whose mode or suffix is not that of nearly all others."""
    common = _common([getattr(one, attribute) for one in seen])
    for one in seen if common is not None else ():
        if (value := getattr(one, attribute)) != common:
            yield one.image_id, f"{attribute} {value or 'none'}, nearly all others {common or 'none'}"


def _other_sizes(seen):
    """(image id, reason): sizes other than the one of nearly all; where sizes vary, sides far from the median."""
    common = _common(list(map(_upright, seen)))  # an image that is only turned does not stand out
    longer = np.array([max(one.width, one.height) for one in seen])
    median = np.median(longer) if len(seen) else 0
    for far, how in ((longer * FACTOR <= median, "smaller"), (longer >= FACTOR * median, "larger")):
        images = [one for one, is_far in zip(seen, far, strict=True) if is_far]
        for one in _rare(images, len(seen)):
            doubt = ": it may be a thumbnail" if how == "smaller" else ""
            yield one.image_id, f"{size(one)} pixels, far {how} than the others ({_typical(common, median)}){doubt}"
    for one, side in zip(seen, longer, strict=True):
        near = median < FACTOR * side and side < FACTOR * median
        if common is not None and near and _upright(one) != common:
            yield one.image_id, f"{size(one)} pixels, nearly all others {common}"


def _typical(common, median):
    return f"nearly all {common}" if common is not None else f"longer side {median:.0f} by the median"


def _few_colours(seen):
    """(image id, reason): far fewer colours than the others, or one colour on most of the image where theirs vary."""
    known = [one for one in seen if one.colours]
    if len(known) < LEAST:
        return
    median, share = np.median(_numbers(known)), np.median([one.colours.share for one in known])
    few = _rare([one for one in known if _is_few(one.colours.number, median)], len(known))
    flat = _rare([one for one in known if one.colours.share >= max(0.5, 3 * share)], len(known))
    for one in few:
        number = plural(one.colours.number, "colour")
        yield one.image_id, f"{number}, the others {median:,.0f} by the median: it may be a mask or a label map"
    for one in (one for one in flat if one not in few):
        mine = f"one colour on {one.colours.share:.0%} of its pixels"
        yield (
            one.image_id,
            f"{mine}, the others {share:.1%} by the median: it may be a mask, or cut out of its background",
        )


def _is_few(number, usual):
    return number <= FEW_COLOURS and 10 * number <= usual


def _numbers(seen):
    return np.array([one.colours.number for one in seen if one.colours])
