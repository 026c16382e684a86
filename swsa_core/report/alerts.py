"""What the report warns of: picks that nothing but the config's order decided, sources that mislead, images left out."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from swsa_core.anomalies import SOURCES
from swsa_core.evaluation.misleading import Misled
from swsa_core.report.read_supports import Skipped
from swsa_core.strategies.wording import words


def told_of_picks(picks: pd.DataFrame, skipped: Sequence[Skipped]) -> list[dict[str, Any]]:
    """What a reader must know before trusting the recommendations: a list of {"title", "text", "tasks"}."""
    rows = picks[picks["recommended"]]
    told = []
    for text, group in rows[rows["warning"] != ""].groupby("warning", sort=False):
        told.append({"title": f"Warned: {len(group)} of {len(rows)} picks", "text": text, "tasks": _tasks(group)})
    saturated = rows[rows["saturated"].astype(bool)]
    if len(saturated):
        text = (
            "Several candidates separate every synthetic anomaly from every normal image (synthetic AUROC 1). "
            "The one listed first in the config is picked; these anomalies are so easy that they cannot separate the "
            "candidates."
        )
        told.append(
            {"title": f"Saturated: {len(saturated)} of {len(rows)} picks", "text": text, "tasks": _tasks(saturated)}
        )
    tied = rows[(rows["n_tied"] > 1) & ~rows["saturated"].astype(bool)]
    if len(tied):
        text = "Several candidates share the highest synthetic AUROC. The one listed first in the config is picked."
        told.append({"title": f"Tied: {len(tied)} of {len(rows)} picks", "text": text, "tasks": _tasks(tied)})
    if skipped:
        text = (
            "These images could not be read. The study went on without them, as the config says (on_bad_image: skip)."
        )
        names = list(dict.fromkeys(f"{item['dataset']}: {item['path']}" for item in skipped))
        told.append({"title": f"Skipped images: {len(names)}", "text": text, "tasks": names})
    return told


def _tasks(rows):
    """The data sets and tasks of picks, for people."""
    return [f"{row.dataset}: {row.task}{' (prompt)' if row.selection == 'prompt' else ''}" for row in rows.itertuples()]


def told_of_misled(misled: Mapping[str, Sequence[Misled]]) -> list[dict[str, Any]]:
    """The sources by which a candidate wins that is known to be bad, as `told_of_picks` has it."""
    cases: dict[str, list[tuple[str, Misled]]] = {}
    for dataset, found in misled.items():
        for one in found:
            cases.setdefault(one.source, []).append((dataset, one))
    return [
        {
            "title": f"Misleading: {words(source)} anomalies",
            "text": "These anomalies are told best by a candidate that is known to be a bad detector "
            f"({', '.join(dict.fromkeys(one.candidate for _, one in rows))}): they may differ from normal images in something "
            "that real anomalies do not differ in. Do not let this source decide alone.",
            "tasks": [f"{dataset}: {one.task}" for dataset, one in rows],
        }
        for source, rows in cases.items()
    ]


def told_of_lone_tasks(picks: pd.DataFrame, config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Which data sets go without a source, as `told_of_picks` has it: those with one task, where the source needs others."""
    counts = picks.groupby("dataset", sort=False)["task"].nunique()
    lone = counts.index[counts == 1].tolist()
    text = "This source takes the images of other tasks, and these data sets have one task each. They go without it."
    return [
        {"title": f"Left out: {words(source)} anomalies", "text": text, "tasks": lone}
        for source in config["sources"]
        if SOURCES[source].others and lone
    ]
