"""A detector in service: the networks of its members, the banks of its tasks, and the scores of their normal images.

Several tasks, such as the parts of a product, share the networks. An anomaly score of a task with one member is that of the
member's head; of a task with several it is `swsa_core.detectors.together` of theirs.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean
from swsa_core.candidates.backbone import Backbone, load_backbone
from swsa_core.candidates.family import CandidateSpec
from swsa_core.detect.heads import COMPARING
from swsa_core.detect.level import p_values
from swsa_core.detect.self_test import check_code, check_same, check_scores
from swsa_core.detectors.scores import Answer
from swsa_core.detectors.together import together
from swsa_core.embedding.embed import BATCH_SIZE, compute_threads, in_batches, share_threads
from swsa_core.embedding.image_stream import image_stream
from swsa_core.files.reading import PLAIN, address, file_of, parse

BATCH = 64  # images at a time; each is in memory as what each network sees of it


@dataclass(frozen=True)
class Member:
    """A candidate of the detector.

    backbone: its network, as the config has it; head, settings: what compares, and the arguments of `Head.against`.
    grid: side of the grid of patches that it compares, 0 for none. facts: of `Backbone.attributes`, and its licence.
    """

    name: str
    backbone: CandidateSpec
    head: str
    settings: dict[str, Any]
    grid: int
    facts: dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A task of the detector.

    members: names; banks: {member: what its head compares with, (n, …), or (2, d) texts}; scale: (3, m) of `together`, None
    of one member. paths: (n,) where the normal images were read; digests: (n,) SHA-256 of their pixels; normals: (n,) their
    scores, each left out of the bank. maps: {member whose head compares patches: (n, patches) float16 of the normal images,
    each left out of the bank}. drawn: names of members that have a bank and maps, and no part in the score. facts: what is
    told of it: its verdict and how it does on synthetic anomalies.
    """

    name: str
    members: list[str]
    banks: dict[str, np.ndarray]
    scale: np.ndarray | None
    paths: list[str]
    digests: list[str]
    normals: np.ndarray
    maps: dict[str, np.ndarray] = field(default_factory=dict)
    drawn: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def as_read(self, image: Any) -> Any:
        """An image, where it is given by its path, read as the normal ones were: with the bit depth of their data set."""
        if not is_path(image) or parse(image)[1] != PLAIN or not self.paths:
            return image
        return address(image, parse(self.paths[0])[1])


class Scored(NamedTuple):
    """What a detector says of n images, in order.

    scores, p: (n,) float64, NaN of images that cannot be read; nearest: (n,) path of the normal image that is most like
    each in the eyes of the first member, "" of those and by prompts; reasons: (n,) why an image cannot be read, "" of the
    others. maps: of the members that compare patches, {member: (n, patches) float16}.
    """

    scores: np.ndarray
    p: np.ndarray
    nearest: list[str]
    reasons: list[str]
    maps: dict[str, np.ndarray]


class Seen(NamedTuple):
    """What the networks give of the images of a batch that can be read: {(backbone, whether of patches): (n, …)}."""

    rows: list[int]
    reasons: list[str]
    found: dict[tuple[str, bool], np.ndarray]


