"""What candidates cost and what they reach: milliseconds of one image against the synthetic AUROC."""

from collections.abc import Collection, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter
from matplotlib.transforms import Bbox

from swsa_core.basics.wording import shortened
from swsa_core.detectors.cost import frontier
from swsa_core.report.style import FAINT, INK, WIDTH, Groups, legend_entries, limits, looks, settle, styled

# Where a label may stand beside its point: offset in points, horizontal and vertical alignment.
PLACES = (
    *(((-7, 4), "right", "bottom"), ((0, 8), "center", "bottom"), ((7, 4), "left", "bottom")),
    *(((9, 0), "left", "center"), ((7, -4), "left", "top"), ((0, -8), "center", "top"), ((-7, -4), "right", "top")),
)


@styled
def cost_figure(
    scores: pd.Series,
    costs: pd.DataFrame,
    candidates: Sequence[str],
    groups: Groups | None = None,
    picked: Collection[str] = (),
    alike: Collection[str] = (),
) -> Figure:
    """Synthetic AUROC against ms of one image (log), a marker per candidate; a line joins those that none beats in both.

    scores: synthetic AUROC of each candidate, mean over tasks; costs: of
    `swsa_core.detectors.cost.of_candidates`. The points on the line are named, and the pick. alike: candidates that cannot be
    told apart from the pick, which have a ring; the pick's is thick.
    """
    ms = costs.set_index("candidate")["median_ms"]
    names = [name for name in candidates if pd.notna(scores.get(name)) and pd.notna(ms.get(name))]
    legend = [*legend_entries(candidates, groups)]
    n_entries = len(legend) + (3 if picked else 1)
    columns = min(n_entries, max(2, 84 // (max(len(shortened(name, 32)) for name, _ in legend) + 4)), 5)
    figure = Figure(figsize=(WIDTH, 3.6 + 0.24 * -(-n_entries // columns)))
    ax = figure.subplots()
    best = [names[i] for i in frontier([ms[name] for name in names], [scores[name] for name in names])]
    ax.plot(ms[best], scores[best], color=FAINT, linewidth=1.2, zorder=1)
    for name, (colour, marker) in looks(candidates, groups).items():
        if name in names:
            ax.plot(
                ms[name], scores[name], marker, color=colour, markersize=8, markeredgecolor="white", markeredgewidth=0.6
            )
    for name in (name for name in names if name in picked or name in alike):
        ax.add_line(_ring([ms[name]], [scores[name]], thick=name in picked))
    ax.set_xscale("log")
    ax.margins(x=0.12)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    spread = ms[names].max() / ms[names].min() if names else 1
    ax.xaxis.set_minor_formatter(FuncFormatter(_few) if spread < 100 else NullFormatter())
    ax.tick_params(axis="x", which="minor", labelcolor="#1f2933")
    limits(ax.set_ylim, scores[names] if names else [])
    ax.set_xlabel("ms of one image, median")
    ax.set_ylabel("synthetic AUROC")
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, linestyle="", markersize=8, label="-")
        for _, look in legend
    ]
    handles.append(Line2D([], [], color=FAINT, linewidth=1.2, label="-"))
    told = ["none is better and faster"]
    if picked:
        handles += [_ring([], [], thick=True), _ring([], [], thick=False)]
        told += ["the pick", "as good, as far as can be told"]
    box = figure.legend(handles=handles, loc="outside lower center", ncols=columns, columnspacing=1.5)
    for text, label in zip(box.get_texts(), [*(name for name, _ in legend), *told], strict=True):
        text.set_text(shortened(label, 32))
    settle(figure)
    named = dict.fromkeys([*(name for name in names if name in picked), *best])
    _label(ax, {name: (ms[name], scores[name]) for name in names}, list(named))
    return figure


def _ring(x: Sequence[float], y: Sequence[float], thick: bool) -> Line2D:
    """A ring around a point."""
    ring = Line2D(x, y, linestyle="", marker="o", markersize=14, markeredgewidth=2.2 if thick else 1, label="-")
    ring.set_markerfacecolor("none")
    ring.set_markeredgecolor(INK)
    return ring


def _few(value: float, _: int) -> str:
    """Ticks at 2 and 5 between the powers of ten."""
    return f"{value:g}" if f"{value:e}"[0] in "25" else ""


def _label(ax: Axes, points: dict[str, tuple[float, float]], named: Sequence[str]) -> None:
    """Names beside points, each at the first of `PLACES` where it covers no other name, no point, and stays inside."""
    taken = [_around(ax.transData.transform(point)) for point in points.values()]
    for name in named:
        for offset, horizontal, vertical in PLACES:
            text = ax.annotate(
                shortened(name, 36),
                points[name],
                offset,
                textcoords="offset points",
                fontsize=8.5,
                ha=horizontal,
                va=vertical,
            )
            box = text.get_window_extent()
            inside = ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1 and ax.bbox.y0 <= box.y0 and box.y1 <= ax.bbox.y1
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()  # where no place is left, the legend alone names it


def _around(place) -> Bbox:
    """The box of a marker."""
    return Bbox.from_extents(place[0] - 5, place[1] - 5, place[0] + 5, place[1] + 5)
