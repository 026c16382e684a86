"""What grades anomalies: the synthetic AUROC against their strength, and the losses of what was trained to make them."""

from collections.abc import Sequence
from math import ceil

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from swsa_core.anomalies import SOURCES
from swsa_core.basics.wording import shortened
from swsa_core.report.style import REFERENCE, WIDTH, Groups, legend_entries, looks, settle, styled
from swsa_core.strategies.wording import words


@styled
def severity_figure(
    severity: pd.DataFrame, protocol: str, candidates: Sequence[str], groups: Groups | None = None
) -> Figure:
    """Synthetic AUROC against strength, mean over tasks: a panel per source, a line per candidate.

    severity: rows of severity.csv of one data set.
    """
    rows = severity[severity["protocol"] == protocol]
    means = rows.groupby(["source", "candidate", "strength"], sort=False)["auroc"].mean()
    sources = list(dict.fromkeys(rows["source"]))
    known = legend_entries(candidates, groups)
    columns = min(len(known), max(2, 84 // (max(len(shortened(name, 32)) for name, _ in known) + 4)), 5)
    figure = Figure(figsize=(WIDTH, 3 + 0.24 * ceil(len(known) / columns)))
    axes = figure.subplots(1, len(sources), squeeze=False, sharey=True)[0]
    style = looks(candidates, groups)
    for ax, source in zip(axes, sources, strict=True):
        ax.axhline(0.5, **REFERENCE)
        for name in candidates:
            line = means[source][name].sort_index()
            ax.plot(line.index, line, marker=style[name].marker, color=style[name].colour, markersize=6, linewidth=1.4)
        ax.set_title(words(source))
        ax.set_xlabel(SOURCES[source].strength)
    axes[0].set_ylabel("synthetic AUROC")
    handles = [axes[0].plot([], [], look.marker, color=look.colour, markersize=8, label="-")[0] for _, look in known]
    box = figure.legend(handles=handles, loc="outside lower center", ncols=columns, columnspacing=1.5)
    for text, (name, _) in zip(box.get_texts(), known, strict=True):
        text.set_text(shortened(name, 32))
    settle(figure)
    return figure


@styled
def training_figure(losses: pd.DataFrame) -> Figure:
    """Mean loss of each epoch, mean over tasks where each has its own training: a line per text.

    losses: rows text, epoch, loss of one data set.
    """
    means = losses.groupby(["text", "epoch"], sort=False)["loss"].mean()
    figure = Figure(figsize=(WIDTH, 2.6))
    ax = figure.subplots()
    for text in dict.fromkeys(losses["text"]):
        ax.plot(means[text].index, means[text], marker="o", markersize=4, label=shortened(text, 40))
    ax.set_xlabel("epoch")
    ax.set_ylabel("loss")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside right upper")
    settle(figure)
    return figure
