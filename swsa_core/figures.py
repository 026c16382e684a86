"""Figures of a study, drawn by matplotlib from tables and images; each function returns a Figure.

A candidate keeps its colour and marker in every figure. Colours are those of Okabe and Ito (2008), made for
colour-blind readers; the shape of the marker says the same once more.
"""

import io
import math
from itertools import product
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.ticker import MaxNLocator

from swsa_core.contact_sheets import pictures, thumbnail
from swsa_core.tables import MOST_TASKS

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# As many markers as have no common divisor with the colours: no pair comes twice among the first 84 candidates.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h", "p")
INK, FAINT = "#1f2933", "#8a94a0"
REFERENCE = {"color": FAINT, "linewidth": 1, "linestyle": (0, (4, 3)), "zorder": 1}
WIDTH = 9.6  # inches; the report shows a figure at its own size, so 10 points stay 10 points

STYLE = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "Helvetica", "Arial", "sans-serif"],
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e4e7eb",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "text.parse_math": False,  # a "$" in a name is a dollar sign
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "svg.fonttype": "none",  # text stays text: it can be searched, selected and read aloud
    "svg.hashsalt": "swsa",
}
styled = matplotlib.rc_context(STYLE)


def words(name):
    """A name of the config as it is written for people.

    >>> words("swsa_cutpaste"), words("one_vs_rest"), words("leave_one_out")
    ('SWSA with cutpaste', 'one-vs-rest', 'leave one out')
    """
    known = {"random": "random pick (expected)", "best": "best possible", "tiny_imagenet": "Tiny-ImageNet"}
    if name.startswith("swsa_"):
        return f"SWSA with {words(name.removeprefix('swsa_'))}"
    return known.get(name) or name.replace("_", "-" if "_vs_" in name else " ")


def looks(candidates):
    """{candidate: (colour, marker)}, the same in every figure for candidates in the order of the config."""
    return {
        name: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, name in enumerate(dict.fromkeys(candidates))
    }


def swatch(colour, marker):
    """A candidate's marker as a small SVG element, for tables and text."""
    style = MarkerStyle(marker)
    path = style.get_path().transformed(style.get_transform())
    # Curves become polygons; SVG's y axis points down.
    loops = [" ".join(f"{x:.3f},{-y:.3f}" for x, y in loop) for loop in path.to_polygons(closed_only=False)]
    d = " ".join(f"M{loop}Z" for loop in loops)
    return f'<svg class="swatch" viewBox="-.6 -.6 1.2 1.2" aria-hidden="true"><path d="{d}" fill="{colour}"/></svg>'


