"""Figures of a study, drawn by matplotlib from tables and images; each function returns a Figure."""

from collections.abc import Iterable, Sequence
from itertools import product

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from swsa_core.basics.wording import decimals, shortened
from swsa_core.candidates.prompts import ENSEMBLE
from swsa_core.report.confidence import confidence_figure, intervals_of
from swsa_core.report.contact_sheets import Sheet, pictures, thumbnail
from swsa_core.report.costs import cost_figure
from swsa_core.report.reliability import reliability_figure
from swsa_core.report.style import ACCENT, FAINT, REFERENCE, WIDTH, Groups, legend_entries, limits, looks, styled
from swsa_core.strategies import find
from swsa_core.strategies.select import BETWEEN
from swsa_core.strategies.wording import words


def study(
    auroc: pd.DataFrame,
    ranking: pd.DataFrame,
    confidence: pd.DataFrame,
    table1: pd.DataFrame,
    picks: pd.DataFrame,
    candidates: Sequence[str],
    protocols: Iterable[str],
    groups: Groups | None = None,
    costs: pd.DataFrame | None = None,
) -> dict[tuple[str, str], Figure]:
    """Every figure of a study as {(data set, "kind" or "kind.variant"): Figure}.

    Kinds: strategies, reliability, real_vs_synthetic (one variant per protocol), confidence (one variant per source); a data
    set without real labels has only the last; with costs, cost (by the first source). Kinds of prompts begin with "prompt_".

    auroc, confidence: rows of auroc.csv and confidence.csv of all data sets, with a column dataset; ranking, table1,
    picks: of swsa_core.report.tables; candidates, protocols: names in the order of the config; groups: see
    swsa_core.report.style; costs: of swsa_core.detectors.cost.of_candidates.
    """
    figures = {}
    for (dataset, selection), rows in picks.groupby(["dataset", "selection"], sort=False):
        ranked, bars, aurocs, sure = (
            table[(table["dataset"] == dataset) & (table["selection"] == selection)]
            for table in (ranking, table1, auroc, confidence)
        )
        prefix, shown, names = "", candidates, candidates
        if selection == "prompt":
            prefix, shown, names = (
                "prompt_",
                list(dict.fromkeys(ranked["candidate"])),
                list(dict.fromkeys(sure["candidate"])),
            )
        if (bars["setting"] != "").any():
            figures[dataset, f"{prefix}strategies"] = strategies(bars)
            figures[dataset, f"{prefix}reliability"] = reliability_figure(rows)
            for protocol in protocols:
                if (ranked["protocol"] == protocol).any():
                    figure = real_vs_synthetic(ranked, shown, protocol, groups)
                    figures[dataset, f"{prefix}real_vs_synthetic.{protocol}"] = figure
        for source in dict.fromkeys(rows["source"]):
            protocol = rows.loc[rows["source"] == source, "protocol"].iloc[0]
            intervals = intervals_of(aurocs, sure, dataset, source, protocol)
            if costs is not None and not prefix and source == rows["source"].iloc[0]:
                scores = intervals.groupby("candidate", sort=False)["auroc"].mean()
                figures[dataset, "cost"] = cost_figure(scores, costs, candidates, groups, *_marked(rows))
            figures[dataset, f"{prefix}confidence.{source}"] = confidence_figure(intervals, rows, names, source, groups)
    return figures


def _marked(picks):
    """The recommended candidates of a data set, and those that no task can tell apart from its pick."""
    recommended = picks[picks["recommended"].astype(bool)]
    alike = [set(names.split(BETWEEN)) for names in recommended["alike"] if names]
    return set(recommended["candidate"]), set.intersection(*alike) if alike else set()


