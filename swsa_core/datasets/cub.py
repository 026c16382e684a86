"""CUB-200-2011 (Wah et al. 2011): 200 bird species, the official train/test split."""

import re
from collections.abc import Collection
from io import StringIO
from sys import intern
from typing import Literal

from swsa_core.basics.errors import InputError
from swsa_core.datasets.kind import Kind, PublishedSize, Spec
from swsa_core.datasets.rows import Row, check_inside, choice_of, choose, official_text, on_disk, spaced, with_support
from swsa_core.datasets.section import Official
from swsa_core.files import listing
from swsa_core.files.downloads import Publication, Published

TABLES = ("images.txt", "classes.txt", "image_class_labels.txt", "train_test_split.txt")
LAYOUT = "the folder CUB_200_2011 with images/<class>/, " + ", ".join(TABLES)


class Cub(Official):
    kind: Literal["cub"]


def tasks(spec: Spec) -> list[str]:
    """The classes, in the order of classes.txt."""
    listing.require(spec["root"], ["images", *TABLES], LAYOUT)
    return with_support(spec, choose(spec, _classes(spec).values()), lambda: rows(spec))


def inputs(spec: Spec, task: str | None = None) -> list[str]:
    """The four official tables, and the directory of the class (None: of every class on disk)."""
    root = listing.require(spec["root"], ["images"], LAYOUT)
    names = listing.directories(root / "images", choice_of(spec)) if task is None else [task]
    return [*((root / name).as_posix() for name in TABLES), *((root / "images" / name).as_posix() for name in names)]


def rows(spec: Spec, names: Collection[str] | None = None) -> list[Row]:
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


def class_name(name: str) -> str:
    """Name without its number.

    >>> class_name("001.Black_footed_Albatross")
    'Black footed Albatross'
    """
    return spaced(re.sub(r"^\d+\.", "", name))


def _classes(spec):
    """{class number: class name}."""
    path = listing.require(spec["root"], ["classes.txt"], LAYOUT) / "classes.txt"
    classes = _table(path)
    check_inside(classes.values(), path)
    return classes


def _table(path):
    """{first column: rest of the line} of an official table."""
    table: dict[str, str] = {}
    text = official_text(path).replace("\\", "/").replace("\f", "\n")  # as editors leave them
    for number, line in enumerate(filter(str.strip, StringIO(text, newline=None)), 1):
        key, space, value = line.rstrip("\n").partition(" ")
        if not space:
            raise InputError(f"{path}: entry {number} is {key!r}; expected two columns, separated by a space")
        table[intern(key)] = intern(value.strip())  # the ids of three tables, and few labels for many images
    return table


PUBLICATION = Publication(
    "CUB-200-2011",
    "https://data.caltech.edu/records/65de6-vp158",
    (
        Published(
            "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
            1_150_585_339,
            md5="97eceeb196236b17998738112f37df78",
        ),
    ),
    inside="CUB_200_2011",
)

KIND = Kind(
    section=Cub,
    title=PUBLICATION.title,
    anomalies="classes",
    layout=LAYOUT,
    prompts="cub",
    tasks=tasks,
    inputs=inputs,
    rows=rows,
    class_name=class_name,
    reading=0.007,  # JPEG of about 500 x 375
    in_paper=True,
    publication=PUBLICATION,
    published_size=lambda spec: PublishedSize(200, 5994, 5794),
)
