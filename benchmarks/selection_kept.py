"""What benchmarks/selection.py keeps of each data set and seed, as arrays."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import label_free
import numpy as np
import pandas as pd

from swsa_core.datasets import INDEX
from swsa_core.detectors import score_knn
from swsa_core.detectors.together import scale_of, together
from swsa_core.evaluation.evaluate import AUROC, CANDIDATES, real_wins
from swsa_core.evaluation.protocols import compare, normal_scores

SETTINGS = ("one_vs_rest", "one_vs_closest")


class Found(NamedTuple):
    """What one data set and seed have: arrays over its T tasks and c candidates."""

    names: list[str]
    backbones: list[str]
    heads: list[str]
    n_parameters: np.ndarray  # (c,)
    synthetic: dict[str, np.ndarray]  # {source: AUROC (T, c)}, leave one out
    label_free: dict[str, np.ndarray]  # {measure of benchmarks/label_free.py: (T, c)}
    real: dict[str, np.ndarray]  # {setting: AUROC (T, c)}
    combined: Callable[[list[list[int]]], dict[str, np.ndarray]]  # members of each task -> {setting: AUROC (T,)}


def read(place: Path, spec, config) -> Found:
    """What one data set and seed have; place: the folder that benchmarks/selection.py keeps of them."""
    described = CANDIDATES.read(place / "candidates.csv")
    described = described[described["selection"] == "model"]
    of = {
        one.attributes["candidate"]: one
        for path in (place / "scores").glob("*.h5")
        for one in [score_knn.read(path, config["sources"])]
    }
    scores = {name: of[name] for name in described["candidate"]}
    first = next(iter(scores.values()))

    def wide(rows, values):
        """(T, c) of a table with the columns task and candidate."""
        table = rows.pivot(index="task", columns="candidate", values=values)
        return table.reindex(index=first.tasks, columns=list(scores)).to_numpy(float)

    auroc = AUROC.read(place / "auroc.csv").query("validation == 'real'")
    measured = pd.read_csv(place / "label_free.csv", dtype={"task": str})
    return Found(
        list(scores),
        described["backbone"].tolist(),
        described["head"].tolist(),
        described["n_parameters"].to_numpy(float),
        synthetic_of(scores, first),
        {measure: wide(measured, measure) for measure in label_free.COLUMNS[2:]},
        {setting: wide(auroc[auroc["setting"] == setting], "auroc") for setting in SETTINGS},
        combined_of(scores, first.tasks, INDEX.read(place / "images.csv"), spec),
    )


def synthetic_of(scores, first):
    """{source: AUROC (T, c)}, leave one out; first: any of the scores."""
    return {
        source: np.array(
            [
                [compare(one, task, source, "leave_one_out").wins.mean() for one in scores.values()]
                for task in first.tasks
            ]
        )
        for source in first.anomalies
    }


def combined_of(scores, tasks, index, spec):
    """Function of the members of each task to {setting: AUROC (T,)} of the detectors that they make together."""
    normals = {task: np.stack([normal_scores(one, task) for one in scores.values()], 1) for task in tasks}

    def combined(members):
        known = [(normals[task], columns) for task, columns in zip(tasks, members, strict=True)]
        one = {"together": lambda found, of_task: together(found[:, of_task[1]], scale_of(of_task[0][:, of_task[1]]))}
        found = {setting: np.full(len(tasks), np.nan) for setting in SETTINGS}
        for t, wins in enumerate(real_wins(scores, index, spec, one, known=known)):
            if wins is not None:
                aurocs = wins.aurocs[:, -1]
                found["one_vs_rest"][t] = aurocs[0]
                found["one_vs_closest"][t] = aurocs[1:].min() if len(aurocs) > 1 else np.nan
        return found

    return combined


def only(one: Found, columns: list[int]) -> Found:
    """`one` with some of its candidates alone."""
    return one._replace(
        names=[one.names[c] for c in columns],
        backbones=[one.backbones[c] for c in columns],
        heads=[one.heads[c] for c in columns],
        n_parameters=one.n_parameters[columns],
        synthetic={source: aurocs[:, columns] for source, aurocs in one.synthetic.items()},
        label_free={measure: values[:, columns] for measure, values in one.label_free.items()},
        real={setting: aurocs[:, columns] for setting, aurocs in one.real.items()},
        combined=lambda members: one.combined([[columns[c] for c in of_task] for of_task in members]),
    )
