"""MVTec-AD (Bergmann et al. 2019): 15 products, normal train images, test images of several defect types."""

from swsa_core.basics.errors import InputError
from swsa_core.datasets.rows import NORMAL, Row, choose, product_name, with_support
from swsa_core.files import listing

ANOMALIES = "defects"
CATEGORIES = (
    *("bottle", "cable", "capsule", "carpet", "grid", "hazelnut", "leather", "metal_nut", "pill", "screw", "tile"),
    *("toothbrush", "transistor", "wood", "zipper"),
)
LAYOUT = "a folder with <product>/train/good/, <product>/test/good/ and <product>/test/<defect type>/"


def tasks(spec):
    """The 15 products, then further products of the same layout that are on disk."""
    root = listing.require(spec["root"], [], LAYOUT)
    others = [
        name for name in listing.directories(root) if name not in CATEGORIES and (root / name / "train/good").is_dir()
    ]
    chosen = choose(spec, [*CATEGORIES, *others])
    if not spec["allow_missing"]:
        _check_complete(root, chosen)
    return with_support(spec, chosen, {name: len(_images(root, name, "train", NORMAL)) for name in chosen})


def inputs(spec, task=None):
    """The product's directory of train images (None: all directories of images of the tasks)."""
    root = listing.require(spec["root"], [], LAYOUT)
    if task is not None:
        return [(root / task / "train" / NORMAL).as_posix()]
    return [(root / name / split / group).as_posix() for name in tasks(spec) for split, group in _groups(root, name)]


def rows(spec, names=None):
    """Rows of the products `names` (None: all tasks): train/good, then every directory of test/."""
    root = listing.require(spec["root"], [], LAYOUT)
    return [
        Row(image_id, name, split, group)
        for name in (tasks(spec) if names is None else sorted(names))
        for split, group in _groups(root, name)
        for image_id in _images(root, name, split, group)
    ]


def class_name(name):
    """Name with spaces, metal_nut -> metal nut, cleaned like VisA's."""
    return product_name(name)


def _groups(root, name):
    """(split, group) of each image directory of a product that is on disk."""
    test = root / name / "test"
    pairs = [("train", NORMAL), *(("test", group) for group in (listing.directories(test) if test.is_dir() else []))]
    return [(split, group) for split, group in pairs if (root / name / split / group).is_dir()]


def _images(root, name, split, group):
    folder = f"{name}/{split}/{group}"
    return [f"{folder}/{image}" for image in listing.images(root / folder)] if (root / folder).is_dir() else []


def _check_complete(root, names):
    folders = [f"{name}/{part}/{NORMAL}" for name in names for part in ("train", "test")]
    if missing := [folder for folder in folders if not (root / folder).is_dir()]:
        raise InputError(
            f"root {str(root)!r} lacks {len(missing)} directories of its {len(names)} products, first {missing[0]!r}: "
            "complete the download, list the products in `tasks`, or set allow_missing: true to use what is there"
        )
