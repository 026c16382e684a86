"""What a kind of data set declares: every fact about it, and the functions that read it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from numpy.random import Generator

from swsa_core.datasets.rows import Row
from swsa_core.datasets.section import Dataset
from swsa_core.files.downloads import License, Publication
from swsa_core.files.reading import Reading, address

Spec = dict[str, Any]  # a data set of the validated config


class PublishedSize(NamedTuple):
    """How large a published data set is: tasks, normal training images and test images of all tasks together."""

    tasks: int
    training: int
    test: int


def below_root(spec: Spec, image_id: str) -> str:
    """Address of an image whose id is its path below the data set's root, with how the data set is read."""
    low_high = spec["value_range"]
    reading = Reading(spec["bit_depth"], low_high and (float(low_high[0]), float(low_high[1])), spec["max_pixels"])
    return address((Path(spec["root"]) / image_id).as_posix(), reading)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of data set, declared as `KIND` at the end of its module; the module's name is the kind's name.

    The functions list image files and never open one. They raise InputError about what is not on disk as it should be.
    """

    section: type[Dataset]
    """Config section of such a data set; its key `kind` is a literal, the kind's name."""
    title: str
    """Name for people to read."""
    anomalies: Literal["classes", "defects"]
    """What the real anomalies of a task are: the test images of all other classes, or defects of the same product."""
    layout: str
    """What is expected below the root, as the end of a sentence "... expected ..."."""
    prompts: str
    """Name of the bundled set of prompts that suits the data set."""

    tasks: Callable[[Spec], list[str]]
    """tasks(spec): names of the tasks, from directory listings and small text files."""
    inputs: Callable[[Spec, str | None], list[str]]
    """inputs(spec, task=None): paths whose change means that the support of the task (None: the whole index) changed."""
    rows: Callable[[Spec, Collection[str] | None], list[Row]]
    """rows(spec, names=None): the training and test images of the classes `names` (None: of all)."""
    class_name: Callable[[str], str]
    """class_name(task): the name of a task in prompts."""
    unused: Callable[[Spec, Collection[str]], dict[str, int]] | None = None
    """unused(spec, image_ids): {directory: images in it} of what looks like the data set's and is none of `image_ids`."""

    reading: float = 0.02
    """Seconds of one core that an image takes to be read and resized."""
    in_paper: bool = False
    """Whether the paper has results for it, beside which the tables and figures of a study can stand."""
    publication: Publication | None = None
    """Where it is published; None where `snakemake datasets` cannot fetch it."""
    published_size: Callable[[Spec], PublishedSize] | None = None
    """published_size(spec): size of the whole published data set; None where nothing is published."""
    textures: tuple[str, ...] = ()
    """Tasks that are textures, where objects and textures are compared with each other (the paper's earlier version, A.1)."""
    mini_clip: bool = False
    """Whether the bundled mini:clip, which has learnt from drawn letters and digits only, knows what the images show."""

    class_name_key: str | None = None
    """Config key that gives the name in prompts instead of `class_name`; None where there is no such key."""
    support_sizes: Callable[[Spec, list[str]], dict[str, int]] | None = None
    """support_sizes(spec, tasks): {task: its normal training images}; None where `rows` are to be counted."""
    draw_train: Callable[[Spec, list[Row], Callable[[], Generator]], list[Row]] | None = None
    """draw_train(spec, rows, generator): `rows` with the training images drawn by what `generator()` returns, for data sets of
    one task; None where the files say which images those are."""
    path: Callable[[Spec, str], str] = below_root
    """path(spec, image_id): what `read_image` takes."""

    @property
    def licence(self) -> License | None:
        """Licence that a user accepts before the data set is fetched, None where the publisher names none."""
        return self.publication.license if self.publication else None
