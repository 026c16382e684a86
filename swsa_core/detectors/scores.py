"""Scores of one candidate on a data set, and where support images and anomalies stand among them.

Their arrays are named as in the layouts of `swsa_core.detectors.score_knn` and `swsa_core.detectors.score_clip`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.files.support import Support

if TYPE_CHECKING:
    import pandas as pd

# Columns that every file of scores has.
COLUMNS = ("tasks", "test/image_id", "test/scores", "support/image_id", "support/task", "support/held_out")
MOST_PARENTS = 2  # so many rows can be left out of the bank for one score


class Features(NamedTuple):
    """Embedded images."""

    features: Any  # (n, d), or (n, patches, d) for heads that compare patches; an array or an `OnDisk`
    image_ids: np.ndarray | Sequence[str]  # (n,)


class Answer(NamedTuple):
    """Scores (r,) float64 of r requests, and of images that have parts (r, parts) float16 how anomalous each part is.

    nearest: (r,) the bank row that is most like each image, where it was asked for.
    """

    scores: np.ndarray
    maps: np.ndarray | None = None
    nearest: np.ndarray | None = None


class Anomalies(NamedTuple):
    """Embedded synthetic anomalies of one source, of all tasks."""

    features: Any  # as of `Features`
    tasks: np.ndarray  # (n,) names
    parents: np.ndarray  # (n, P) ids of the images that each was made from; P = 0 for anomalies without parents


@dataclass(frozen=True)
class Scores:
    """The scores file of one candidate; the arrays are named as in the layout above.

    reconstructions: {source: seed images that it sent through its network and back}, with the columns of its anomalies.
    """

    tasks: list[str]
    test: dict[str, np.ndarray]
    support: dict[str, np.ndarray]
    anomalies: dict[str, dict[str, np.ndarray]]
    attributes: dict = field(default_factory=dict)
    reconstructions: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, dict[str, np.ndarray]]:
        """{name of a group in the file: its columns}."""
        of_sources = {"anomalies": self.anomalies, "reconstructions": self.reconstructions}
        named = {f"{what}/{source}": part for what, parts in of_sources.items() for source, part in parts.items()}
        return {"test": self.test, "support": self.support} | named

    def of_task(self, part: Mapping[str, np.ndarray], task: str) -> dict[str, np.ndarray]:
        """The rows of one task: `part` is `support` or a source of `anomalies` or `reconstructions`. {name: array}."""
        mine = part["task"] == self.tasks.index(task)
        return {name: values[mine] for name, values in part.items()}


def reconstructions_of(source: str) -> str:
    """The name under which the reconstructions of a source are scored, as anomalies whose parents are the seed images."""
    return f"reconstructions of {source}"


def apart(scores: Scores) -> Scores:
    """`scores` with the anomalies that are named by `reconstructions_of` among its reconstructions."""
    named = {reconstructions_of(source): source for source in scores.anomalies}
    found = {named[name]: part for name, part in scores.anomalies.items() if name in named}
    anomalies = {name: part for name, part in scores.anomalies.items() if name not in named}
    return replace(scores, anomalies=anomalies, reconstructions=found)


def groups_of(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The arrays of a scores file: ({group: columns}, {source: columns} of its anomalies, and of its reconstructions).

    What belongs to the whole file stands behind the group "".
    """
    groups: dict[str, dict[str, np.ndarray]] = {"test": {}, "support": {}}
    for name, values in arrays.items():
        group, _, column = name.rpartition("/")
        groups.setdefault(group, {})[column] = values

    def of(what):
        return {name.removeprefix(what): columns for name, columns in groups.items() if name.startswith(what)}

    return groups, of("anomalies/"), of("reconstructions/")


def banks_of(supports: Iterable[Support]) -> dict[str, list[str]]:
    """{task: image ids of its bank}, seeds, then held-out images (Eq. 3)."""
    return {support["task"]: [*support["seed_ids"], *support["held_out_ids"]] for support in supports}


