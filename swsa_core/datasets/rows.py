"""What the kinds of data sets share: a row per image, choosing tasks, and the names that prompts use."""

import os
import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean
from swsa_core.files.listing import images

NORMAL = "good"  # label of the normal group where the anomalies are defects


class Row(NamedTuple):
    """One image: id (its path below the root), class label, split (train, test) and group (class or defect type)."""

    image_id: str
    label: str
    split: str
    group: str


def on_disk(spec, rows, source):
    """The rows whose image is on disk. Others are an InputError unless allow_missing; `source` names the images."""
    root = Path(spec["root"])
    folders = defaultdict(set)
    for row in rows:
        folders[os.path.dirname(row.image_id)].add(row.image_id)
    missing = set()
    for folder, named in folders.items():
        present = images(root / folder) if (root / folder).is_dir() else []
        missing |= named - {f"{folder}/{name}" for name in present}
    if missing and not spec["allow_missing"]:
        first = next(row.image_id for row in rows if row.image_id in missing)
        raise InputError(
            f"{source} of root {str(root)!r} names {len(missing)} images that are not on disk, the first is {first!r}: "
            "complete the download, or set allow_missing: true to go on with what is there"
        )
    return [row for row in rows if row.image_id not in missing]


def choose(spec, known):
    """The tasks that spec["tasks"] names, in the order of `known`; all of `known` for "all"."""
    if spec["tasks"] == "all":
        return list(known)
    wanted = dict.fromkeys(spec["tasks"])
    for name in wanted.keys() - set(known):
        raise InputError(f"task {name!r} is not in this {spec['kind']} data set: {did_you_mean(name, known)}")
    return [name for name in known if name in wanted]


def with_support(spec, names, counts):
    """With allow_missing and `tasks: all`, the names with enough train images for the seeds; otherwise all names.

    counts: {name: train images on disk}. Raises InputError when none is left, or a task named in the config has none.
    """
    if not spec["allow_missing"]:
        return names
    if spec["tasks"] != "all":
        if absent := [name for name in names if not counts.get(name)]:
            raise InputError(
                f"task {absent[0]!r} has no train images in root {str(spec['root'])!r}: remove it from tasks"
            )
        return names
    seeds = spec["support"]["seeds"]
    if enough := [name for name in names if counts.get(name, 0) >= seeds]:
        return enough
    most = max(names, key=lambda name: counts.get(name, 0))
    raise InputError(
        f"no class in root {str(spec['root'])!r} has {seeds} train images on disk (support.seeds); the most are "
        f"{counts.get(most, 0)} of {most!r}: lower support.seeds or complete the download"
    )


def spaced(name):
    """A name with its underscores turned to spaces."""
    return name.replace("_", " ").strip()


def product_name(name):
    """A product's name for prompts (App. A): trailing numbers dropped, acronyms spelled out.

    >>> product_name("pcb3"), product_name("pipe_fryum"), product_name("macaroni1"), product_name("2024")
    ('printed circuit board', 'pipe fryum', 'macaroni', '2024')
    """
    cleaned = spaced(re.sub(r"[\s_-]*\d+$", "", name))
    return "printed circuit board" if cleaned.lower() == "pcb" else cleaned or name
