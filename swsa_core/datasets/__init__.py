"""Data sets in their official layouts: the tasks, the support images and the real test images of each kind.

A kind is a module with a `Kind`, which says what is known about it and how its directories are read. Image files are
listed, never opened.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean
from swsa_core.basics.registry import entries
from swsa_core.basics.seeding import rng
from swsa_core.datasets.kind import Kind, Spec
from swsa_core.datasets.rows import NORMAL, choice_of
from swsa_core.files import listing
from swsa_core.files.table import Table

if TYPE_CHECKING:
    import pandas as pd

KINDS: dict[str, Kind] = entries(
    "swsa_core.datasets", "KIND", "cub", "flowers", "mvtec_ad", "visa", "classes", "folder", "digits"
)
INDEX = Table("images", "image_id path class split group")


def kind_of(spec: Spec) -> Kind:
    """The kind of a data set. Raises InputError, with near matches, where there is no such kind."""
    return _named(spec["kind"])


def tasks(spec: Spec) -> list[str]:
    """Original names of the tasks of a data set, in official order, restricted to spec["tasks"].

    The images are not looked at, as large data sets take long to list: `support_sizes` and `index` say what is missing. With
    `allow_missing` they are, and the tasks are the classes with enough support images on disk (those named in spec["tasks"]
    stay, however few they have).
    """
    return kind_of(spec).tasks(spec)


def inputs(spec: Spec, task: str | None = None) -> list[str]:
    """Directories and official small files whose change means that the task's support (None: the index) changed."""
    return kind_of(spec).inputs(spec, task)


def support_images(spec: Spec, task: str, seed: int = 0, dataset: str = "") -> list[str]:
    """Image ids of the train normals of a task; nothing of the other tasks is looked at."""
    return [row.image_id for row in _rows(spec, [task], seed, dataset) if row.split == "train"]


def support_sizes(spec: Spec) -> dict[str, int]:
    """{task: number of its train normals}, in the order of the tasks; the data set is listed once, not once per task.

    Images that an official file names and that are not on disk are an InputError, unless `allow_missing`.
    """
    chosen, kind = tasks(spec), kind_of(spec)
    if kind.support_sizes:
        return kind.support_sizes(spec, chosen)
    normals = Counter(row.label for row in kind.rows(spec, set(chosen)) if row.split == "train")
    return {task: normals[task] for task in chosen}


def index(spec: Spec, seed: int = 0, dataset: str = "") -> "pd.DataFrame":
    """DataFrame with a row per image: image_id, path, class, split (train, test), group (class or defect type).

    image_id is the path below the data set's root; path is what `read_image` takes. Train images are those of the
    tasks; where the anomalies are other classes, the test images of every class are there.
    """
    import pandas as pd  # not at the top: `tasks` and `inputs` are called whenever the Snakefile is read

    chosen, path = set(tasks(spec)), kind_of(spec).path
    rows = _rows(spec, None if kind_of(spec).anomalies == "classes" else chosen, seed, dataset)
    records = [
        (row.image_id, path(spec, row.image_id), row.label, row.split, row.group)
        for row in rows
        if row.split == "test" or row.label in chosen
    ]
    return pd.DataFrame(records, columns=INDEX.columns, dtype=str)


def paths(spec: Spec, image_ids: Iterable[str]) -> dict[str, str]:
    """{image_id: path for `read_image`}, in order."""
    path = kind_of(spec).path
    return {image_id: path(spec, image_id) for image_id in image_ids}


def remarks(spec: Spec, image_ids: Collection[str]) -> list[str]:
    """Sentences about how the images are read, and about what is on disk and not used. image_ids: those of the index."""
    said = []
    if spec["bit_depth"] is not None:
        said.append(
            f"samples of 16 bits are read as {spec['bit_depth']} bits, divided by {2 ** (spec['bit_depth'] - 8)}"
        )
    if spec["value_range"] is not None:
        said.append(
            "values from {:g} to {:g} of samples of more than 8 bits are read as 0 to 255".format(*spec["value_range"])
        )
    aside: Counter[str] = Counter()
    for path in filter(os.path.isdir, inputs(spec)):
        aside.update(listing.left_aside(path, choice_of(spec)))
    if aside:
        counts = ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in sorted(aside.items()))
        said.append(f"files beside the images are not used: {counts}")
    unused = kind_of(spec).unused
    if unused and (found := unused(spec, set(image_ids))):
        counts = ", ".join(f"{count} in {folder}" for folder, count in found.items())
        said.append(f"images below the root are not used: {counts}")
    return said


def real_validation(
    index: "pd.DataFrame", spec: Spec, task: str, left_out: Collection[str] = ()
) -> tuple[np.ndarray, np.ndarray, str]:
    """The labelled test of a task: (rows, groups, normal), rows of `index` with the group label of each.

    rows: (n,) int, ascending; groups: (n,) str, out-classes or defect types; normal: the label of the normal group. A
    row occurs once per defect type with `groups: atomic` of VisA. Groups of all sizes are there. left_out: ids of images that
    are not among them. Both arrays are empty
    where there are no normals or no anomalies.
    """
    among_classes = kind_of(spec).anomalies == "classes"
    normal = task if among_classes else NORMAL
    wanted = index["split"].to_numpy(dtype=object) == "test"
    if not among_classes:
        wanted &= index["class"].to_numpy(dtype=object) == task
    if left_out:
        wanted &= ~index["image_id"].isin(left_out).to_numpy()
    rows = np.flatnonzero(wanted)
    groups = index["group"].to_numpy(dtype=object)[rows]
    if spec.get("groups") == "atomic":
        types = [_types(group) for group in groups]
        rows = np.repeat(rows, [len(several) for several in types])
        groups = np.array([one for several in types for one in several], dtype=object)
    is_normal = groups == normal
    labelled = is_normal.any() and not is_normal.all()
    return (rows, groups, normal) if labelled else (rows[:0], groups[:0], normal)


def class_name(kind: str, name: str) -> str:
    """Class name for prompts: underscores to spaces, official numbers dropped, pcb and digits spelled out."""
    return _named(kind).class_name(name)


def name_in_prompts(spec: Spec, task: str) -> str:
    """The name of a task in prompts: the one that the config gives, or that of the kind."""
    kind = kind_of(spec)
    return (kind.class_name_key and spec.get(kind.class_name_key)) or kind.class_name(task)


def _named(kind):
    if kind not in KINDS:
        raise InputError(f"data set kind {kind!r} is unknown: {did_you_mean(kind, KINDS)}")
    return KINDS[kind]


def _rows(spec, names, seed, dataset):
    kind = kind_of(spec)
    rows = kind.rows(spec, names)
    if kind.draw_train and rows:
        return kind.draw_train(spec, rows, lambda: rng(seed, dataset, rows[0].label, "train"))
    return rows


def _types(label):
    """Defect types of a label, each once: "a, b,a" -> ["a", "b"]."""
    return list(dict.fromkeys(part.strip() for part in label.split(",")))
