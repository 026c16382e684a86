"""The paper's figures in its own layout, for all data sets of a study; each function returns a Figure.

`swsa_core.report.figures` draws one data set at a time, with an eye to its recommendations. Here data sets stand
beside each other. A source of synthetic anomalies keeps its colour in every figure, those of the paper's Figure 4 among them.
"""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from swsa_core.anomalies import SOURCES
from swsa_core.basics.look import Look
from swsa_core.basics.wording import shortened
from swsa_core.evaluation.tsne import NORMAL, PREPARED, REAL
from swsa_core.files.text import write_bytes
from swsa_core.report.contact_sheets import thumbnail
from swsa_core.report.style import INK, REFERENCE, STYLE, WIDTH, limits, looks, settle, styled
from swsa_core.strategies.wording import words

# Colours of Okabe and Ito (2008): blue triangles are real anomalies and orange ones normal images, as in the paper's Figure 4.
NORMAL_COLOUR, PREPARED_COLOUR, REAL_COLOUR = "#E69F00", "#6B4A00", "#0072B2"
GROUPS = [NORMAL, PREPARED, REAL, *SOURCES]  # of swsa_core.evaluation.tsne, in the order of the legend
STYLE_FRAME, CONTENT_FRAME, MADE_FRAME = "#009E73", "#56B4E9", "#D55E00"
MOST_COLUMNS = 4  # panels beside each other, one per data set
SIDE = 160  # pixels of a small image
# Lengths in a contact sheet, in units of an image: between images, between those given and those made, for a line of text.
GAP, APART, LABEL = 0.07, 0.15, 0.4
STEP, START = 1 + GAP, 1 + GAP + APART


@dataclass(frozen=True)
class Pairs:
    """What diffusion made of pairs of one task's seed images."""

    dataset: str
    task: str
    styles: list[np.ndarray]  # n of (H, W, 3) uint8
    contents: list[np.ndarray]  # m of (H, W, 3) uint8
    made: list[list[np.ndarray]]  # m lists of n images, rows by content and columns by style


def collect(
    dataset: str,
    task: str,
    parents: np.ndarray,
    read: Callable[[str], np.ndarray],
    anomaly: Callable[[int], np.ndarray],
    n_rows: int,
    n_columns: int,
) -> Pairs:
    """`Pairs` of the first `n_columns` style and `n_rows` content images of a task, fewer where there are fewer.

    parents: (n, 2) image ids, style and content of each anomaly; read: image id -> image; anomaly: row -> image.
    """
    rows = {(style, content): row for row, (style, content) in enumerate(parents)}
    styles, contents = (list(dict.fromkeys(column)) for column in np.asarray(parents).T)
    styles, contents = styles[:n_columns], contents[:n_rows]
    return Pairs(
        dataset,
        task,
        [read(image_id) for image_id in styles],
        [read(image_id) for image_id in contents],
        [[anomaly(rows[style, content]) for style in styles] for content in contents],
    )


def study(
    ranking: pd.DataFrame,
    pairs: Sequence[Pairs],
    projections: Mapping[str, pd.DataFrame],
    candidates: Sequence[str],
    protocols: Iterable[str],
    space: str,
) -> dict[str, Figure]:
    """The paper's figures whose data are there, as {name: Figure}.

    Names: contact_sheets (Figure 2), real_vs_synthetic.<protocol> (Figure 3), tsne (Figure 4) and, as Figures 4 and 5 of
    the paper's earlier version, one_source.<source>.<protocol>, where there are several sources.
    ranking: of swsa_core.report.tables; pairs: a `Pairs` a task; projections: {data set: table of swsa_core.evaluation.tsne};
    candidates, protocols: names in the order of the config; space: the candidate whose features are projected.
    """
    figures = {"contact_sheets": contact_sheets(pairs)} if pairs else {}
    models = ranking[(ranking["selection"] == "model") & (ranking["n_anomalies"].astype(str) == "all")]
    labelled = set(models.loc[models["validation"] == "real", "dataset"])
    models = models[models["dataset"].isin(labelled)]
    for protocol in protocols:
        rows = models[(models["validation"] == "real") | (models["protocol"] == protocol)]
        sources = [source for source in dict.fromkeys(rows["validation"]) if source != "real"]
        if sources:
            figures[f"real_vs_synthetic.{protocol}"] = real_vs_synthetic(rows, candidates)
        for source in sources if len(sources) > 1 else ():
            of_source = rows[rows["validation"].isin(["real", source])]
            figures[f"one_source.{source}.{protocol}"] = real_vs_synthetic(of_source, candidates)
    if projections:
        figures["tsne"] = tsne(projections, space)
    return figures


