"""More normal images for a detector that is there: banks and level become those of a detector of all of them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.detect.detector import Detector, Part
from swsa_core.detect.heads import PROMPT, holds_images
from swsa_core.detect.make import digest_of, features_of_members, make_part, tested
from swsa_core.files.reading import file_of

STAYS = (
    "verdict",
    "reason",
)  # of what is told of a task; how it does on synthetic anomalies was told of the former level


class Added(NamedTuple):
    """A detector with more normal images; those that were added, and those that its bank, or another of them, already shows."""

    detector: Detector
    new: list[str]
    known: list[str]


def with_normals(
    detector: Detector,
    images: Sequence[str],
    task: str | None = None,
    threads: int = 1,
    log: Callable[[str], None] = print,
) -> Added:
    """A detector whose task has some normal images more, by their paths: what `fit` makes of all of them, the new ones last.

    Features of the former images are those of the bank, so that only new ones are computed. Where the bank keeps some of
    the patches of each image only, or texts, the former images are read again, too. Raises InputError for images that
    cannot be read, and for former images that are needed and are not there, or are others.
    """
    part = detector.part(task)
    known = set(part.digests)
    new: list[str] = []
    old: list[str] = []
    for path in map(part.as_read, images):
        digest = digest_of(path)
        (old if digest in known else new).append(path)
        known.add(digest)
    if not new:
        return Added(detector, [], list(map(file_of, old)))
    members = [detector.members[name] for name in part.members]
    found = features_of_members(detector, new, part.members, threads, log)
    kept = {one.name: part.banks[one.name] for one in members}
    if not all(holds_images(one.head, one.grid, part.banks[one.name]) for one in members):
        log(
            f"reading the {len(part.paths)} former normal images again: the bank does not keep all that is needed of them"
        )
        kept = features_of_members(detector, check_there(part), part.members, threads, log)
    whole = {name: np.concatenate([kept[name], found[name]]) for name in part.members}
    facts = {key: part.facts[key] for key in STAYS if key in part.facts}
    facts["added"] = part.facts.get("added", 0) + len(new)
    extended = make_part(
        part.name,
        members,
        whole,
        [*part.paths, *map(str, new)],
        [*part.digests, *map(digest_of, new)],
        detector.about["dataset"],
        facts=facts,
        texts={one.name: part.banks[one.name] for one in members if one.head == PROMPT},
    )
    whole_detector = replace(detector, parts={**detector.parts, part.name: extended})
    return Added(tested(whole_detector, detector.backbones), list(map(file_of, new)), list(map(file_of, old)))


def check_there(part: Part) -> list[Any]:
    """Paths of a task's normal images. Raises InputError where one of them is gone, or is not the image that it was."""
    for path, digest in zip(part.paths, part.digests, strict=True):
        try:
            same = digest_of(path) == digest
        except InputError as error:
            raise InputError(
                f"the normal images of {part.name} are needed once more, and one cannot be read: {error}"
            ) from error
        if not same:
            raise InputError(
                f"the normal images of {part.name} are needed once more, and {file_of(path)!r} is another image than the "
                "detector was made of: put the former one back, or make the detector anew"
            )
    return part.paths
