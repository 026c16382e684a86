"""How many tasks, images and anomalies a study has."""

from typing import NamedTuple

from swsa_core import datasets
from swsa_core.anomalies import SOURCES
from swsa_core.basics.names import unique_slugs
from swsa_core.config.study import Study
from swsa_core.datasets.kind import Spec


class Size(NamedTuple):
    """A data set's tasks, slugs in paths or None where it is not on disk, and its normal training and test images."""

    tasks: list[str] | list[None]
    support: int
    test: int


def size_on_disk(spec: Spec, seed: int = 0, dataset: str = "") -> Size:
    """`Size` of a data set, counted."""
    split = datasets.index(spec, seed, dataset)["split"]
    return Size(list(unique_slugs(datasets.tasks(spec))), int((split == "train").sum()), int((split == "test").sum()))


def official_size(spec: Spec) -> Size:
    """`Size` of an official data set that is not on disk; with some of its tasks in proportion, so not exact."""
    kind = datasets.kind_of(spec)
    assert kind.published_size is not None  # as it is published, for else it could not be absent
    n_tasks, support, test = kind.published_size(spec)
    chosen = n_tasks if spec["tasks"] == "all" else len(set(spec["tasks"]))
    if kind.anomalies == "defects":
        test = round(test * chosen / n_tasks)
    return Size([None] * chosen, round(support * chosen / n_tasks), test)


def n_anomalies(study: Study, dataset: str, source: str) -> int:
    """Synthetic anomalies of a task of a data set that a source makes."""
    return SOURCES[source].number(study.datasets[dataset]["support"]["seeds"], study.config["sources"][source])


def trained_on(study: Study, dataset: str, n_tasks: int, source: str) -> int:
    """Seed images that a network of a source is trained on, unless its section takes fewer."""
    shared = study.trained[source].shared(study.config["sources"][source])
    return study.datasets[dataset]["support"]["seeds"] * (n_tasks if shared else 1)


def others(study: Study, size: Size) -> list[str]:
    """The sources that take images of other tasks, for a data set that has some."""
    return study.others if len(size.tasks) > 1 else []