@styled
def real_vs_synthetic(
    ranking: pd.DataFrame, candidates: Sequence[str], protocol: str, groups: Groups | None = None
) -> Figure:
    """Real against synthetic AUROC, mean over tasks: one marker per candidate, one panel per source × setting (Figure 3).

    ranking: of swsa_core.report.tables, rows of one data set.
    """
    every = ranking[ranking["n_anomalies"] == "all"]
    real = every[every["validation"] == "real"].set_index(["setting", "candidate"])["auroc"]
    synthetic = every[every["protocol"] == protocol].set_index(["validation", "candidate"])["auroc"]
    sources = list(dict.fromkeys(synthetic.index.get_level_values(0)))
    settings = list(dict.fromkeys(real.index.get_level_values(0)))
    # Settings go down and sources across; a single source leaves room for the settings beside each other.
    panels = list(product(settings, sources))
    columns = len(sources) if len(sources) > 1 else min(len(settings), 3)
    n_rows = -(-len(panels) // columns)
    known = legend_entries(candidates, groups)
    labels = [words(name) if name == ENSEMBLE else shortened(name, 32) for name, _ in known] + ["real = synthetic"]
    legend_columns = min(len(labels), max(2, 84 // (max(map(len, labels)) + 4)), 5)
    legend_rows = -(-len(labels) // legend_columns)
    figure = Figure(figsize=(max(WIDTH, 3 * columns), 2.5 * n_rows + 0.24 * legend_rows + 0.3))
    axes = figure.subplots(n_rows, columns, squeeze=False)
    style = looks(candidates, groups)
    for ax, (setting, source) in zip(axes.flat, panels, strict=False):
        x, y = synthetic[source].reindex(candidates), real[setting].reindex(candidates)
        limits(ax.set_xlim, x)
        limits(ax.set_ylim, y)
        ax.axline((0.5, 0.5), slope=1, **REFERENCE)
        for name in candidates:
            colour, marker = style[name]
            ax.plot(x[name], y[name], marker, color=colour, markersize=8, markeredgecolor="white", markeredgewidth=0.6)
        ax.set_title(f"{words(source)}, {words(setting)}")
        ax.set_xlabel("synthetic AUROC")
        ax.set_ylabel("real AUROC")
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.yaxis.set_major_locator(MaxNLocator(5))
        ax.label_outer(remove_inner_ticks=False)
        ax.tick_params(labelbottom=True, labelleft=True)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    handles = [Line2D([], [], color=c, marker=m, linestyle="", markersize=8, label="-") for _, (c, m) in known]
    handles.append(Line2D([], [], label="-", **REFERENCE))
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns, columnspacing=1.5)
    # Set afterwards: matplotlib leaves out labels that begin with an underscore.
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_text(label)
    return figure


@styled
def strategies(table1: pd.DataFrame) -> Figure:
    """Pick rate (bars) and mean real AUROC of the picks (points) of each strategy × protocol, one row of panels per setting.

    table1: of swsa_core.report.tables, rows of one data set.
    """
    table1 = table1[table1["setting"] != ""]
    settings = list(dict.fromkeys(table1["setting"]))
    n_bars = table1.groupby("setting").size().max()
    figure = Figure(figsize=(WIDTH, len(settings) * (0.95 + 0.27 * n_bars)))
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)  # by `style.STYLE`
    engine.set(h_pad=0.12, hspace=0, wspace=0.05)  # h_pad in inches, the others shares
    axes = figure.subplots(len(settings), 2, squeeze=False, width_ratios=[1, 1.1])
    for (left, right), setting in zip(axes, settings, strict=True):
        rows = table1[table1["setting"] == setting].iloc[::-1]
        labels = [
            words(row.strategy) + (f", {words(row.protocol)}" if row.protocol else "") for row in rows.itertuples()
        ]
        colours = [ACCENT if find(name).proposed else FAINT for name in rows["strategy"]]
        place = np.arange(len(rows))
        left.barh(place, rows["pick_rate"], color=colours, height=0.62)
        left.set_yticks(place, labels)
        left.set_xlim(0, 1.18)
        left.set_xticks([0, 0.5, 1])
        for at, value in zip(place, rows["pick_rate"], strict=True):
            left.annotate(
                decimals(value, 2), (np.nan_to_num(value), at), (4, 0), textcoords="offset points", va="center"
            )
        left.set_title(f"{words(setting)}: pick rate")
        right.scatter(rows["auroc"], place, color=colours, s=42, zorder=3)
        limits(right.set_xlim, rows["auroc"])
        for at, value in zip(place, rows["auroc"], strict=True):
            right.text(1.16, at, decimals(value, 3), transform=right.get_yaxis_transform(), ha="right", va="center")
        right.set_yticks(place, [])
        right.xaxis.set_major_locator(MaxNLocator(4))
        right.set_title("real AUROC of the picks")
        for bound in rows.loc[[find(name).is_bound for name in rows["strategy"]], "auroc"]:
            right.axvline(bound, **REFERENCE)
        for ax in (left, right):
            ax.set_ylim(-0.6, len(rows) - 0.4)
            ax.grid(False, axis="y")
            ax.tick_params(axis="y", length=0)
    return figure


@styled
def contact_sheet(sheet: Sheet, side: int = 96) -> Figure:
    """The seed images of a task above its hardest synthetic anomalies, each under the images that it was made from.

    sheet: a swsa_core.report.contact_sheets.Sheet. The outlines show where CutPaste took the patch and where it put it.
    """
    rows = [("seeds", sheet.seeds)]
    pairs = [pictures(sheet, i) for i in range(len(sheet.anomalies))]
    parents = {1: ["made from"], 2: ["style", "content"]}.get(len(sheet.parents[0]), []) if pairs else []
    rows += [(label, [pair[i] for pair in pairs]) for i, label in enumerate(parents)]
    rows.append(("hardest", [pair[-1] for pair in pairs]))
    columns = max(len(images) for _, images in rows)
    figure = Figure(figsize=(max(WIDTH, 0.8 * columns), 0.85 * len(rows) + 0.35))
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, (label, images) in zip(axes, rows, strict=True):
        for ax in line:
            ax.axis("off")
        for ax, image in zip(line, images, strict=False):
            ax.imshow(thumbnail(image, side), interpolation="none")
        line[0].text(-0.12, 0.5, label, transform=line[0].transAxes, ha="right", va="center")
    figure.suptitle(f"{shortened(sheet.task, 60)}: {words(sheet.source)}", fontsize=10, x=0.01, ha="left")
    return figure
