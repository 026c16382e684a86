"""Figures of the synthetic AUROC with its interval: who wins, and how surely."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from swsa_core.basics.wording import shortened
from swsa_core.report.reliability import COLOURS
from swsa_core.report.style import REFERENCE, WIDTH, Groups, limits, looks, styled
from swsa_core.report.tables import MOST_TASKS


def intervals_of(
    auroc: pd.DataFrame, confidence: pd.DataFrame, dataset: str, source: str, protocol: str
) -> pd.DataFrame:
    """Synthetic AUROC with p_best, low, high of each task × candidate of a data set, a source and a protocol."""
    keys = ["dataset", "task", "candidate", "validation", "protocol"]
    both = confidence.merge(auroc[auroc["n_anomalies"].astype(str) == "all"][[*keys, "auroc"]], on=keys)
    chosen = (both["dataset"] == dataset) & (both["validation"] == source) & (both["protocol"] == protocol)
    return both[chosen]


def confidence_figure(
    intervals: pd.DataFrame, picks: pd.DataFrame, candidates: Sequence[str], source: str, groups: Groups | None = None
) -> Figure:
    """Who wins and how surely: intervals of every candidate, one panel per task, or a summary if there are many tasks.

    intervals: of intervals_of; picks: of swsa_core.report.tables, rows of the same data set.
    """
    picks = picks[picks["source"] == source]
    draw = confidence_tasks if picks["task"].nunique() <= MOST_TASKS else confidence_summary
    return draw(intervals, picks, candidates, groups)


@styled
def confidence_tasks(
    intervals: pd.DataFrame, picks: pd.DataFrame, candidates: Sequence[str], groups: Groups | None = None
) -> Figure:
    """Synthetic AUROC of each candidate with its interval, one panel per task; the pick is filled, its verdict in the title."""
    tasks = list(picks["task"])
    n_rows = -(-len(tasks) // 4)
    columns = -(-len(tasks) // n_rows)
    figure = Figure(figsize=(min(WIDTH, 1.8 + 3 * columns), n_rows * (0.62 + 0.24 * len(candidates)) + 0.25))
    axes = figure.subplots(n_rows, columns, squeeze=False, sharex=True, sharey=True)
    style, place = looks(candidates, groups), np.arange(len(candidates))[::-1]
    chosen = picks.set_index("task")
    for ax, task in zip(axes.flat, tasks, strict=False):
        rows = intervals[intervals["task"] == task].set_index("candidate").reindex(candidates)
        for at, row in zip(place, rows.itertuples(), strict=True):
            colour, marker = style[row.Index]
            picked = row.Index == chosen.at[task, "candidate"]
            ax.plot(
                [row.low, row.high], [at, at], color=colour, linewidth=2.4 if picked else 1.3, solid_capstyle="butt"
            )
            face = colour if picked else "white"
            ax.plot(row.auroc, at, marker, color=colour, markerfacecolor=face, markersize=8.5, markeredgewidth=1.3)
        ax.axvline(0.5, **REFERENCE)
        ax.set_title(f"{shortened(task, 72 // columns)}\n{chosen.at[task, 'verdict']}")
        ax.set_yticks(place, [shortened(name, 28) for name in candidates])
        ax.set_ylim(-0.7, len(candidates) - 0.3)
        ax.tick_params(axis="y", length=0)
        ax.grid(False, axis="y")
        ax.xaxis.set_major_locator(MaxNLocator(4))
    limits(axes[0, 0].set_xlim, intervals[["low", "high", "auroc"]].to_numpy().ravel())
    for ax in axes.flat[len(tasks) :]:
        ax.set_visible(False)
    for ax in axes.flat[max(len(tasks) - columns, 0) : len(tasks)]:
        ax.tick_params(labelbottom=True)
    figure.supxlabel("synthetic AUROC, 95 % interval", fontsize=10)
    return figure


@styled
def confidence_summary(
    intervals: pd.DataFrame, picks: pd.DataFrame, candidates: Sequence[str], groups: Groups | None = None
) -> Figure:
    """For many tasks: how many tasks each candidate wins with which verdict, and its synthetic AUROC over the tasks."""
    names = candidates[::-1]
    place, style = np.arange(len(names)), looks(candidates, groups)
    figure = Figure(figsize=(WIDTH, 1.25 + 0.32 * len(names)))
    left, right = figure.subplots(1, 2, sharey=True)
    begin = np.zeros(len(names))
    for verdict, colour in COLOURS.items():
        count = (
            picks[picks["verdict"] == verdict]
            .groupby("candidate")["task"]
            .nunique()
            .reindex(names)
            .fillna(0)
            .to_numpy()
        )
        left.barh(place, count, left=begin, color=colour, height=0.62, label=verdict)
        begin += count
    for at, count in zip(place, begin, strict=True):
        left.annotate(f"{count:.0f}", (count, at), (4, 0), textcoords="offset points", va="center")
    left.set_xlim(0, max(begin.max(), 1) * 1.15)
    left.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    left.set_title(f"tasks won, of {picks['task'].nunique()}")
    left.set_yticks(place, [shortened(name, 28) for name in names])
    for at, name in zip(place, names, strict=True):
        values = intervals.loc[intervals["candidate"] == name, "auroc"].dropna()
        if not values.size:
            continue
        colour, marker = style[name]
        low, first, middle, last, high = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
        right.plot([low, high], [at, at], color=colour, linewidth=1.4)
        right.plot([first, last], [at, at], color=colour, linewidth=5, alpha=0.55, solid_capstyle="butt")
        right.plot(middle, at, marker, color=colour, markersize=8, markeredgecolor="white", markeredgewidth=0.6)
    right.axvline(0.5, **REFERENCE)
    right.set_title("synthetic AUROC over tasks")
    right.set_xlabel("median, middle 50 %, middle 90 % of tasks")
    left.set_xlabel("tasks")
    for ax in (left, right):
        ax.set_ylim(-0.6, len(names) - 0.4)
        ax.grid(False, axis="y")
        ax.tick_params(axis="y", length=0)
    figure.legend(*left.get_legend_handles_labels(), title="verdict on the pick", loc="outside lower center", ncols=3)
    return figure
