"""Sources that mislead: by their anomalies a candidate wins that is known to be bad."""

from collections.abc import Collection
from typing import NamedTuple

import pandas as pd


class Misled(NamedTuple):
    """A task in which the anomalies of a source prefer a candidate that is known to be bad."""

    task: str
    source: str
    candidate: str


def misleading(auroc: pd.DataFrame, known_bad: Collection[str]) -> list[Misled]:
    """Where a known-bad candidate has a higher synthetic AUROC than every other one, by some protocol; each case once.

    auroc: table of `swsa_core.evaluation.evaluate` of one data set, of models. known_bad: names of candidates, such as a
    network with random weights or a histogram of colours: what they tell apart best is no defect.
    """
    rows = auroc[(auroc["validation"] != "real") & (auroc["n_anomalies"].astype(str) == "all")].dropna(subset=["auroc"])
    found = []
    for (task, source, _), group in rows.groupby(["task", "validation", "protocol"], sort=False):
        bad = group["candidate"].isin(known_bad)
        if bad.any() and not bad.all() and group["auroc"][bad].max() > group["auroc"][~bad].max():
            found.append(Misled(task, source, group["candidate"][group["auroc"].idxmax()]))
    return list(dict.fromkeys(found))
