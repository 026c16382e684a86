"""MVTec-AD (Bergmann et al. 2019): 15 products, normal train images, test images of several defect types."""

from collections.abc import Collection
from typing import Literal

from swsa_core.basics.errors import InputError
from swsa_core.datasets.kind import Kind, PublishedSize, Spec
from swsa_core.datasets.rows import NORMAL, Row, choose, product_name, with_support
from swsa_core.datasets.section import Licensed
from swsa_core.files import listing
from swsa_core.files.downloads import License, Publication, Published

CATEGORIES = (
    *("bottle", "cable", "capsule", "carpet", "grid", "hazelnut", "leather", "metal_nut", "pill", "screw", "tile"),
    *("toothbrush", "transistor", "wood", "zipper"),
)
TEXTURES = ("carpet", "grid", "leather", "tile", "wood")  # the other products are objects
LAYOUT = "a folder with <product>/train/good/, <product>/test/good/ and <product>/test/<defect type>/"


class MVTecAD(Licensed):
    kind: Literal["mvtec_ad"]


def tasks(spec: Spec) -> list[str]:
    """The 15 products, then further products of the same layout that are on disk."""
    root = listing.require(spec["root"], [], LAYOUT)
    others = [
        name for name in listing.directories(root) if name not in CATEGORIES and (root / name / "train/good").is_dir()
    ]
    chosen = choose(spec, [*CATEGORIES, *others])
    if not spec["allow_missing"]:
        _check_complete(root, chosen)
    return with_support(spec, chosen, {name: len(_images(root, name, "train", NORMAL)) for name in chosen})


def inputs(spec: Spec, task: str | None = None) -> list[str]:
    """The product's directory of train images (None: all directories of images of the tasks)."""
    root = listing.require(spec["root"], [], LAYOUT)
    if task is not None:
        return [(root / task / "train" / NORMAL).as_posix()]
    return [(root / name / split / group).as_posix() for name in tasks(spec) for split, group in _groups(root, name)]


def rows(spec: Spec, names: Collection[str] | None = None) -> list[Row]:
    """Rows of the products `names` (None: all tasks): train/good, then every directory of test/."""
    root = listing.require(spec["root"], [], LAYOUT)
    return [
        Row(image_id, name, split, group)
        for name in (tasks(spec) if names is None else sorted(names))
        for split, group in _groups(root, name)
        for image_id in _images(root, name, split, group)
    ]


def class_name(name: str) -> str:
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


PUBLICATION = Publication(
    "MVTec-AD",
    "https://www.mvtec.com/company/research/datasets/mvtec-ad",
    (
        Published(
            "https://www.mydrive.ch/shares/150996/b52ecdcbf521176e9db9c731f2304b27/"
            "download/420938113-1629960298/mvtec_anomaly_detection.tar.xz",
            5_264_982_680,
            sha256="cf4313b13603bec67abb49ca959488f7eedce2a9f7795ec54446c649ac98cd3d",
        ),
    ),
    license=License(
        "CC BY-NC-SA 4.0",
        "attribution, no commercial use, share alike",
        "https://creativecommons.org/licenses/by-nc-sa/4.0/",
    ),
)

KIND = Kind(
    section=MVTecAD,
    title=PUBLICATION.title,
    anomalies="defects",
    layout=LAYOUT,
    prompts="industrial",
    tasks=tasks,
    inputs=inputs,
    rows=rows,
    class_name=class_name,
    reading=0.09,  # PNG of about 1024 x 1024
    in_paper=True,
    publication=PUBLICATION,
    published_size=lambda spec: PublishedSize(len(CATEGORIES), 3629, 1725),
    textures=TEXTURES,
)
