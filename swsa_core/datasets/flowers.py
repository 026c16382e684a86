"""Oxford Flowers-102 (Nilsback & Zisserman 2008): 102 flowers, the official train, validation and test split."""

from collections.abc import Collection
from pathlib import Path
from typing import Literal

from swsa_core.basics.errors import InputError
from swsa_core.datasets.kind import Kind, PublishedSize, Spec
from swsa_core.datasets.rows import Row, choose, on_disk, with_support
from swsa_core.datasets.section import Official
from swsa_core.files import listing
from swsa_core.files.downloads import Publication, Published

TABLES = ("setid.mat", "imagelabels.mat")
LAYOUT = "a folder with jpg/image_00001.jpg to image_08189.jpg, setid.mat and imagelabels.mat"
REAL_SPLITS = {"test": "tstid", "val": "valid"}
MOST_BYTES = 1_000_000  # of a table, which may be compressed; the official ones have 14,989 at most
PUBLISHED_TEST = {"test": 6149, "val": 1020}  # images
PAGE = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"


class Flowers(Official):
    kind: Literal["flowers"]
    real_split: Literal["test", "val"] = "test"
    """The official split that the real evaluation uses."""


def tasks(spec: Spec) -> list[str]:
    """The flowers, in the order of their labels."""
    present = set(_tables(spec)[0].values())
    known = [name for label, name in enumerate(names_by_label(), 1) if label in present]
    return with_support(spec, choose(spec, known), lambda: rows(spec))


def inputs(spec: Spec, task: str | None = None) -> list[str]:
    """The two official tables and the one directory that holds the images of all classes."""
    root = listing.require(spec["root"], [], LAYOUT)
    return [(root / name).as_posix() for name in (*TABLES, "jpg")]


def rows(spec: Spec, names: Collection[str] | None = None) -> list[Row]:
    """Rows of the flowers `names` (None: all), train first, each split in the order of image numbers."""
    labels, splits = _tables(spec)
    flowers = names_by_label()
    found = [
        Row(f"jpg/image_{number:05d}.jpg", flower, split, flower)
        for split, numbers in splits.items()
        for number in sorted(numbers)
        if (flower := flowers[labels[number] - 1]) and (names is None or flower in names)
    ]
    return on_disk(spec, found, "setid.mat")


def class_name(name: str) -> str:
    """Name without the question mark of "pink-yellow dahlia?"."""
    return name.rstrip("?")


def names_by_label() -> list[str]:
    """The 102 names; label n of imagelabels.mat is entry n - 1."""
    lines = (Path(__file__).parent / "flowers_names.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def _tables(spec):
    """({image number: label}, {"train": image numbers, "test": image numbers of spec["real_split"]})."""
    from scipy.io import loadmat  # not at the top: other kinds do not need it when the Snakefile is read

    root = listing.require(spec["root"], ["jpg", *TABLES], LAYOUT)
    try:
        for name in TABLES:
            if (size := (root / name).stat().st_size) > MOST_BYTES:
                raise ValueError(f"{name} has {size:,} bytes")
        labels = loadmat(root / "imagelabels.mat")["labels"].ravel().tolist()
        ids = loadmat(root / "setid.mat")
        splits = {"train": ids["trnid"], "test": ids[REAL_SPLITS[spec["real_split"]]]}
        if (last := max(numbers.max() for numbers in splits.values())) > len(labels):
            raise ValueError(f"image {last} has no label")
        if not set(labels) <= set(range(1, 103)):
            raise ValueError("there are labels other than 1 to 102")
        if not all(numbers.dtype.kind in "iu" and numbers.min() > 0 for numbers in splits.values()):
            raise ValueError("there are image numbers below 1")
    except Exception as error:  # SciPy raises errors of many kinds for damaged files
        raise InputError(
            f"{' or '.join(TABLES)} in {str(root)!r} is not the official file ({error}): download it again"
        ) from error
    return dict(enumerate(labels, 1)), {split: numbers.ravel().tolist() for split, numbers in splits.items()}


def published_size(spec: Spec) -> PublishedSize:
    """Flowers, images of the official training split, and of the split that spec["real_split"] names."""
    return PublishedSize(102, 1020, PUBLISHED_TEST[spec["real_split"]])


PUBLICATION = Publication(
    "Oxford Flowers-102",
    PAGE,
    (
        Published(PAGE + "102flowers.tgz", 344_862_509, md5="52808999861908f626f3c1f4e79d11fa"),
        Published(PAGE + "imagelabels.mat", 502, md5="e0620be6f572b9609742df49c70aed4d"),
        Published(PAGE + "setid.mat", 14_989, md5="a5357ecc9cb78c4bef273ce3793fc85c"),
    ),
)

KIND = Kind(
    section=Flowers,
    title=PUBLICATION.title,
    anomalies="classes",
    layout=LAYOUT,
    prompts="flowers",
    tasks=tasks,
    inputs=inputs,
    rows=rows,
    class_name=class_name,
    reading=0.007,  # JPEG of about 500 x 375
    in_paper=True,
    publication=PUBLICATION,
    published_size=published_size,
)
