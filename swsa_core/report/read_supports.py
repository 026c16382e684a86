"""The support sets of a study, and what the report tells of their images: copies, masks, and files that could not be read."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypedDict

from swsa_core.basics.errors import InputError
from swsa_core.detectors import score_knn
from swsa_core.files import layout
from swsa_core.files.images import header
from swsa_core.files.reading import file_of
from swsa_core.files.support import Copies, Support, Unreadable, read_task_supports


class ReadSupport(Support):
    """A support set with the name of its file, the slug of its task."""

    slug: str


class Skipped(Unreadable):
    """An image that a study went on without; task: "" where it is not a support image."""

    dataset: str
    task: str
    stage: str


class Copied(TypedDict):
    """The copies among the normal images of a task."""

    dataset: str
    task: str
    copies: list[Copies]


class Drawn(TypedDict):
    """The images of few colours among the photographs of a task: {"dataset", "task", "drawings": their ids}."""

    dataset: str
    task: str
    drawings: list[str]


Supports = dict[tuple[str, str], ReadSupport]
"""{(data set, task): support set}."""


def read_supports(paths: Iterable[Path | str]) -> Supports:
    """{(data set, task): support set}, with the file's name as `slug`."""
    paths = list(paths)
    return {
        (support["dataset"], support["task"]): {**support, "slug": layout.fields_of("support", path)["task"]}
        for path, support in zip(paths, read_task_supports(paths), strict=True)
    }


def read_skipped(supports: Supports, score_files: Iterable[str], paths: Mapping[tuple[str, str], str]) -> list[Skipped]:
    """Images that could not be read: support images by task, others as the embedding left them out, each once.

    paths: {(data set, image id): path}.
    """
    skipped: dict[tuple[str, str], Skipped] = {}
    for (dataset, task), support in supports.items():
        for image in support["skipped"]:
            skipped[dataset, image["image_id"]] = Skipped(dataset=dataset, task=task, stage="split_support", **image)
    for file in score_files:
        dataset = layout.dataset_of("scores", file)
        for image in json.loads(score_knn.read(file).attributes["skipped"]):
            key = dataset, image["image_id"]
            if key not in paths:
                raise InputError(
                    f"{file} leaves out {key[1]!r}, which images.csv of {dataset!r} does not list: delete both and run again"
                )
            skipped.setdefault(
                key, {"dataset": dataset, "task": "", "stage": "embed_images", "path": file_of(paths[key])} | image
            )
    return list(skipped.values())


def read_shapes(supports: Supports) -> list[tuple[int, int]]:
    """(height, width) of the seed images of all tasks, as their files have them; no pixel is decoded."""
    found = (header(support["paths"][image_id]) for support in supports.values() for image_id in support["seed_ids"])
    return [(image.height, image.width) for image in found]


def read_copies(supports: Supports) -> list[Copied]:
    """The groups of copies among the normal images of each task where there are any."""
    return [
        {"dataset": dataset, "task": task, "copies": support["copies"]}
        for (dataset, task), support in supports.items()
        if support.get("copies")
    ]


def read_drawings(supports: Supports) -> list[Drawn]:
    """The images of few colours, such as masks, among the photographs of each task where there are any."""
    return [
        {"dataset": dataset, "task": task, "drawings": support["drawings"]}
        for (dataset, task), support in supports.items()
        if support.get("drawings")
    ]
