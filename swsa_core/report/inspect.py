"""What the images of a data set are read as, and which of them stand out: what `snakemake inspect` tells.

An image stands out where nearly all others of its group agree in something and it does not. What is found are hints for
someone who looks at the images; nothing is left out because of them.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tabulate import tabulate

from swsa_core.basics.errors import InputError
from swsa_core.basics.wording import plural
from swsa_core.datasets.depth import is_told, shallow
from swsa_core.files.images import FEW_COLOURS, Colours, colours_of, header, read_image, significant_bits
from swsa_core.files.reading import file_of

if TYPE_CHECKING:
    import pandas as pd

SAMPLE = 200  # images of a group whose colours are counted, for which their pixels are read
LEAST = 5  # images of a group among which one can stand out
RARE = 0.1  # of a group: what more images have is nothing that stands out
FACTOR = 2  # between the longer side of an image and the median of its group
MOST_LISTED = 10  # images of a group that are named in the log; the page names all
SAME_SUFFIX = {".jpeg": ".jpg", ".jpe": ".jpg", ".tif": ".tiff"}


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


@dataclass
class Group:
    """The images of one class or product, split, and class or defect type."""

    label: str
    split: str
    name: str
    seen: list[Seen] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)  # {image id: reason}

    @property
    def title(self) -> str:
        """The group in words, such as "bottle, test, broken_large"."""
        return f"{self.label}, {self.split}" + (f", {self.name}" if self.name != self.label else "")

    @property
    def counted(self) -> int:
        """Number of images whose colours were counted."""
        return sum(one.colours is not None for one in self.seen)


def look(index: "pd.DataFrame", progress: Callable[[int, int], None] = lambda done, total: None) -> list[Group]:
    """The groups of an index of images, each with what its images are and which of them cannot be read.

    index: as of `datasets.index`, in whose order the groups and their images stand. The header of every image is read, and
    the pixels of at most SAMPLE of each group, spread evenly over it. progress: called with (images done, of how many).
    """
    groups: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    columns = (index[column] for column in ("class", "split", "group", "image_id", "path"))
    for label, split, name, image_id, path in zip(*columns, strict=True):
        groups.setdefault((label, split, name), []).append((image_id, path))
    found, done = [], 0
    for key, images in groups.items():
        group = Group(*key)
        sampled = set(np.linspace(0, len(images) - 1, min(SAMPLE, len(images))).round().astype(int).tolist())
        for number, (image_id, path) in enumerate(images):
            try:
                group.seen.append(_seen(image_id, path, number in sampled))
            except (InputError, OSError) as error:
                group.unreadable[image_id] = str(error)
            done += 1
            progress(done, len(index))
        found.append(group)
    return found


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


def groups_that_differ(groups: Sequence[Group]) -> dict[str, list[str]]:
    """{title of a group: how its images differ from the training images of its class}, where they do.

    Of training images it is told where they use few of their 16 bits.
    """
    usual = {group.label: group.seen for group in groups if group.split == "train"}
    found = {
        group.title: differs(group.seen, [] if group.split == "train" else usual.get(group.label, []))
        for group in groups
    }
    return {title: told for title, told in found.items() if told}


def sizes(seen: Sequence[Seen]) -> str:
    """Sizes from the smallest to the largest image, by their pixels: "40 x 32" or "40 x 32 to 600 x 400"."""
    if not seen:
        return ""
    ordered = sorted(seen, key=lambda one: (one.width * one.height, one.width))
    return " to ".join(dict.fromkeys((_size(ordered[0]), _size(ordered[-1]))))


def counts(values: Sequence[str]) -> str:
    """Values with their counts, the commonest first: "RGB 20, L 1"; without a count where all agree."""
    found = Counter(value or "none" for value in values).most_common()
    return found[0][0] if len(found) == 1 else ", ".join(f"{value} {count:,}" for value, count in found)


def rows(groups: Sequence[Group]) -> list[dict[str, str]]:
    """A row of the table per group: task, split, group, images, sizes, modes, suffixes."""
    return [
        {
            "task": group.label,
            "split": group.split,
            "group": group.name,
            "images": f"{len(group.seen) + len(group.unreadable):,}",
            "sizes": sizes(group.seen),
            "modes": counts([one.mode for one in group.seen]) if group.seen else "",
            "suffixes": counts([one.suffix for one in group.seen]) if group.seen else "",
        }
        for group in groups
    ]


def lines(groups: Sequence[Group], remarks: Sequence[str] = ()) -> list[str]:
    """What is told of a data set as lines of text. remarks: sentences about how it is read and what is not used."""
    told = [*tabulate(rows(groups), "keys", disable_numparse=True).splitlines(), "", *remarks, sampling(groups)]
    for title, differences in groups_that_differ(groups).items():
        told.append(f"the group {title} stands out: {'; '.join(differences)}")
    for group in groups:
        told += _listed(f"{group.title}: cannot be read", {name: [why] for name, why in group.unreadable.items()})
        told += _listed(f"{group.title}: stands out", stand_out(group.seen))
    if not any(group.unreadable or stand_out(group.seen) for group in groups):
        told.append("every image could be opened, and none stands out in its group")
    return told


def sampling(groups: Sequence[Group]) -> str:
    """The sentence that says of how many images the pixels were read."""
    total = sum(len(group.seen) for group in groups)
    counted = sum(group.counted for group in groups)
    if counted == total:
        return f"the pixels of all {plural(total, 'image')} that can be read were looked at"
    return (
        f"the header of every image was read; pixels, and with them colours and damage, of {counted:,} of {total:,} images, "
        f"at most {SAMPLE} of each group"
    )


def _seen(image_id, path, with_colours):
    width, height, mode = header(path)
    suffix = Path(file_of(path)).suffix.lower()
    colours = colours_of(read_image(path)) if with_colours else None
    deep = with_colours and mode.startswith("16-bit") and not is_told(path)
    bits = significant_bits(path) if deep else 0
    return Seen(image_id, path, width, height, mode, SAME_SUFFIX.get(suffix, suffix), colours, bits)


def _size(one):
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
            yield one.image_id, f"{_size(one)} pixels, far {how} than the others ({_typical(common, median)}){doubt}"
    for one, side in zip(seen, longer, strict=True):
        near = median < FACTOR * side and side < FACTOR * median
        if common is not None and near and _upright(one) != common:
            yield one.image_id, f"{_size(one)} pixels, nearly all others {common}"


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


def _listed(title, reasons):
    """Lines with the images and their reasons, the first MOST_LISTED of them."""
    if not reasons:
        return
    yield f"{title} ({len(reasons):,}):"
    for image_id in list(reasons)[:MOST_LISTED]:
        yield f"  {image_id!r}: {'; '.join(reasons[image_id])}"
    if len(reasons) > MOST_LISTED:
        yield f"  and {len(reasons) - MOST_LISTED:,} more, on the page"