@dataclass(frozen=True)
class Detector:
    """Members and the tasks that they serve.

    about: what is told of the whole, its data set, strategy and versions among it, and `tested`, of `self_test.own_scores`.
    """

    members: dict[str, Member]
    parts: dict[str, Part]
    about: dict[str, Any]
    device: str = "auto"

    def part(self, task: str | None = None) -> Part:
        """The task of a name, or the only one. Raises InputError where it is unknown or left out though there are several."""
        if task is None:
            if len(self.parts) > 1:
                raise InputError(f"the detector has the tasks {', '.join(self.parts)}: say which by --task")
            return next(iter(self.parts.values()))
        if task not in self.parts:
            raise InputError(f"the detector has no task {task!r}: {did_you_mean(task, self.parts)}")
        return self.parts[task]

    @cached_property
    def backbones(self) -> dict[str, Backbone]:
        """{name: the network}, loaded once.

        Raises InputError where weights, or the scores that follow, are others than where the detector was made.
        """
        networks = self.networks()
        check_scores(self, networks)
        return networks

    def networks(self) -> dict[str, Backbone]:
        """`backbones` before their scores are looked at."""
        found: dict[str, Backbone] = {}
        grids = {one.backbone["name"]: 0 for one in self.members.values()}
        for one in self.members.values():
            grids[one.backbone["name"]] = max(grids[one.backbone["name"]], one.grid)
        for one in self.members.values():
            name = one.backbone["name"]
            if name not in found:
                check_code(one)
                backbone = load_backbone(
                    one.backbone, self.device, one.facts["precision"] or "auto", grids[name] or None
                )
                check_same(backbone, one.facts)
                found[name] = backbone
        return found

    def score(self, images: Sequence[Any], task: str | None = None) -> np.ndarray:
        """Anomaly scores (n,) of images, paths or (H, W, 3) uint8 arrays; higher is more anomalous.

        Raises InputError for an image that cannot be read.
        """
        batches = list(self.stream(images, task, maps=False))
        if reason := next((reason for one in batches for reason in one.reasons if reason), None):
            raise InputError(reason)
        return np.concatenate([np.empty(0), *(one.scores for one in batches)])

    def look(self, images: Sequence[Any], task: str | None = None) -> Scored:
        """All that the detector says of images, paths or (H, W, 3) uint8 arrays; it is held in memory, see `stream`."""
        batches = list(self.stream(images, task))
        if not batches:
            return Scored(np.empty(0), np.empty(0), [], [], {})
        return Scored(
            np.concatenate([one.scores for one in batches]),
            np.concatenate([one.p for one in batches]),
            [path for one in batches for path in one.nearest],
            [reason for one in batches for reason in one.reasons],
            {name: np.concatenate([one.maps[name] for one in batches]) for name in batches[0].maps},
        )

    def stream(
        self,
        images: Sequence[Any],
        task: str | None = None,
        threads: int = 1,
        log: Callable[[str], None] = print,
        maps: bool = True,
    ) -> Iterator[Scored]:
        """`Scored` of some images after the other, in bounded memory; images: as of `look`.

        threads: for all. maps: whether they are wanted; without them patches are compared in about a third of the time.
        """
        part = self.part(task)
        if not maps:
            part = replace(part, maps={}, drawn=[])
        for seen in self.see([part.as_read(image) for image in images], [*part.members, *part.drawn], threads, log):
            yield self.scored(part, seen)

    def see(
        self,
        images: Sequence[Any],
        members: Sequence[str],
        threads: int = 1,
        log: Callable[[str], None] = print,
        networks: Mapping[str, Backbone] | None = None,
    ) -> Iterator[Seen]:
        """What the networks of some members give of images, `BATCH` at a time; arguments as of `stream`.

        networks: `backbones`, where they are at hand before the detector is complete.
        """
        wanted = {(one.backbone["name"], bool(one.grid)) for one in (self.members[name] for name in members)}
        known = self.backbones if networks is None else networks
        backbones = {name: known[name] for name in dict.fromkeys(name for name, _ in sorted(wanted))}
        device = next((one.device for one in backbones.values() if one.device), "")
        processes, compute = share_threads(threads, "auto", device)
        sizes = {name: BATCH_SIZE[one.device] for name, one in backbones.items()}
        look = partial(prepared, images, {name: one.transform for name, one in backbones.items()})
        with image_stream(look, processes) as stream, compute_threads(compute):
            arriving = stream(range(len(images)))
            for start in range(0, len(images), BATCH):
                batch = [next(arriving) for _ in range(min(BATCH, len(images) - start))]
                rows = [row for row, (_, reason) in enumerate(batch) if not reason]
                found: dict[tuple[str, bool], np.ndarray] = {}
                for name, backbone in backbones.items() if rows else ():
                    given, sizes[name] = in_batches(backbone, [batch[row][0][name] for row in rows], sizes[name], log)
                    found |= {(name, kind > 0): values for kind, values in enumerate(given)}
                yield _finite(Seen(rows, [reason for _, reason in batch], found))

    def scored(self, part: Part, seen: Seen) -> Scored:
        """What a task's detector says of the images of a batch, which the networks of its members have seen."""
        n = len(seen.reasons)
        scores, nearest = np.full(n, np.nan), [""] * n
        maps = {name: np.zeros((n, values.shape[1]), np.float16) for name, values in part.maps.items()}
        if seen.rows:
            answers = {name: self._answer(part, name, seen.found) for name in [*part.members, *part.drawn]}
            of_members = np.stack([answers[name].scores for name in part.members], axis=1)
            scores[seen.rows] = combined(of_members, part.scale)
            closest = answers[part.members[0]].nearest
            if closest is not None:
                for row, image in zip(seen.rows, closest, strict=True):
                    nearest[row] = file_of(part.paths[image])
            for name, values in maps.items():
                values[seen.rows] = answers[name].maps
        p = np.full(n, np.nan)
        p[seen.rows] = p_values(scores[seen.rows], part.normals)
        return Scored(scores, p, nearest, seen.reasons, maps)

    def _answer(self, part: Part, name: str, found: Mapping[tuple[str, bool], np.ndarray]) -> Answer:
        """Scores by one member, of what its network gives of the images; with its map where the task has one."""
        one = self.members[name]
        head = COMPARING[one.head]
        settings = one.settings | ({"maps": name in part.maps} if head.patches else {})
        return head.against(found[one.backbone["name"], bool(one.grid)], part.banks[name], **settings)


