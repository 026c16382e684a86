"""The support set of a task, as its JSON file holds it: written by one stage and read by many."""

from typing import NotRequired, TypedDict


class Unreadable(TypedDict):
    """An image that cannot be read, and why."""

    image_id: str
    path: str
    reason: str


class Copies(TypedDict):
    """An image that stays in the support set, and the ids of those that show the same picture and are left out."""

    image_id: str
    copies: list[str]


class Support(TypedDict):
    """The normal training images of one task.

    seed_ids, held_out_ids: image ids, the support set together. paths: {image id: path for `read_image`} of both. copies,
    drawings: only where there are any; drawings: ids of readable images of few colours, such as masks, among photographs.
    """

    dataset: str
    task: str
    seed_ids: list[str]
    held_out_ids: list[str]
    paths: dict[str, str]
    skipped: list[Unreadable]
    copies: NotRequired[list[Copies]]
    drawings: NotRequired[list[str]]
