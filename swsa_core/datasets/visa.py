"""VisA (Zou et al. 2022): 12 products; the one-class split of split_csv/1cls.csv, defect types of image_anno.csv."""

import csv
from collections.abc import Collection
from functools import lru_cache
from io import StringIO
from sys import intern
from typing import Literal, NamedTuple

from swsa_core.basics.errors import InputError
from swsa_core.basics.section import PositiveInt
from swsa_core.datasets.kind import Kind, PublishedSize, Spec
from swsa_core.datasets.rows import (
    NORMAL,
    Row,
    check_inside,
    choose,
    official_text,
    on_disk,
    product_name,
    with_support,
)
from swsa_core.datasets.section import Licensed
from swsa_core.files import listing
from swsa_core.files.downloads import License, Publication, Published

SPLIT = "split_csv/1cls.csv"
ANNOTATION = ["image", "label", "mask"]  # columns of image_anno.csv
LAYOUT = f"the VisA folder with {SPLIT}, <product>/image_anno.csv and <product>/Data/Images/"


class Line(NamedTuple):
    """A line of the split table."""

    object: str
    split: str
    label: str
    image: str


class VisA(Licensed):
    kind: Literal["visa"]
    groups: Literal["exact", "atomic"] = "exact"
    """What counts as a defect type: the exact label strings, or each of their comma-separated parts (`atomic`)."""
    min_group_size: PositiveInt = 1
    """Defect types with fewer test images than this are left out of one-vs-closest and one-vs-one."""


def tasks(spec: Spec) -> list[str]:
    """The products, in the order of 1cls.csv."""
    chosen = choose(spec, list(dict.fromkeys(line.object for line in _split(spec))))
    return with_support(spec, chosen, lambda: rows(spec, chosen))


def inputs(spec: Spec, task: str | None = None) -> list[str]:
    """The split table and the product's normal images (None: both image directories and labels of each task)."""
    parts = ["Data/Images/Normal"] if task else ["Data/Images/Normal", "Data/Images/Anomaly", "image_anno.csv"]
    root = listing.require(spec["root"], [SPLIT], LAYOUT)
    found = [root / name / part for name in ([task] if task else tasks(spec)) for part in parts]
    return [path.as_posix() for path in (root / SPLIT, *found) if listing.exists(path)]


def rows(spec: Spec, names: Collection[str] | None = None) -> list[Row]:
    """Rows of the products `names` (None: all), in the order of 1cls.csv; the group is "good" or the exact label."""
    lines = [line for line in _split(spec) if names is None or line.object in names]
    found = [Row(line.image, line.object, line.split, NORMAL) for line in lines]
    anomalous = {line.image for line in lines if line.label != "normal"}
    present = on_disk(spec, found, SPLIT)
    labels = _labels(spec, {row.label for row in present if row.image_id in anomalous})
    return [row._replace(group=_label(row, labels)) if row.image_id in anomalous else row for row in present]


def class_name(name: str) -> str:
    """Name without its number; the circuit boards spelled out."""
    return product_name(name)


def _split(spec):
    path = listing.require(spec["root"], [SPLIT], LAYOUT) / SPLIT
    status = path.stat()
    return _lines_of_split(path, (status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=2)  # planning asks for it several times
def _lines_of_split(path, known_as):
    lines = [Line(*columns) for columns in _read(path, Line._fields)]
    check_inside(dict.fromkeys(line.object for line in lines), path)
    return lines


def _labels(spec, names):
    """{image_id: label of image_anno.csv} of some products."""
    root = listing.require(spec["root"], [f"{name}/image_anno.csv" for name in sorted(names)], LAYOUT)
    tables = (_read(root / name / "image_anno.csv", ("image", "label")) for name in sorted(names))
    return {image: label for table in tables for image, label in table}


def _label(row, labels):
    label = labels.get(row.image_id, "normal")
    if label == "normal":
        raise InputError(
            f"{row.label}/image_anno.csv has no defect type for {row.image_id!r}, which {SPLIT} calls an anomaly: "
            "expected a line with image,label,mask, the image as in 1cls.csv"
        )
    return label


def _read(path, columns):
    """The `columns` of each line of an official CSV file, image among them, its back slashes turned.

    Raises InputError when one is missing.
    """
    try:
        lines = csv.reader(StringIO(official_text(path), newline=""))
        header = next(lines, [])
        if missing := set(columns) - set(header):
            raise InputError(f"{path} lacks the columns {sorted(missing)}; its header is {header}")
        if len(set(header)) < len(header):
            raise InputError(f"{path} names a column twice; its header is {header}: download it again")
        wanted, image, annotated = [*map(header.index, columns)], header.index("image"), header == ANNOTATION
        for number, line in enumerate(lines, 2):
            if not line:
                continue
            if annotated and len(line) > len(header):  # a label with commas and without quotes
                line = [line[0], ",".join(line[1:-1]), line[-1]]
            if not max(wanted) < len(line) <= len(header):
                raise InputError(
                    f"{path}: line {number} has {len(line)} columns; expected the {len(header)} of its header"
                )
            if annotated and len(line) == len(header):
                _check_mask(path, number, line[-1])
            line[image] = line[image].replace("\\", "/")
            yield [intern(line[i]) for i in wanted]  # millions of lines may name few products and labels
    except csv.Error as error:
        raise InputError(f"{path} cannot be read as a CSV table ({error}): download it again") from None


def _check_mask(path, number, mask):
    """Raise InputError where the last field of a line is no mask: the end of a label that has a comma and no quotes, say."""
    if mask.strip() and not mask.strip().lower().endswith(listing.SUFFIXES):
        raise InputError(
            f"{path}: line {number} has {mask!r} in the column mask; expected the path of an image or nothing: end the line "
            "with a comma where it has no mask, and put a label with commas in quotes"
        )


PUBLICATION = Publication(
    "VisA",
    "https://github.com/amazon-science/spot-diff",
    (
        Published(
            "https://amazon-visual-anomaly.s3.us-west-2.amazonaws.com/VisA_20220922.tar",
            1_929_840_640,
            sha256="2eb8690c803ab37de0324772964100169ec8ba1fa3f7e94291c9ca673f40f362",
        ),
    ),
    license=License("CC BY 4.0", "attribution", "https://creativecommons.org/licenses/by/4.0/"),
)

KIND = Kind(
    section=VisA,
    title=PUBLICATION.title,
    anomalies="defects",
    layout=LAYOUT,
    prompts="industrial",
    tasks=tasks,
    inputs=inputs,
    rows=rows,
    class_name=class_name,
    reading=0.07,  # JPEG of about 1500 x 1000
    in_paper=True,
    publication=PUBLICATION,
    published_size=lambda spec: PublishedSize(12, 8659, 2162),
)