def study(auroc, ranking, confidence, table1, picks, candidates, protocols):
    """Every figure of a study as {(data set, "kind" or "kind.variant"): Figure}.

    Kinds: strategies, real_vs_synthetic (a variant a protocol), confidence (a variant a source); a data set without
    real labels has only the last. Those of prompts begin with "prompt_".

    auroc, confidence: rows of auroc.csv and confidence.csv of all data sets, with a column dataset; ranking, table1,
    picks: of swsa_core.tables; candidates, protocols: names in the order of the config.
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
            for protocol in protocols:
                if (ranked["protocol"] == protocol).any():
                    figure = real_vs_synthetic(ranked, shown, protocol)
                    figures[dataset, f"{prefix}real_vs_synthetic.{protocol}"] = figure
        for source in dict.fromkeys(rows["source"]):
            protocol = rows.loc[rows["source"] == source, "protocol"].iloc[0]
            intervals = intervals_of(aurocs, sure, dataset, source, protocol)
            figures[dataset, f"{prefix}confidence.{source}"] = confidence_figure(intervals, rows, names, source)
    return figures


def intervals_of(auroc, confidence, dataset, source, protocol):
    """Synthetic AUROC with p_best, low, high of each task × candidate of a data set, a source and a protocol."""
    keys = ["dataset", "task", "candidate", "validation", "protocol"]
    both = confidence.merge(auroc[auroc["n_anomalies"].astype(str) == "all"][[*keys, "auroc"]], on=keys)
    chosen = (both["dataset"] == dataset) & (both["validation"] == source) & (both["protocol"] == protocol)
    return both[chosen]


@styled
def real_vs_synthetic(ranking, candidates, protocol):
    """Real against synthetic AUROC, mean over tasks, one marker a candidate, one panel a source × setting (Figure 3).

    ranking: of swsa_core.tables, rows of one data set.
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
    labels = [*(shortened(name, 32) for name in candidates), "real = synthetic"]
    legend_columns = min(len(labels), max(2, 84 // (max(map(len, labels)) + 4)), 5)
    legend_rows = -(-len(labels) // legend_columns)
    figure = Figure(figsize=(max(WIDTH, 3 * columns), 2.5 * n_rows + 0.24 * legend_rows + 0.3))
    axes = figure.subplots(n_rows, columns, squeeze=False)
    style = looks(candidates)
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
    handles = [Line2D([], [], color=c, marker=m, linestyle="", markersize=8, label="-") for c, m in style.values()]
    handles.append(Line2D([], [], label="-", **REFERENCE))
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns, columnspacing=1.5)
    # Set afterwards: matplotlib leaves out labels that begin with an underscore.
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_text(label)
    return figure


@styled
def strategies(table1):
    """Pick rate (bars) and mean real AUROC of the picks (points) of each strategy × protocol, a row of panels a setting.

    table1: of swsa_core.tables, rows of one data set.
    """
    table1 = table1[table1["setting"] != ""]
    settings = list(dict.fromkeys(table1["setting"]))
    n_bars = table1.groupby("setting").size().max()
    figure = Figure(figsize=(WIDTH, len(settings) * (0.95 + 0.27 * n_bars)))
    figure.get_layout_engine().set(hspace=0.06, wspace=0.05)
    axes = figure.subplots(len(settings), 2, squeeze=False, width_ratios=[1, 1.1])
    for (left, right), setting in zip(axes, settings, strict=True):
        rows = table1[table1["setting"] == setting].iloc[::-1]
        labels = [
            words(row.strategy) + (f", {words(row.protocol)}" if row.protocol else "") for row in rows.itertuples()
        ]
        colours = [COLOURS[0] if name.startswith("swsa_") else FAINT for name in rows["strategy"]]
        place = np.arange(len(rows))
        left.barh(place, rows["pick_rate"], color=colours, height=0.62)
        left.set_yticks(place, labels)
        left.set_xlim(0, 1.18)
        left.set_xticks([0, 0.5, 1])
        for at, value in zip(place, rows["pick_rate"], strict=True):
            left.annotate(_short(value), (np.nan_to_num(value), at), (4, 0), textcoords="offset points", va="center")
        left.set_title(f"{words(setting)}: pick rate")
        right.scatter(rows["auroc"], place, color=colours, s=42, zorder=3)
        limits(right.set_xlim, rows["auroc"])
        for at, value in zip(place, rows["auroc"], strict=True):
            right.text(1.16, at, _short(value, 3), transform=right.get_yaxis_transform(), ha="right", va="center")
        right.set_yticks(place, [])
        right.xaxis.set_major_locator(MaxNLocator(4))
        right.set_title("real AUROC of the picks")
        if (best := rows.loc[rows["strategy"] == "best", "auroc"]).size:
            right.axvline(best.iloc[0], **REFERENCE)
        for ax in (left, right):
            ax.set_ylim(-0.6, len(rows) - 0.4)
            ax.grid(False, axis="y")
            ax.tick_params(axis="y", length=0)
    return figure


def confidence_figure(intervals, picks, candidates, source):
    """Who wins and how sure: intervals of every candidate, a panel a task, or a summary where there are many tasks.

    intervals: of intervals_of; picks: of swsa_core.tables, rows of the same data set.
    """
    picks = picks[picks["source"] == source]
    draw = confidence_tasks if picks["task"].nunique() <= MOST_TASKS else confidence_summary
    return draw(intervals, picks, candidates)


@styled
def confidence_tasks(intervals, picks, candidates):
    """Synthetic AUROC with its interval of each candidate, a panel a task; the pick is filled, with its P(best)."""
    tasks = list(picks["task"])
    n_rows = -(-len(tasks) // 4)
    columns = -(-len(tasks) // n_rows)
    figure = Figure(figsize=(min(WIDTH, 1.8 + 3 * columns), n_rows * (0.62 + 0.24 * len(candidates)) + 0.25))
    axes = figure.subplots(n_rows, columns, squeeze=False, sharex=True, sharey=True)
    style, place = looks(candidates), np.arange(len(candidates))[::-1]
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
        ax.set_title(f"{shortened(task, 72 // columns)}\nP(best) {chance(chosen.at[task, 'p_best'])}")
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
def confidence_summary(intervals, picks, candidates):
    """For many tasks: how many tasks each candidate wins and how surely, and its synthetic AUROC over the tasks."""
    names = candidates[::-1]
    place, style = np.arange(len(names)), looks(candidates)
    figure = Figure(figsize=(WIDTH, 1.25 + 0.32 * len(names)))
    left, right = figure.subplots(1, 2, sharey=True)
    steps = [(0.95, 1.01, "#0072B2", "≥ 0.95"), (0.8, 0.95, "#56B4E9", "0.8 to 0.95"), (0, 0.8, "#c7ced6", "below 0.8")]
    begin = np.zeros(len(names))
    for low, high, colour, label in steps:
        won = picks[(picks["p_best"].fillna(0) >= low) & (picks["p_best"].fillna(0) < high)]
        count = won.groupby("candidate")["task"].nunique().reindex(names).fillna(0).to_numpy()
        left.barh(place, count, left=begin, color=colour, height=0.62, label=label)
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
    figure.legend(*left.get_legend_handles_labels(), title="P(best) of the pick", loc="outside lower center", ncols=3)
    return figure


@styled
def contact_sheet(sheet, side=96):
    """The seed images of a task above its hardest synthetic anomalies, each under the images that it was made from.

    sheet: a swsa_core.contact_sheets.Sheet. The outlines show where CutPaste took the patch and where it put it.
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


@styled
def svg(figure):
    """The figure as SVG text, the same in every run."""
    settle(figure)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


@styled
def save(figure, stem):
    """Write `stem`.svg and `stem`.png."""
    Path(f"{stem}.svg").write_text(svg(figure), encoding="utf-8")
    figure.savefig(f"{stem}.png")


def settle(figure):
    """Fix the places of the axes: each further drawing would shift them by fractions of a pixel."""
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


def chance(value):
    """A probability from a bootstrap, never rounded to certainty.

    >>> chance(0.871), chance(0.998), chance(0.001)
    ('0.87', '> 0.99', '< 0.01')
    """
    if math.isnan(value):
        return "not known"
    return "> 0.99" if value > 0.99 else "< 0.01" if value < 0.01 else f"{value:.2f}"


def limits(set_limits, values):
    """Axis limits around AUROCs: at least 0.05 wide, with some room on both sides."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if values.size else (0.5, 1)
    if high - low < 0.05:
        high = min((low + high) / 2 + 0.025, 1)  # no AUROC beyond 1
        low = high - 0.05
    set_limits(low - 0.08 * (high - low), high + 0.08 * (high - low))


def _short(value, digits=2):
    return "" if np.isnan(value) else f"{value:.{digits}f}"


def shortened(name, length):
    """`name` without its middle where it is longer: names of models and tasks differ at both ends."""
    half = length // 2
    return name if len(name) <= length else name[: length - half - 1] + "…" + name[-half:]