def _finite(seen: Seen) -> Seen:
    """Images without those of which a network gives features that are not finite: heads would pass them as normal."""
    reasons = list(seen.reasons)
    good = np.ones(len(seen.rows), bool)
    for (name, _), values in seen.found.items():
        finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        for row in np.flatnonzero(good & ~finite):
            reasons[seen.rows[row]] = f"{name} gives features of it that are not finite"
        good &= finite
    if good.all():
        return seen
    rows = [row for row, kept in zip(seen.rows, good, strict=True) if kept]
    return Seen(rows, reasons, {key: values[good] for key, values in seen.found.items()})


def combined(scores: np.ndarray, scale: np.ndarray | None) -> np.ndarray:
    """Scores (n,) of a task whose members have the scores (n, m); scale: of `Part`."""
    return scores[:, 0] if scale is None else together(scores, scale)


def prepared(
    images: Sequence[Any], transforms: Mapping[str, Callable[[np.ndarray], np.ndarray]], row: int
) -> tuple[dict[str, np.ndarray], str]:
    """({backbone: the transformed image}, ""), or ({}, why it cannot be read), of one of the images; images: as of `look`."""
    from swsa_core.files.images import read_image

    image = images[row]
    try:
        pixels = read_image(image) if is_path(image) else checked(image)
        return {name: transform(pixels) for name, transform in transforms.items()}, ""
    except InputError as error:
        return {}, str(error)
    except OSError as error:  # of the machine: a mount that is lost, missing rights
        return {}, f"{file_of(str(image))} cannot be read ({error.strerror or error})"


def is_path(image: Any) -> bool:
    """Whether an image is given by its path."""
    return isinstance(image, str | os.PathLike)


def checked(image: Any) -> np.ndarray:
    """An image that is given as an array. Raises InputError where it is not (H, W, 3) uint8."""
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or 0 in array.shape:
        raise InputError(f"expected an image (H, W, 3) uint8, or a path; received {array.dtype} of shape {array.shape}")
    return array
