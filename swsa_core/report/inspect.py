"""What the images of a data set are read as, and which of them stand out: what `snakemake inspect` tells.

Nothing is left out because of what is found.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tabulate import tabulate

from swsa_core.basics.errors import InputError
from swsa_core.basics.wording import listed, plural
from swsa_core.datasets.depth import is_told
from swsa_core.datasets.support import told_copies, without_copies
from swsa_core.files.copies import Picture, picture
from swsa_core.files.images import colours_of, header, read_image, significant_bits
from swsa_core.files.reading import file_of
from swsa_core.files.support import Copies
from swsa_core.report.stand_out import Seen, differs, size, stand_out

if TYPE_CHECKING:
    import pandas as pd

SAMPLE = 200  # images of a group whose colours are counted, for which their pixels are read
MOST_LISTED = 10  # images of a group that are named in the log; the page names all
MOST_NAMED = 3  # in the paragraph
SAME_SUFFIX = {".jpeg": ".jpg", ".jpe": ".jpg", ".tif": ".tiff"}


@dataclass
class Group:
    """The images of one class or product, split, and class or defect type."""

    label: str
    split: str
    name: str
    seen: list[Seen] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)  # {image id: reason}
    copies: list[Copies] = field(default_factory=list)  # among the training images whose pixels were read

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
        pictures: dict[str, Picture] = {}
        for number, (image_id, path) in enumerate(images):
            try:
                pixels = read_image(path) if number in sampled else None
                group.seen.append(_seen(image_id, path, pixels))
                if pixels is not None and group.split == "train":
                    pictures[image_id] = picture(pixels)
            except (InputError, OSError) as error:
                group.unreadable[image_id] = str(error)
            done += 1
            progress(done, len(index))
        if pictures:
            group.copies = without_copies(pictures, _reader(dict(images)))[1]
        found.append(group)
    return found


def in_short(summary: str, groups: Sequence[Group]) -> str:
    """What was found, in one paragraph; summary: the counts, of `inspect_page.Part`."""
    told = [summary]
    n_copies = sum(len(one["copies"]) for group in groups for one in group.copies)
    unreadable = [name for group in groups for name in group.unreadable]
    unusual = [name for group in groups for name in stand_out(group.seen)]
    if unreadable:
        told.append(f"{plural(len(unreadable), 'image')} cannot be read ({_some(unreadable)})")
    if n_copies:
        copies = told_copies([one for group in groups for one in group.copies])
        told.append(
            f"{plural(n_copies, 'normal image')} will be left out as {'a copy' if n_copies == 1 else 'copies'} ({copies})"
        )
    if unusual:
        told.append(
            f"{plural(len(unusual), 'image')} {'stands' if len(unusual) == 1 else 'stand'} out ({_some(unusual)})"
        )
    if differing := groups_that_differ(groups):
        told.append(f"whole groups differ from the normal images: {listed(list(differing))}")
    return (
        "; ".join(told if len(told) > 1 else [*told, "every image can be read, none is a copy, and none stands out"])
        + "."
    )


def copies_told(groups: Sequence[Group]) -> list[str]:
    """A sentence for each group of training images that has copies."""
    return [
        f"{group.title}: copies, of which one stays and the others are left out: {told_copies(group.copies, MOST_LISTED)}"
        for group in groups
        if group.copies
    ]


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
    return " to ".join(dict.fromkeys((size(ordered[0]), size(ordered[-1]))))


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


def _reader(paths):
    return lambda image_id: read_image(paths[image_id])


def _some(names):
    """The first names of several."""
    more = len(names) - MOST_NAMED
    return ", ".join(map(repr, names[:MOST_NAMED])) + (f" and {more:,} more" if more > 0 else "")


def _seen(image_id, path, pixels):
    """What an image is; pixels: (H, W, 3) uint8, None where they were not read."""
    width, height, mode = header(path)
    suffix = Path(file_of(path)).suffix.lower()
    colours = None if pixels is None else colours_of(pixels)
    deep = pixels is not None and mode.startswith("16-bit") and not is_told(path)
    bits = significant_bits(path) if deep else 0
    return Seen(image_id, path, width, height, mode, SAME_SUFFIX.get(suffix, suffix), colours, bits)


def _listed(title, reasons):
    """Lines with the images and their reasons, the first MOST_LISTED of them."""
    if not reasons:
        return
    yield f"{title} ({len(reasons):,}):"
    for image_id in list(reasons)[:MOST_LISTED]:
        yield f"  {image_id!r}: {'; '.join(reasons[image_id])}"
    if len(reasons) > MOST_LISTED:
        yield f"  and {len(reasons) - MOST_LISTED:,} more, on the page"
