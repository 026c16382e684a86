"""CUB-200-2011 (Wah et al. 2011): 200 bird species, the official train/test split."""

import re
from collections import Counter

from swsa_core.basics.errors import InputError
from swsa_core.datasets.rows import Row, choose, on_disk, spaced, with_support
from swsa_core.files import listing

ANOMALIES = "classes"
TABLES = ("images.txt", "classes.txt", "image_class_labels.txt", "train_test_split.txt")
LAYOUT = "the folder CUB_200_2011 with images/<class>/, " + ", ".join(TABLES)


def tasks(spec):
    """The classes, in the order of classes.txt."""
    counts = Counter(row.label for row in rows(spec) if row.split == "train")
    return with_support(spec, choose(spec, _classes(spec).values()), counts)


def inputs(spec, task=None):
    """The four official tables, and the directory of the class (None: of every class on disk)."""
    root = listing.require(spec["root"], ["images"], LAYOUT)
    names = listing.directories(root / "images") if task is None else [task]
    return [*((root / name).as_posix() for name in TABLES), *((root / "images" / name).as_posix() for name in names)]


def rows(spec, names=None):
    """Rows of the classes `names` (None: all), in the order of images.txt."""
    root = listing.require(spec["root"], ["images", *TABLES], LAYOUT)
    classes, images = _classes(spec), _table(root / "images.txt")
    labels, split = _table(root / "image_class_labels.txt"), _table(root / "train_test_split.txt")
    if not images.keys() == labels.keys() == split.keys() or not set(labels.values()) <= classes.keys():
        raise InputError(f"{', '.join(TABLES)} in {str(root)!r} do not agree in their ids: download them again")
    found = [
        Row(f"images/{name}", label, "train" if split[number] == "1" else "test", label)
        for number, name in images.items()
        if (label := classes[labels[number]]) and (names is None or label in names)
    ]
    return on_disk(spec, found, "images.txt")


def class_name(name):
    """Name without its number.

    >>> class_name("001.Black_footed_Albatross")
    'Black footed Albatross'
    """
    return spaced(re.sub(r"^\d+\.", "", name))


def _classes(spec):
    """{class number: class name}."""
    return _table(listing.require(spec["root"], ["classes.txt"], LAYOUT) / "classes.txt")


def _table(path):
    """{first column: rest of the line} of an official table."""
    pairs = [line.split(" ", 1) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    for number, pair in enumerate(pairs, 1):
        if len(pair) != 2:
            raise InputError(f"{path}: entry {number} is {pair[0]!r}; expected two columns, separated by a space")
    return {key: value.strip() for key, value in pairs}