def support_rows(supports: Iterable[Support]) -> dict[str, np.ndarray]:
    """The columns image_id, task and held_out of the support images, task after task."""
    banks = banks_of(supports)
    held_out = [[row >= len(support["seed_ids"]) for row in range(len(banks[support["task"]]))] for support in supports]
    return {
        "image_id": np.array([image_id for bank in banks.values() for image_id in bank], dtype=object),
        "task": np.repeat(np.arange(len(banks)), [len(bank) for bank in banks.values()]),
        "held_out": np.concatenate([np.array(flags, dtype=bool) for flags in held_out]),
    }


def anomaly_rows(
    source: str, of: np.ndarray, parents: np.ndarray, banks: Mapping[str, Sequence[str]]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Where the anomalies of one source belong, task after task.

    of: (n,) task names; parents: (n, P) image ids; banks: {task: image ids of its bank}.
    Returns the row (n,) of each in `of`, and the columns task and parents.
    """
    import pandas as pd

    of, parents = np.asarray(of, dtype=object), np.asarray(parents, dtype=object)
    if parents.shape[1] > MOST_PARENTS:
        raise InputError(f"an anomaly of {source!r} has {parents.shape[1]} parents, expected at most {MOST_PARENTS}")
    order, found, tasks = [], [], []
    for t, (task, bank) in enumerate(banks.items()):
        mine = np.flatnonzero(of == task)
        rows = pd.Index(bank).get_indexer(parents[mine].ravel()).reshape(len(mine), parents.shape[1])
        if (rows < 0).any():
            stranger = parents[mine][rows < 0][0]
            raise InputError(
                f"an anomaly of {source!r}, task {task!r}, has the parent {stranger!r}, which is not in the support set"
                f" of the task: delete the anomalies of this task and run again"
            )
        order.append(mine)
        found.append(rows)
        tasks.append(np.full(len(mine), t))
    if strangers := set(of) - set(banks):
        raise InputError(f"the anomalies of {source!r} hold the unknown task {sorted(strangers)[0]!r}")
    return np.concatenate(order), {"task": np.concatenate(tasks), "parents": np.concatenate(found)}


def once_each(parents: np.ndarray) -> np.ndarray:
    """Parents (a, P) in increasing order, with repetitions within an anomaly set to -1."""
    ordered = np.sort(parents, axis=1)
    ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = -1
    return ordered


def check_listed(
    index: "pd.DataFrame", image_ids: Iterable[str], skipped: str, files: tuple[str, str], split: str = ""
) -> None:
    """Raise InputError unless the table of images.csv lists just the images of a file, and those that it leaves out.

    A table that was cut, or is of another time, would change which images results are of. image_ids, skipped: of the file, its
    attribute with the images that could not be read; files: paths of the table and of the file; split: the part of the data
    set that the file is of, all where it is empty.
    """
    every, found = index["image_id"], set(image_ids)
    listed = set(every[index["split"] == split] if split else every)
    left_out = {image["image_id"] for image in json.loads(skipped)}
    lacking, unknown = listed - found - left_out, (found - listed) | (left_out - set(every))
    told = [f"{name!r} stands twice in the former" for name in every[every.duplicated()]]
    told += [f"the latter lacks {name!r}" for name in sorted(lacking)]
    told += [f"the former lacks {name!r}" for name in sorted(unknown)]
    if told:
        raise InputError(
            f"{files[0]} and {files[1]} are not of the same images: {told[0]} ({len(told)} in all); delete both and run again"
        )


def features_of(embedding: Features, wanted: np.ndarray | Sequence[str], name: str) -> Any:
    """The features (n, d) of the images `wanted`, in that order; name: of the file that `embedding` is from, for errors."""
    import pandas as pd  # as above: the Snakefile reads this module

    rows = pd.Index(embedding.image_ids).get_indexer(wanted)
    if (rows < 0).any():
        missing = np.asarray(wanted, dtype=object)[rows < 0]
        raise InputError(
            f"{name} lacks the features of {len(missing)} images, first {missing[0]!r}: delete it and run again"
        )
    return embedding.features[rows]
