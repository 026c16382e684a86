"""The support set of a task, as its JSON file holds it: written by one stage and read by many."""

from typing import TypedDict


class Unreadable(TypedDict):
    """An image that cannot be read, and why."""

    image_id: str
    path: str
    reason: str


class Support(TypedDict):
    """The normal training images of one task.

    seed_ids, held_out_ids: image ids, the support set together. paths: {image id: path for `read_image`} of both.
    """

    dataset: str
    task: str
    seed_ids: list[str]
    held_out_ids: list[str]
    paths: dict[str, str]
    skipped: list[Unreadable]
