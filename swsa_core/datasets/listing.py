"""What the kinds of data sets share: listing image files, choosing tasks, and saying what is missing."""

import os
import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from swsa_core.errors import InputError
from swsa_core.names import did_you_mean

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
NORMAL = "good"  # label of the normal group where the anomalies are defects


class Row(NamedTuple):
    """One image: id (its path below the root), class label, split (train, test) and group (class or defect type)."""

    image_id: str
    label: str
    split: str
    group: str


def images(directory):
    """Sorted names of the image files in a directory, known by their suffix; hidden files are no images."""
    return sorted(
        name for name, is_directory in _entries(directory) if not is_directory and name.lower().endswith(SUFFIXES)
    )


def directories(directory):
    """Sorted names of the sub-directories that are not hidden."""
    return sorted(name for name, is_directory in _entries(directory) if is_directory)


def directories_below(directory):
    """A directory and all its sub-directories, depth first; links back to a parent are not followed."""
    below = [directory / name for name in directories(directory)]
    return [directory, *(deep for path in below if not _is_loop(path) for deep in directories_below(path))]


def images_below(directory):
    """Sorted paths, relative to `directory`, of all image files in it and below."""
    found = (
        (folder / name).relative_to(directory) for folder in directories_below(directory) for name in images(folder)
    )
    return sorted(path.as_posix() for path in found)


def require(root, names, expected):
    """`root` as a Path, when it holds the files or directories `names`; `expected` tells the layout."""
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"root {str(root)!r} is not a directory; expected {expected}")
    if missing := [name for name in names if not (root / name).exists()]:
        raise InputError(f"root {str(root)!r} lacks {', '.join(map(str, missing))}; expected {expected}")
    return root


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


def _is_loop(path):
    return path.is_symlink() and path.parent.resolve().is_relative_to(path.resolve())


def _entries(directory):
    """(name, is a directory) of everything that is not hidden."""
    try:
        with os.scandir(directory) as entries:
            found = [(entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise InputError(f"directory {str(directory)!r} cannot be listed: {error.strerror}") from error
    for name, _ in found:
        if not name.isascii():
            _check_unicode(name, directory)
    return found


def _check_unicode(name, directory):
    """Tables are UTF-8: a name of other bytes could not be written to them."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(f"{name!r} in {str(directory)!r} is not a UTF-8 name: rename it") from None
