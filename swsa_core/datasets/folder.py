"""A folder of one's own normal images, with or without labelled defects: one task, named like the folder.

Three layouts, images found in all sub-directories of the last two:
    flat    normal images directly in the root
    split   train/good, and optionally test/good and test/<defect type> (one product of MVTec-AD)
    tree    the config names the sub-directory of normals (`normal:`); the directories beside it are defect types
"""

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from numpy.random import Generator
from pydantic import AfterValidator

from swsa_core.basics.errors import InputError
from swsa_core.basics.section import PositiveInt, not_blank
from swsa_core.datasets.kind import Kind, Spec
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
)
from swsa_core.datasets.section import NORMAL_NAMES, Dataset, NormalNames
from swsa_core.files import listing

LAYOUT = (
    "a flat folder of normal images, or train/good with optional test/good and test/<defect type>, "
    "or any tree with `normal: <sub-directory>` set"
)
UNDIVIDED = "undivided"  # split of normals that no directory divides, until `draw_train` has drawn among them


class Folder(Dataset):
    kind: Literal["folder"]
    normal: str | None = None
    """The sub-directory that holds the normal images. The other sub-directories are defect types."""
    train: PositiveInt | None = None
    """Number of normal images that are drawn for the support set if there is no train/test split."""
    class_name: Annotated[str, AfterValidator(not_blank)] | None = None
    """What the images show, as prompts shall call it. If left out, the name of the directory is used."""
    normal_names: NormalNames = NORMAL_NAMES
    """Names that the directory of normal images may have, in upper or lower case. Two such directories side by side are an
    error."""


class _Part(NamedTuple):
    directory: Path
    split: str
    group: str
    deep: bool  # images are found in all sub-directories


def tasks(spec: Spec) -> list[str]:
    """The one task: the base name of the root."""
    rows(spec)
    return choose(spec, [_name(spec)])


def inputs(spec: Spec, task: str | None = None) -> list[str]:
    """The directories of the normals that the support comes from (None: of all images), to every depth."""
    parts = [part for part in _parts(spec) if task is None or part.split != "test"]
    return [path.as_posix() for part in parts for path in _directories(spec, part)]


def rows(spec: Spec, names: Collection[str] | None = None) -> list[Row]:
    """Rows of the folder, normals first; their split is "undivided" where `train` of them are still to be drawn."""
    root, parts = Path(spec["root"]), _parts(spec)
    found = [
        Row((directory / image).relative_to(root).as_posix(), _name(spec), part.split, part.group)
        for part in parts
        for directory in _directories(spec, part)
        for image in listing.images(directory, choice_of(spec))
    ]
    check_sensors(spec, found)
    normals = sum(row.split != "test" for row in found)
    if not normals:
        raise InputError(
            f"{parts[0].directory.as_posix()!r} has no images (such as .jpg, .png, .tif); expected {LAYOUT}"
        )
    if normals < (spec["train"] or 0):
        raise InputError(
            f"train: {spec['train']} normal images were asked for, {parts[0].directory.as_posix()!r} has {normals}"
        )
    return sorted(found, key=lambda row: (row.split == "test", row.group, row.image_id))


def support_sizes(spec: Spec, tasks: list[str]) -> dict[str, int]:
    """{task: the images that are drawn, or all normal training images}."""
    return {task: spec["train"] or sum(row.split == "train" for row in rows(spec)) for task in tasks}


def draw_train(spec: Spec, rows: list[Row], generator: Callable[[], Generator]) -> list[Row]:
    """The rows with spec["train"] of the undivided normals drawn for the support; the other normals are test images."""
    if spec["train"] is None:
        return rows
    undivided = [number for number, row in enumerate(rows) if row.split == UNDIVIDED]
    drawn = set(generator().choice(undivided, spec["train"], replace=False).tolist())
    split = ["train" if number in drawn else "test" for number in range(len(rows))]
    return [row._replace(split=part) for row, part in zip(rows, split, strict=True)]


def class_name(name: str) -> str:
    """The folder's name, cleaned like a product's."""
    return product_name(name)


def unused(spec: Spec, image_ids: Collection[str]) -> dict[str, int]:
    """{directory: images in it} of the images below the root that are in no row, such as those of a validation split."""
    return not_used(spec, Path(spec["root"]), image_ids)


def _name(spec):
    return os.path.basename(os.path.abspath(spec["root"]))


def _parts(spec):
    """The directories of images and what each holds, by the layout that is found; the one of normals first."""
    root = listing.require(spec["root"], [], LAYOUT)
    if spec["normal"] is not None:
        return _tree(root, spec)
    if normal := normal_directory(root / "train", spec):
        return _split(root, normal, spec)
    return _flat(root, spec)


def _flat(root, spec):
    choice = choice_of(spec)
    with_images = [name for name in listing.directories(root, choice) if listing.images_below(root / name, choice)]
    if with_images:
        raise InputError(
            f"root {str(root)!r} has images in the sub-directories {with_images}; expected {LAYOUT}: "
            "name the one with normal images (`normal: <one of them>`), and with `train: <count>` how many of its images "
            "make the support set"
        )
    return [_Part(root, _normal_split(spec), NORMAL, False)]


def _split(root, normal, spec):
    if spec["train"] is not None:
        raise InputError(
            f"train: {spec['train']} is for folders without a split, but {str(root)!r} has train/{normal}: remove it"
        )
    return [
        _Part(root / "train" / normal, "train", NORMAL, True),
        *(_Part(root / folder, "test", group, True) for folder, group in groups_of_test(root, spec)),
    ]


def _tree(root, spec):
    inside = Path(spec["normal"])
    if not inside.parts or ".." in inside.parts or inside.is_absolute():
        raise InputError(f"normal: {spec['normal']!r} is not a sub-directory of {str(root)!r}; expected {LAYOUT}")
    normal = listing.require(root, [inside], "the sub-directory of normal images that `normal` names") / inside
    choice = choice_of(spec)
    beside = [name for name in listing.directories(normal.parent, choice) if name != normal.name]
    defects = [name for name in beside if listing.images_below(normal.parent / name, choice)]
    if NORMAL in defects:
        raise InputError(
            f"{NORMAL!r} beside {str(normal)!r} cannot be a defect type: rename it, or name it in `normal`"
        )
    if defects and spec["train"] is None:
        raise InputError(
            f"{str(normal)!r} has no train/test split and stands beside the defect types {defects}: set train: <count> "
            "for the support; the other normal images are tested against the defects"
        )
    return [
        _Part(normal, _normal_split(spec), NORMAL, True),
        *(_Part(normal.parent / name, "test", name, True) for name in defects),
    ]


def _normal_split(spec):
    return "train" if spec["train"] is None else UNDIVIDED


def _directories(spec, part):
    return listing.directories_below(part.directory, choice_of(spec)) if part.deep else [part.directory]


KIND = Kind(
    section=Folder,
    title="own folder",
    anomalies="defects",
    layout=LAYOUT,
    prompts="industrial",
    tasks=tasks,
    inputs=inputs,
    rows=rows,
    class_name=class_name,
    unused=unused,
    class_name_key="class_name",
    support_sizes=support_sizes,
    draw_train=draw_train,
)
