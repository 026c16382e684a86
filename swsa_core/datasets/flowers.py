"""Oxford Flowers-102 (Nilsback & Zisserman 2008): 102 flowers, the official train, validation and test split."""

from collections import Counter
from pathlib import Path

from swsa_core.basics.errors import InputError
from swsa_core.datasets.rows import Row, choose, on_disk, with_support
from swsa_core.files import listing

ANOMALIES = "classes"
TABLES = ("setid.mat", "imagelabels.mat")
LAYOUT = "a folder with jpg/image_00001.jpg to image_08189.jpg, setid.mat and imagelabels.mat"
REAL_SPLITS = {"test": "tstid", "val": "valid"}


def tasks(spec):
    """The flowers, in the order of their labels."""
    found = rows(spec)
    present = set(_tables(spec)[0].values())
    known = [name for label, name in enumerate(names_by_label(), 1) if label in present]
    return with_support(spec, choose(spec, known), Counter(row.label for row in found if row.split == "train"))


def inputs(spec, task=None):
    """The two official tables and the one directory that holds the images of all classes."""
    root = listing.require(spec["root"], [], LAYOUT)
    return [(root / name).as_posix() for name in (*TABLES, "jpg")]


def rows(spec, names=None):
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


def class_name(name):
    """Name without the question mark of "pink-yellow dahlia?"."""
    return name.rstrip("?")


def names_by_label():
    """The 102 names; label n of imagelabels.mat is entry n - 1."""
    lines = (Path(__file__).parent / "flowers_names.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def _tables(spec):
    """({image number: label}, {"train": image numbers, "test": image numbers of spec["real_split"]})."""
    from scipy.io import loadmat  # not at the top: other kinds do not need it when the Snakefile is read

    root = listing.require(spec["root"], ["jpg", *TABLES], LAYOUT)
    try:
        labels = loadmat(root / "imagelabels.mat")["labels"].ravel().tolist()
        ids = loadmat(root / "setid.mat")
        splits = {"train": ids["trnid"], "test": ids[REAL_SPLITS[spec["real_split"]]]}
        if (last := max(numbers.max() for numbers in splits.values())) > len(labels):
            raise ValueError(f"image {last} has no label")
    except Exception as error:  # SciPy raises errors of many kinds for damaged files
        raise InputError(
            f"{' or '.join(TABLES)} in {str(root)!r} is not the official file ({error}): download it again"
        ) from error
    return dict(enumerate(labels, 1)), {split: numbers.ravel().tolist() for split, numbers in splits.items()}
