"""Data sets in their official layouts: the tasks, the support images and the real test images of each kind.

A kind is a module with
    ANOMALIES    "classes" (the anomalies of a task are the test images of all other classes) or "defects"
    tasks(spec)  names of the tasks, from directory listings and small text files
    inputs(spec, task=None)  paths whose change means that the task's support (None: the whole index) changed
    rows(spec, names=None)   `Row`s of the classes `names` (None: all), train and test
    class_name(name)         the name for prompts
Image files are listed, never opened.
"""

from collections import Counter
from pathlib import Path

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean
from swsa_core.basics.seeding import rng
from swsa_core.datasets import classes, cub, digits, flowers, folder, mvtec_ad, visa
from swsa_core.datasets.rows import NORMAL

KINDS = {
    "cub": cub,
    "flowers": flowers,
    "mvtec_ad": mvtec_ad,
    "visa": visa,
    "classes": classes,
    "folder": folder,
    "digits": digits,
}
COLUMNS = ["image_id", "path", "class", "split", "group"]


def tasks(spec):
    """Original names of the tasks of a data set, in official order, restricted to spec["tasks"].

    Images that an official file names and that are not on disk are an InputError. With `allow_missing` the tasks are
    the classes with enough support images on disk (those named in spec["tasks"] stay, however few they have).
    """
    return _kind(spec["kind"]).tasks(spec)


def inputs(spec, task=None):
    """Directories and official small files whose change means that the task's support (None: the index) changed."""
    return _kind(spec["kind"]).inputs(spec, task)


def support_images(spec, task, seed=0, dataset=""):
    """Image ids of the train normals of a task; nothing of the other tasks is looked at."""
    return [row.image_id for row in _rows(spec, [task], seed, dataset) if row.split == "train"]


def support_sizes(spec):
    """{task: number of its train normals}, in the order of the tasks; the data set is listed once, not once per task."""
    chosen = tasks(spec)
    if spec["kind"] == "digits":  # scikit-learn, which has them, takes seconds to import
        return dict.fromkeys(chosen, digits.TRAIN_IMAGES)
    normals = Counter(row.label for row in _kind(spec["kind"]).rows(spec, set(chosen)) if row.split != "test")
    return {task: spec.get("train") or normals[task] for task in chosen}


def index(spec, seed=0, dataset=""):
    """DataFrame with a row per image: image_id, path, class, split (train, test), group (class or defect type).

    image_id is the path below the data set's root; path is what `read_image` takes. Train images are those of the
    tasks; where the anomalies are other classes, the test images of every class are there.
    """
    import pandas as pd  # not at the top: `tasks` and `inputs` are called whenever the Snakefile is read

    chosen = set(tasks(spec))
    rows = _rows(spec, None if _kind(spec["kind"]).ANOMALIES == "classes" else chosen, seed, dataset)
    records = [
        (row.image_id, _path(spec, row.image_id), row.label, row.split, row.group)
        for row in rows
        if row.split == "test" or row.label in chosen
    ]
    return pd.DataFrame(records, columns=COLUMNS, dtype=str)


def paths(spec, image_ids):
    """{image_id: path for `read_image`}, in order."""
    return {image_id: _path(spec, image_id) for image_id in image_ids}


def real_validation(index, spec, task):
    """The labelled test of a task: (rows, groups, normal), rows of `index` with the group label of each.

    rows: (n,) int, ascending; groups: (n,) str, out-classes or defect types; normal: the label of the normal group. A
    row occurs once per defect type with `groups: atomic` of VisA. Groups of all sizes are there. Both arrays are empty
    where there are no normals or no anomalies.
    """
    among_classes = _kind(spec["kind"]).ANOMALIES == "classes"
    normal = task if among_classes else NORMAL
    wanted = index["split"].to_numpy(dtype=object) == "test"
    if not among_classes:
        wanted &= index["class"].to_numpy(dtype=object) == task
    rows = np.flatnonzero(wanted)
    groups = index["group"].to_numpy(dtype=object)[rows]
    if spec.get("groups") == "atomic":
        types = [_types(group) for group in groups]
        rows = np.repeat(rows, [len(several) for several in types])
        groups = np.array([one for several in types for one in several], dtype=object)
    is_normal = groups == normal
    labelled = is_normal.any() and not is_normal.all()
    return (rows, groups, normal) if labelled else (rows[:0], groups[:0], normal)


def class_name(kind, name):
    """Class name for prompts: underscores to spaces, official numbers dropped, pcb and digits spelled out."""
    return _kind(kind).class_name(name)


def _kind(kind):
    if kind not in KINDS:
        raise InputError(f"data set kind {kind!r} is unknown: {did_you_mean(kind, KINDS)}")
    return KINDS[kind]


def _rows(spec, names, seed, dataset):
    rows = _kind(spec["kind"]).rows(spec, names)
    if spec["kind"] == "folder" and spec["train"] is not None:
        return folder.draw_train(rows, spec["train"], rng(seed, dataset, rows[0].label, "train"))
    return rows


def _path(spec, image_id):
    return image_id if spec["kind"] == "digits" else (Path(spec["root"]) / image_id).as_posix()


def _types(label):
    """Defect types of a label, each once: "a, b,a" -> ["a", "b"]."""
    return list(dict.fromkeys(part.strip() for part in label.split(",")))
