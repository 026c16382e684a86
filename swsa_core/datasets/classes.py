"""An own data set of classes: train/<class> and test/<class>; every class of train/ is a task."""

from collections.abc import Collection
from pathlib import Path
from typing import Literal

from swsa_core.basics.errors import InputError
from swsa_core.datasets.kind import Kind, Spec
from swsa_core.datasets.rows import Row, check_sensors, choice_of, choose, spaced, with_support
from swsa_core.datasets.section import Dataset
from swsa_core.files import listing

LAYOUT = "a folder with train/<class>/ and test/<class>/"


class Classes(Dataset):
    kind: Literal["classes"]


def tasks(spec: Spec) -> list[str]:
    """The sub-directories of train/, sorted. Without allow_missing each must be in test/ too."""
    root = listing.require(spec["root"], ["train"], LAYOUT)
    known = _classes(spec, "train")
    if not known:
        raise InputError(f"root {str(root)!r} has no classes in train/; expected {LAYOUT}")
    tested = set(_classes(spec, "test"))
    untested = [name for name in known if name not in tested]
    if untested and not spec["allow_missing"]:
        raise InputError(
            f"root {str(root)!r} lacks {len(untested)} of {len(known)} test directories, the first is "
            f"'test/{untested[0]}': add them, or set allow_missing: true to have no real figures for these classes"
        )
    chosen = choose(spec, known)
    return with_support(spec, chosen, lambda: rows(spec, chosen))


def inputs(spec: Spec, task: str | None = None) -> list[str]:
    """The directories of the class in train/ (None: of the tasks in train/ and of all classes in test/), to every depth."""
    root = listing.require(spec["root"], ["train"], LAYOUT)
    if task is not None:
        folders = [root / "train" / task]
    else:
        folders = [
            *(root / "train" / name for name in tasks(spec)),
            *(root / "test" / name for name in _classes(spec, "test")),
        ]
    return [path.as_posix() for folder in folders for path in listing.directories_below(folder, choice_of(spec))]


def rows(spec: Spec, names: Collection[str] | None = None) -> list[Row]:
    """Rows of the classes `names` (None: all), train first; images in the directory of their class and below."""
    root = listing.require(spec["root"], ["train"], LAYOUT)
    found = [
        Row(f"{split}/{name}/{image}", name, split, name)
        for split in ("train", "test")
        for name in _classes(spec, split)
        if names is None or name in names
        for image in listing.images_below(root / split / name, choice_of(spec))
    ]
    return check_sensors(spec, found)


def class_name(name: str) -> str:
    """Name with spaces instead of underscores."""
    return spaced(name)


def _classes(spec, split):
    folder = Path(spec["root"]) / split
    return listing.directories(folder, choice_of(spec)) if listing.is_directory(folder) else []


KIND = Kind(
    section=Classes,
    title="own classes",
    anomalies="classes",
    layout=LAYOUT,
    prompts="general",
    tasks=tasks,
    inputs=inputs,
    rows=rows,
    class_name=class_name,
)
