"""The support set of a task, as its JSON file holds it: written by one stage and read by many."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NotRequired  # those of the standard library suit pydantic from Python 3.12 on

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from swsa_core.basics.errors import InputError


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


def read_support(path: Path | str) -> Support:
    """The support set of a file. Raises InputError that names it where it cannot be read or is not one."""
    from swsa_core.files.text import read_json  # it imports pandas, which what the Snakefile reads does without

    try:
        support = _adapter().validate_python(read_json(path), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise _refused(path, f"{place or 'all of it'}: {first['msg']}") from error
    ids = [*support["seed_ids"], *support["held_out_ids"]]
    if len(set(ids)) < len(ids) or set(ids) != set(support["paths"]) or not support["seed_ids"]:
        raise _refused(path, "seed_ids and held_out_ids together are not the images of paths, each once")
    return support


def read_task_supports(paths: Iterable[Path | str]) -> list[Support]:
    """The support sets of several files, in their order. Raises InputError where two are of one task."""
    found: dict[tuple[str, str], tuple[Path | str, Support]] = {}
    for path in paths:
        support = read_support(path)
        of = support["dataset"], support["task"]
        if of in found:
            raise InputError(
                f"{found[of][0]} and {path} are both of task {of[1]!r} of data set {of[0]!r}: delete both and run again"
            )
        found[of] = path, support
    return [support for _, support in found.values()]


@cache
def _adapter():
    return TypeAdapter(Support)


def _refused(path, problem):
    return InputError(f"{path} is not the support set of a task ({problem}): delete it and run again")
