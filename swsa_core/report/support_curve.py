"""The support-size curve for people: its points, what they say of more normal images, and its figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from swsa_core.basics.wording import shortened
from swsa_core.evaluation.confidence import NEAR
from swsa_core.report.style import ACCENT, FAINT, WIDTH, limits, styled

LEAST = 20  # images, below which subsets told nothing reliable (docs/service.md)
SAME = 0.9  # share of draws that have the pick of all images, from which on the pick is called the same


def points_of(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The points of one task's curve, smallest first; rows: of `swsa_core.strategies.support_curve.SUPPORT_CURVE`.

    auroc, loss: means over the draws; low, high: of the lowest and the highest draw.
    """
    return [
        {
            "n": int(n),
            "repeats": len(draws),
            "picks": draws["pick"].value_counts().to_dict(),
            "auroc": float(draws["auroc"].mean()),
            "low": float(draws["auroc"].min()),
            "high": float(draws["auroc"].max()),
            "loss": float(draws["loss"].mean()),
            "verdict": draws.loc[draws["verdict"] != "", "verdict"].value_counts().to_dict(),
        }
        for n, draws in rows.groupby("n")
    ]


def share_of_same(points: Sequence[Mapping[str, Any]]) -> list[float]:
    """For each point the share of its draws whose pick is that of all images."""
    last = next(iter(points[-1]["picks"]))
    return [point["picks"].get(last, 0) / point["repeats"] for point in points]


def told(points: Sequence[Mapping[str, Any]], least: int = LEAST) -> str:
    """Whether more normal images would help, in words; "" where there is no curve.

    least: of fewer images in all it is said that they are too few to tell.
    """
    if len(points) < 2:
        return ""
    n, same = points[-1]["n"], share_of_same(points)
    if n < least:
        return f"With {_changes(points[-2], same[-2])}: {n} images are too few to tell what more would change, so take more."
    settled = len(same) - 1  # the first point from which on the pick is the same
    while settled and same[settled - 1] >= SAME:
        settled -= 1
    first, fewer = points[0], points[-2]
    if settled < len(points) - 1:
        start = (
            f"From {points[settled]['n']} of the {n} images on the pick is the same: no sign that more would change it."
        )
        return start if not settled else f"With {_changes(first, same[0])}. {start}"
    if fewer["loss"] <= NEAR:
        return (
            f"With {_changes(fewer, same[-2])}, but those picks are as good to within {NEAR} of AUROC: more than {n} images "
            "may change the pick, and there is no sign that they would make it better."
        )
    return (
        f"With {_changes(fewer, same[-2])}, and such a pick loses {fewer['loss']:.3f} of AUROC on average: "
        f"more than {n} images would probably help."
    )


def _changes(point, same):
    changed = round((1 - same) * point["repeats"])
    return f"{point['n']} images the pick is another one in {changed} of {point['repeats']} draws"


@styled
def support_curve_figure(curve: pd.DataFrame) -> Figure:
    """How the selection depends on the number of normal images, a row of panels for each task.

    Left the synthetic AUROC of the picks, mean and range over the draws; right the share of draws whose pick is that of all
    images. curve: rows of `SUPPORT_CURVE` of one data set.
    """
    tasks = list(dict.fromkeys(curve["task"]))
    figure = Figure(figsize=(WIDTH, 0.5 + 1.7 * len(tasks)))
    axes = figure.subplots(len(tasks), 2, squeeze=False)
    for (left, right), task in zip(axes, tasks, strict=True):
        points = points_of(curve[curve["task"] == task])
        n = [point["n"] for point in points]
        left.fill_between(n, *([point[key] for point in points] for key in ("low", "high")), color=FAINT, alpha=0.4)
        left.plot(n, [point["auroc"] for point in points], "o-", color=ACCENT, markersize=4)
        limits(left.set_ylim, np.array([[point["low"], point["high"]] for point in points]))
        left.set_ylabel("synthetic AUROC")
        right.plot(n, share_of_same(points), "o-", color=ACCENT, markersize=4)
        right.set_ylim(-0.05, 1.05)
        right.set_ylabel("share, same pick")
        for ax in (left, right):
            ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        if len(tasks) > 1:
            left.set_title(shortened(task, 40))
    for ax in axes[-1]:
        ax.set_xlabel("normal images")
    return figure
