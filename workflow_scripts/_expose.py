"""What the stages of fine-tuned candidates share: the anomalies of all sources, with their images."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from swsa_core.anomalies import SOURCES
from swsa_core.anomalies.made import read_origins
from swsa_core.anomalies.pool import NEAREST_ROWS, OTHER_IMAGES, POOL_IMAGES, POOL_ROWS
from swsa_core.basics.errors import InputError
from swsa_core.detectors.scores import anomaly_rows, reconstructions_of
from swsa_core.embedding.image_stream import FileReader, RowReader
from swsa_core.files import layout
from swsa_core.files.support import Support


class Anomalies(NamedTuple):
    """The anomalies of one source: names of their tasks (n,), parents (n, P), a reader of their images, and their files."""

    source: str
    tasks: np.ndarray
    parents: np.ndarray
    read: Callable[[int], np.ndarray]
    files: list[str]

    def of_task(self, task: str, bank: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """(Rows (a,) of the anomalies of a task, their parents (a, P) as rows of its bank)."""
        rows = np.flatnonzero(self.tasks == task)
        order, part = anomaly_rows(self.source, self.tasks[rows], self.parents[rows], {task: bank})
        return rows[order], part["parents"]

    def strengths(self, task: str) -> np.ndarray:
        """How strong each anomaly of a task is, (a,)."""
        column = SOURCES[self.source].strength
        path, arrays = next(
            (path, found) for path in self.files for found, of in [read_origins(path)] if of["task"] == task
        )
        if column not in arrays:
            raise InputError(f"{path} lacks {column!r}, which a regression predicts: delete it and run again")
        return arrays[column]


def read_anomalies(given: Any, supports: list[Support], preparation: Any) -> dict[str, Anomalies]:
    """{source: its `Anomalies`}, reconstructions under the names by which they are scored.

    given: the rule's input; supports: those of all tasks whose images sources take.
    """
    files: dict[str, list[str]] = {}
    for path in given.anomalies:
        files.setdefault(layout.fields_of("anomalies", path)["source"], []).append(path)
    for path in given.reconstructions:
        files.setdefault(reconstructions_of(layout.fields_of("reconstructions", path)["source"]), []).append(path)
    found = {name: _generated(name, paths) for name, paths in files.items()}
    pools = {layout.fields_of("pool_images", path)["pool"]: POOL_IMAGES.read(path).path for path in given.pool_images}
    for path in given.pool_rows:
        pool = layout.fields_of("pool_rows", path)["pool"]
        rows = POOL_ROWS.read(path)
        found[pool] = _there(pool, rows.task, pools[pool][rows.row], preparation)
    for path in given.nearest_rows:
        rows = NEAREST_ROWS.read(path)
        images, source = pools[rows["pool"].iloc[0]][rows.row], layout.fields_of("nearest_rows", path)["source"]
        found[source] = _there(source, rows.task, images, preparation)
    paths = {(one["task"], image_id): path for one in supports for image_id, path in one["paths"].items()}
    for path in given.other_images:
        rows = OTHER_IMAGES.read(path)
        images = [paths[other, image_id] for other, image_id in zip(rows.other, rows.image_id, strict=True)]
        source = layout.fields_of("other_images", path)["source"]
        found[source] = _there(source, rows.task, images, preparation)
    return found


def _generated(source, paths):
    read = [read_origins(path) for path in paths]
    tasks = np.concatenate([np.full(len(arrays["parents"]), known["task"], dtype=object) for arrays, known in read])
    return Anomalies(source, tasks, np.concatenate([arrays["parents"] for arrays, _ in read]), RowReader(paths), paths)


def _there(source, tasks, paths, preparation):
    """Of images as they are, without parents."""
    none = np.empty((len(tasks), 0), dtype=object)
    return Anomalies(source, tasks.to_numpy(), none, FileReader(paths, preparation), [])
