"""What is told of a task's detector beside its banks: how it does on the synthetic anomalies that chose it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from swsa_core.detect.detector import combined
from swsa_core.detect.level import WANTED, least_rate, p_values
from swsa_core.detectors.scores import Scores
from swsa_core.detectors.together import scale_of
from swsa_core.evaluation.protocols import LEADING, compare, normal_scores
from swsa_core.metrics import auroc


def scale_in_selection(scores: Sequence[Scores], task: str) -> np.ndarray | None:
    """The units in which the selection put the members together, (3, m); None of one member.

    scores: those of the members. They are of the prepared images: so the detector scores as what was selected.
    """
    return scale_of(_normals(scores, task)) if len(scores) > 1 else None


def anomaly_scores(scores: Sequence[Scores], task: str, scale: np.ndarray | None) -> dict[str, np.ndarray]:
    """{source: scores (a,) of its anomalies} of a task's detector, in the order of the scores files; NaN where one has none.

    scores: those of its members; the parents of every anomaly are left out of the bank.
    """
    found = {}
    for source, part in scores[0].anomalies.items():
        if not len(scores[0].of_task(part, task)["task"]):
            continue
        of_members = np.stack([compare(one, task, source, LEADING).scores for one in scores], axis=1)
        known = np.isfinite(of_members).all(axis=1)
        found[source] = np.full(len(known), np.nan)
        found[source][known] = combined(of_members[known], scale)
    return found


def scores_of_normals(scores: Sequence[Scores], task: str, scale: np.ndarray | None) -> np.ndarray:
    """Scores (n,) of a task's normal images as they are prepared, by its members together, each left out of the bank itself."""
    return combined(_normals(scores, task), scale)


def on_sources(scores: Sequence[Scores], task: str, scale: np.ndarray | None) -> dict[str, dict[str, Any]]:
    """{source: {"n": anomalies, "auroc", "found": the share of them that is found at the usual level}} of a task's detector.

    scores: those of its members; every normal is left out of the bank itself, and the parents of every anomaly.
    """
    normals = scores_of_normals(scores, task, scale)
    rate = max(WANTED, least_rate(len(normals)))
    found = {}
    for source, of_source in anomaly_scores(scores, task, scale).items():
        anomalies = of_source[np.isfinite(of_source)]
        labels = np.arange(len(normals) + len(anomalies)) >= len(normals)
        alarms = p_values(anomalies, normals) <= rate * (1 + 1e-9)
        found[source] = {
            "n": len(anomalies),
            "auroc": auroc(np.concatenate([normals, anomalies]), labels),
            "found": float(alarms.mean()),
        }
    return found


def _normals(scores, task):
    """Scores (n, m) of a task's normal images by its members, each left out of the bank itself."""
    return np.stack([normal_scores(one, task) for one in scores], axis=1)