@styled
def contact_sheets(pairs: Sequence[Pairs]) -> Figure:
    """Style images on top, content images at the left, and what diffusion made of each pair, one panel per task (Figure 2)."""
    width = LABEL + START + STEP * max(len(one.styles) for one in pairs)
    height = 2 * LABEL + START + STEP * max(len(one.contents) for one in pairs)
    columns = min(2, len(pairs))
    n_rows = -(-len(pairs) // columns)
    inch = min(1, WIDTH / (columns * width))
    figure = Figure(figsize=(columns * width * inch, n_rows * height * inch))
    axes = figure.subplots(n_rows, columns, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for number, (ax, one) in enumerate(zip(axes.flat, pairs, strict=False)):
        _draw_pairs(ax, one, f"({chr(ord('a') + number % 26)})")
        ax.set(xlim=(-LABEL, width - LABEL), ylim=(height - 2 * LABEL, -2 * LABEL), aspect="equal")
    return figure


def _draw_pairs(ax, pairs, letter):
    """One task of `contact_sheets`, in units of an image from the corner above the content and left of the style images."""
    n, m = len(pairs.styles), len(pairs.contents)
    placed = [(style, START + STEP * i, 0) for i, style in enumerate(pairs.styles)]
    placed += [(content, 0, START + STEP * j) for j, content in enumerate(pairs.contents)]
    placed += [
        (made, START + STEP * i, START + STEP * j) for j, row in enumerate(pairs.made) for i, made in enumerate(row)
    ]
    for image, left, top in placed:
        ax.imshow(thumbnail(image, SIDE), extent=(left, left + 1, top + 1, top), interpolation="none")
    frames = [
        (START, 0, n, 1, STYLE_FRAME),
        (0, START, 1, m, CONTENT_FRAME),
        (START, START, n, m, MADE_FRAME),
    ]
    for left, top, columns, rows, colour in frames:
        corner, size = (left - GAP / 2, top - GAP / 2), (STEP * columns, STEP * rows)
        ax.add_patch(Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=1.8, clip_on=False))
    ax.text(START + STEP * n / 2, -0.1, "style", ha="center", va="bottom")
    ax.text(-0.1, START + STEP * m / 2, "content", ha="right", va="center", rotation=90)
    name = ": ".join(dict.fromkeys([pairs.dataset, pairs.task]))
    ax.text(0, -0.1 - LABEL, f"{letter} {shortened(name, 40)}", va="bottom")


@styled
def real_vs_synthetic(ranking: pd.DataFrame, candidates: Sequence[str]) -> Figure:
    """Real against synthetic AUROC, mean over tasks: data sets across, settings down, one marker per candidate (Figure 3).

    Colours tell the sources apart; of a single source, the candidates. ranking: rows of swsa_core.report.tables.ranking of the
    models and one protocol, on all anomalies, of data sets with real labels.
    """
    datasets = list(dict.fromkeys(ranking["dataset"]))
    real = ranking[ranking["validation"] == "real"].set_index(["dataset", "setting", "candidate"])["auroc"]
    synthetic = ranking[ranking["validation"] != "real"].set_index(["dataset", "validation", "candidate"])["auroc"]
    settings = list(dict.fromkeys(real.index.get_level_values("setting")))
    sources = list(dict.fromkeys(synthetic.index.get_level_values("validation")))
    style = looks(candidates)
    names = [*(shortened(name, 32) for name in candidates), "real = synthetic"]
    width = max(WIDTH, 2.4 * len(datasets)) if len(datasets) > 1 else 5.6  # in inches, as those of a legend's entry
    legend_rows = -(-len(names) // max(1, int((width - 0.2) / (0.75 + 0.08 * max(map(len, names))))))
    figure = Figure(figsize=(width, 2.3 * len(settings) + 0.24 * legend_rows + 0.85))
    axes = figure.subplots(len(settings), len(datasets), squeeze=False, sharex="col")
    for column, dataset in zip(axes.T, datasets, strict=True):
        limits(column[0].set_xlim, synthetic[dataset])
        for ax, setting in zip(column, settings, strict=True):
            y = real.reindex([(dataset, setting, name) for name in candidates]).set_axis(candidates)
            above = [shortened(dataset, 22)] if ax is column[0] else []
            if y.isna().all():
                ax.axis("off")
                ax.set_title(*above or [""])
                continue
            _draw_comparison(ax, synthetic[dataset], y, style, len(sources) == 1)
            ax.set_title("\n".join([*above, words(setting)]))
    if len(sources) == 1:
        figure.suptitle(f"synthetic anomalies: {words(sources[0])}", fontsize=10)
    else:
        keys = [
            Line2D([], [], **_marker(SOURCES[source].look.colour, "o", 8), label=words(source)) for source in sources
        ]
        figure.legend(handles=keys, loc="outside upper center", ncols=len(sources))
    colours = {name: colour if len(sources) == 1 else INK for name, (colour, _) in style.items()}
    keys = [Line2D([], [], **_marker(colours[name], marker, 8), label="-") for name, (_, marker) in style.items()]
    keys.append(Line2D([], [], label="-", **REFERENCE))
    legend = figure.legend(handles=keys, loc="outside lower center", ncols=-(-len(names) // legend_rows))
    # Set afterwards: matplotlib leaves out labels that begin with an underscore.
    for text, label in zip(legend.get_texts(), names, strict=True):
        text.set_text(label)
    return figure


def _draw_comparison(ax, synthetic, real, style, by_candidate):
    """One panel of `real_vs_synthetic`.

    synthetic: AUROC by source and candidate; real: by candidate; style: {candidate: Look}; by_candidate:
    whether colours tell the candidates apart, or the sources.
    """
    limits(ax.set_ylim, real)
    ax.axline((0.5, 0.5), slope=1, **REFERENCE)
    for (source, name), x in synthetic.items():
        colour, marker = style[name]
        shown = _marker(colour, marker, 7.5) if by_candidate else _marker(SOURCES[source].look.colour, marker, 7.5)
        ax.plot(x, real[name], **shown, alpha=1 if by_candidate else 0.7)  # sources that saturate lie on each other
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel("synthetic AUROC")
    ax.set_ylabel("real AUROC")
    ax.label_outer(remove_inner_ticks=False)
    ax.tick_params(labelbottom=True, labelleft=True)


@styled
def tsne(projections: Mapping[str, pd.DataFrame], space: str) -> Figure:
    """Normal images, the closest real anomalies and synthetic anomalies in the plane, one panel per data set (Figure 4).

    projections: {data set: table of swsa_core.evaluation.tsne}; space: the candidate whose features were projected.
    """
    columns = min(MOST_COLUMNS, len(projections))
    n_rows = -(-len(projections) // columns)
    side, gap, title_height = min(3.4, WIDTH / columns), 0.14, 0.6  # in inches
    width = max(columns * side, 6.4)
    groups = sorted({group for table in projections.values() for group in table["group"]}, key=GROUPS.index)
    legend_columns = 3 if width < WIDTH else 6
    height = n_rows * (side + title_height) + 0.25 * -(-len(groups) // legend_columns) + 0.35
    figure = Figure(figsize=(width, height))
    figure.set_layout_engine("none")  # constrained layout would cut the titles of square axes
    for number, (dataset, table) in enumerate(projections.items()):
        row, column = divmod(number, columns)
        left = (width - columns * side + gap) / 2 + column * side
        bottom = height - (row + 1) * (side + title_height) + gap
        ax = figure.add_axes((left / width, bottom / height, (side - gap) / width, (side - gap) / height))
        # hollow markers last: many lie on those of the same images as they are
        for group, points in sorted(table.groupby("group", sort=False), key=lambda item: item[0] == PREPARED):
            ax.plot(points["x"], points["y"], **_group_look(group))
        task, closest = table["task"].iloc[0], table["closest"].iloc[0]
        lines = [*dict.fromkeys([dataset, task]), *([f"closest: {closest}"] if closest else [])]
        ax.set_title("\n".join(shortened(line, round(side * 12.5)) for line in lines), fontsize=9)
        ax.margins(0.06)
        ax.set(xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set_visible(True)
    handles = [Line2D([], [], **_group_look(group), label=_group_words(group)) for group in groups]
    title = f"t-SNE of the features of {shortened(space, 40)}"
    figure.legend(handles=handles, loc="lower center", ncols=legend_columns, title=title)
    return figure


@matplotlib.rc_context(STYLE | {"pdf.fonttype": 42})
def save_pdf(figure: Figure, stem: Path | str) -> None:
    """Write `stem`.pdf, text as text, the same bytes in every run."""
    settle(figure)
    pdf = io.BytesIO()
    figure.savefig(pdf, format="pdf", metadata={"CreationDate": None})
    write_bytes(f"{stem}.pdf", pdf.getvalue())


def _marker(colour, marker, size):
    """How a candidate is drawn; a star looks smaller than other markers."""
    size = size * 1.35 if marker == "*" else size
    look = {"color": colour, "marker": marker, "linestyle": "", "markersize": size}
    return look | {"markeredgecolor": "white", "markeredgewidth": 0.6}


def _group_look(group):
    """How the points of a group of swsa_core.evaluation.tsne are drawn."""
    of_images = {NORMAL: Look(NORMAL_COLOUR, "^"), PREPARED: Look(NORMAL_COLOUR, "^"), REAL: Look(REAL_COLOUR, "v")}
    colour, marker = of_images.get(group) or SOURCES[group].look
    look = {"color": colour, "marker": marker, "linestyle": "", "markersize": 5.5, "markeredgewidth": 0.5}
    if group == PREPARED:
        return look | {"markerfacecolor": "none", "markeredgecolor": PREPARED_COLOUR, "markeredgewidth": 1}
    return look | {"markeredgecolor": "white"}


def _group_words(group):
    """A group of swsa_core.evaluation.tsne as it is written for people."""
    known = {NORMAL: "normal", PREPARED: "normal, as prepared", REAL: "real, closest class"}
    return known.get(group) or words(group)
