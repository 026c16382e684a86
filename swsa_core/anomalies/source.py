"""What a source of synthetic anomalies is: every fact about it, declared by its own module as `SOURCE`.

A source either generates anomalies for each task (`make`, or `stream` where that takes long enough to be resumed), or it
is a pool of other images of which each task samples some (`pool`), or each task takes images that are embedded anyway: of
such a pool (`of_pool`), or of the support sets of the data set's other tasks (`others`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from swsa_core.basics.look import Look
from swsa_core.basics.section import Section
from swsa_core.files.downloads import Publication
from swsa_core.files.support import Support
from swsa_core.files.table import Table

LOSSES = Table("losses", "epoch loss", numbers="epoch loss")  # of what a source trains
Images = dict[str, np.ndarray]
"""{image id: (H, W, 3) uint8}."""


@dataclass(frozen=True)
class Task:
    """What a source makes anomalies of, and what it may use for it.

    seeds: the seed images as prepared. seed: the config's. threads, runtime: of the job. progress: function of a text to a
    callable (done, total) that shows it. ways, trained: paths of what the stages of a `Training` made for the task.
    networks: {what was asked for: network} of the job, so that its tasks load each once.
    """

    dataset: str
    name: str
    seeds: Images
    preparation: dict[str, Any] | Literal["original"]
    seed: int
    precision: str = "auto"
    runtime: dict[str, Any] = field(default_factory=dict)
    threads: int = 1
    progress: Callable[[str], Callable[[float, float], None]] | None = None
    ways: str = ""
    trained: Sequence[str] = ()
    networks: dict[Any, Any] = field(default_factory=dict)

    @property
    def n_anomalies(self) -> int:
        """Anomalies that a source makes unless its section says how many."""
        return mixtures(len(self.seeds))


def number(seeds: int, section: dict[str, Any]) -> int:
    """Anomalies of a task with so many seed images: `n` of a section that has it, else `mixtures`."""
    return section.get("n") or mixtures(seeds)


def mixtures(seeds: int) -> int:
    """(n // 2)² of n seeds: as many as DiffStyle makes, which mixes one half of them with the other."""
    return (seeds // 2) ** 2


def in_turn(task: Task, section: dict[str, Any]) -> list[str]:
    """Id of the seed image that each anomaly is made from; counts per image differ by at most one."""
    ids = list(task.seeds)
    return [ids[i % len(ids)] for i in range(number(len(ids), section))]


def another(task: Task, image_id: str, rng: np.random.Generator) -> str:
    """Id of another seed image of the task, at random."""
    ids = [one for one in task.seeds if one != image_id]
    return ids[rng.integers(len(ids))]


@dataclass(frozen=True)
class Made:
    """The anomalies of one task, made at once.

    images: n of (h, w, 3) uint8. parents: (n, P) image ids that each was made from. columns: further arrays of n rows.
    """

    images: list[np.ndarray]
    parents: np.ndarray
    columns: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Stream:
    """The anomalies of one task, made one after the other so that a killed job goes on where it was.

    parents: (n, P) image ids, known in advance. attributes: of the file, what made them. device: where; a file is finished on
    the device where it was begun. images: function of the row from which images are missing to blocks (k, H, W, 3) uint8.
    unit: (what the log counts, images of one), of which each block holds whole ones. columns: further arrays of n rows.
    """

    parents: np.ndarray
    attributes: dict[str, str]
    device: str
    images: Callable[[int], Iterator[np.ndarray]]
    unit: tuple[str, int] = ("images", 1)
    columns: dict[str, np.ndarray] = field(default_factory=dict)


def reconstructing(source: str) -> str:
    """The stage that makes the reconstructions of a source.

    >>> reconstructing("diffusion")
    'reconstruct_diffusion'
    """
    return f"reconstruct_{source}"


def inverting(source: str) -> str:
    """The stage that inverts the seed images of a source that trains.

    >>> inverting("text_guided"), training("text_guided")
    ('invert_text_guided', 'train_text_guided')
    """
    return f"invert_{source}"


def training(source: str) -> str:
    """The stage that trains the networks of a source."""
    return f"train_{source}"


@dataclass(frozen=True)
class Work:
    """What generating the anomalies of one task costs: images through whole networks, FLOPs, bytes held at once."""

    passes: float
    flops: int
    memory: int


@dataclass(frozen=True)
class Network:
    """What is known of the network of a source before it runs.

    files: function of its section to the paths of all files that say what it computes; a published one may be absent.
    work: function of the section and the number of seed images to the `Work` of one task; measures no time.
    speed: function of the section, device and torch dtype to FLOPs per second.
    """

    files: Callable[[dict], list[str]]
    work: Callable[[dict, int], Work]
    speed: Callable[[dict, str, Any], float]


@dataclass(frozen=True)
class Reconstruction:
    """How a source sends seed images through its network and back: they stay normal, and bear the network's trace.

    stream: as of `Source`, with each seed image once; its parents (n, 1) are these images. work: as of `Network`.
    """

    stream: Callable[[Task, dict], Stream]
    work: Callable[[dict, int], Work]


@dataclass(frozen=True)
class Training:
    """What a source trains before it generates: a small network for each text, with a CLIP model, on unedited seed images.

    clip, texts, shared: functions of the section to the CLIP model, as the section `clip` names one, to the texts, and to
    whether a text has one network for all tasks of a data set. inverted_by, trained_by: the section's keys on which the two
    stages depend, the inversion of seed images and the training. edited: function of the section to the steps (t, next t) that
    are edited. inversion, work: functions of the section and a number of
    seed images to the `Work` of inverting those of a task, and of training on them.
    """

    clip: Callable[[dict], dict[str, Any]]
    texts: Callable[[dict], list[str]]
    shared: Callable[[dict], bool]
    inverted_by: tuple[str, ...]
    trained_by: tuple[str, ...]
    edited: Callable[[dict], list[tuple[int, int]]]
    inversion: Callable[[dict, int], Work]
    work: Callable[[dict, int], Work]


@dataclass(frozen=True)
class Pool:
    """Images of which each task samples some, or takes all where the pool is of one task (`whole`).

    inputs: function of the section to the paths whose change means that the pool changed. images: function of the section and
    the config's seed to a DataFrame(image_id, path), drawn once for all tasks.
    """

    inputs: Callable[[dict], list[str]]
    images: Callable[[dict, int], Any]
    whole: bool = False


@dataclass(frozen=True)
class OfPool:
    """Images of a pool that is a source of its own, chosen by their features.

    pool: function of the section to the name of that source. rows: function of the features (m, d) of the support images of a
    task, those (p, d) of the pool, and a number n, to the rows (n,) of the pool.
    """

    pool: Callable[[dict], str]
    rows: Callable[[np.ndarray, np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class Source:
    """A source of synthetic anomalies.

    others: function of the support sets of all tasks of a data set, a number for each task and the config's seed to a
    DataFrame(task, image_id, other); a data set with one task goes without such a source.
    reconstruct: for the protocol `reconstructed`, of sources whose network leaves a trace in all that it makes.
    training: of sources that train networks before they generate. number: function of the number of seed images and the section
    to that of a task's anomalies.
    section: of the config, below `sources`. about: that key's description. title: as written for people.
    look: in figures; colours of Okabe and Ito (2008) as far as they go, none of them a candidate's or that of real images.
    parents: support images that one anomaly is made from, at most two. pairs: whether each style image is mixed with each
    content image, as Figure 2 shows. fixed_size: whether its images have one side, which its model gives.
    seconds_per_pixel: of one core, for making a pixel. version: raised when its code changes what it computes.
    check: raises InputError for a section and a preparation that cannot go together, as far as that is seen without torch.
    strength: name of the column of its anomaly files that says how strong each anomaly is, 0 for not at all; "" where nothing
    does. grades: function of the section to the strengths that it asks for, a list or the ends of a range, none where its files
    do not have that column; None: not known.
    code: function of the section to the SHA-256 of code of the user's own that it runs, which is tracked.
    in_paper: whether the papers evaluate it. note: what a reader must know wherever its results stand. reference: where it
    was introduced. publication: the files that are fetched for a pool, with their licence.
    """

    section: type[Section]
    title: str
    about: str
    look: Look
    make: Callable[[Task, dict, np.random.Generator], Made] | None = None
    stream: Callable[[Task, dict], Stream] | None = None
    pool: Pool | None = None
    of_pool: OfPool | None = None
    others: Callable[[Sequence[Support], int, int], Any] | None = None
    network: Network | None = None
    reconstruct: Reconstruction | None = None
    training: Training | None = None
    number: Callable[[int, dict[str, Any]], int] = number
    parents: int = 0
    pairs: bool = False
    fixed_size: bool = False
    seconds_per_pixel: float = 0.0
    version: int = 1
    check: Callable[[dict, Any], None] | None = None
    in_paper: bool = False
    note: str = ""
    reference: str = ""
    publication: Publication | None = None
    strength: str = ""
    grades: Callable[[dict], Sequence[float]] | None = None
    code: Callable[[dict], str] | None = None

    def graded(self, section: dict[str, Any]) -> bool:
        """Whether its files say how strong each anomaly is."""
        return bool(self.strength and (self.grades is None or len(self.grades(section))))

    @property
    def generated(self) -> bool:
        """Whether anomalies are generated for each task."""
        return self.make is not None or self.stream is not None

    @property
    def labelled(self) -> bool:
        """Whether its images are real anomalies of one task, of which a person said so."""
        return self.pool is not None and self.pool.whole

    @property
    def gpu(self) -> bool:
        """Whether generating runs a network, on a GPU where there is one."""
        return self.network is not None

    @property
    def licence(self) -> str:
        """Name of the licence of what is fetched for it, "" where nothing is or the publisher names none."""
        known = self.publication.license if self.publication else None
        return known.name if known else ""
