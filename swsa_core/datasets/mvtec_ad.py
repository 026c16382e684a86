"""MVTec-AD (Bergmann et al. 2019): 15 products, normal train images, test images of several defect types."""

from collections.abc import Collection
from pathlib import Path
from typing import Literal

from swsa_core.basics.errors import InputError
from swsa_core.datasets.kind import Kind, PublishedSize, Spec
from swsa_core.datasets.rows import (
    NORMAL,
    Row,
    check_sensors,
    choice_of,
    choose,
    groups_of_test,
    normal_directory,
    not_used,
    product_name,
    with_support,
)
from swsa_core.datasets.section import NORMAL_NAMES, Licensed, NormalNames
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
    normal_names: NormalNames = NORMAL_NAMES
    """Names that the directory of normal images may have, in upper or lower case. Two such directories side by side are an
    error."""


def tasks(spec: Spec) -> list[str]:
    """The 15 products, then further products of the same layout that are on disk."""
    root = listing.require(spec["root"], [], LAYOUT)
    found = [name for name in listing.directories(root, choice_of(spec)) if name not in CATEGORIES]
    others = [name for name in found if normal_directory(root / name / "train", spec)]
    chosen = choose(spec, [*CATEGORIES, *others])
    if not spec["allow_missing"]:
        _check_complete(spec, chosen)
    return with_support(spec, chosen, lambda: rows(spec, chosen))


def inputs(spec: Spec, task: str | None = None) -> list[str]:
    """The product's directories of train images (None: all directories of images of the tasks), to every depth."""
    listing.require(spec["root"], [], LAYOUT)
    folders = [
        folder
        for name in (tasks(spec) if task is None else [task])
        for split, folder, _ in _groups(spec, name)
        if task is None or split == "train"
    ]
    return [path.as_posix() for folder in folders for path in listing.directories_below(folder, choice_of(spec))]


def rows(spec: Spec, names: Collection[str] | None = None) -> list[Row]:
    """Rows of the products `names` (None: all tasks): train/good, then every directory of test/."""
    root = listing.require(spec["root"], [], LAYOUT)
    found = [
        Row(f"{inside}/{image}", name, split, group)
        for name in (tasks(spec) if names is None else sorted(names))
        for split, folder, group in _groups(spec, name)
        for inside in [folder.relative_to(root).as_posix()]
        for image in listing.images_below(folder, choice_of(spec))
    ]
    return check_sensors(spec, found)


def class_name(name: str) -> str:
    """Name with spaces, metal_nut -> metal nut, cleaned like VisA's."""
    return product_name(name)


def unused(spec: Spec, image_ids: Collection[str]) -> dict[str, int]:
    """{directory: images in it} of the products' images that are in no row, such as those of a validation split."""
    counts = [not_used(spec, Path(spec["root"]) / name, image_ids) for name in tasks(spec)]
    return {folder: count for found in counts for folder, count in found.items()}


def _groups(spec, name):
    """(split, directory, group) of each directory of images of a product that is on disk."""
    product = Path(spec["root"]) / name
    normal = normal_directory(product / "train", spec)
    train = [("train", product / "train" / normal, NORMAL)] if normal else []
    return train + [("test", product / folder, group) for folder, group in groups_of_test(product, spec)]


def _check_complete(spec, names):
    root, missing = Path(spec["root"]), []
    for name in names:
        present = {split for split, _, group in _groups(spec, name) if group == NORMAL}
        missing += [f"{name}/{split}/{NORMAL}" for split in ("train", "test") if split not in present]
    if missing:
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
    unused=unused,
    reading=0.09,  # PNG of about 1024 x 1024
    in_paper=True,
    publication=PUBLICATION,
    published_size=lambda spec: PublishedSize(len(CATEGORIES), 3629, 1725),
    textures=TEXTURES,
)
