"""How all figures look, and how they are written to files.

A candidate keeps its colour and marker in every figure; the shape of the marker says the same as its colour.
"""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from numpy.typing import ArrayLike

from swsa_core.basics.look import Look
from swsa_core.files.text import write_bytes, write_text

# Colours of candidates, by Tol (2021), for colour-blind readers; those of sources are `Source.look`.
COLOURS = (
    *("#332288", "#CC3311", "#117733", "#AA4499", "#999933", "#33BBEE"),
    *("#882255", "#EE7733", "#44AA99", "#6699CC", "#661100"),
)
# As many markers as have no common divisor with the colours: no pair comes twice among the first 132 candidates.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h", "p")
INK, FAINT, ACCENT = "#1f2933", "#8a94a0", "#0072B2"
REFERENCE: dict[str, Any] = {"color": FAINT, "linewidth": 1, "linestyle": (0, (4, 3)), "zorder": 1}
WIDTH = 9.6  # inches; the report shows a figure at its own size, so 10 points stay 10 points

STYLE: dict[Any, Any] = {  # the keys are texts; matplotlib's types list every single one
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


Groups = Mapping[str, Sequence[str]]
"""{candidate: its backbone and its head}."""


def looks(candidates: Iterable[str], groups: Groups | None = None) -> dict[str, Look]:
    """{candidate: its `Look`}, the same in every figure for candidates in the order of the config.

    Where `groups` tells of several heads, the colour is that of the backbone and the marker that of the head; beyond as many
    backbones as there are colours, heads get further markers.
    """
    names = list(dict.fromkeys(candidates))
    if not are_grouped(names, groups):
        return {name: Look(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, name in enumerate(names)}
    assert groups is not None
    backbones, heads = (list(dict.fromkeys(groups[name][part] for name in groups)) for part in (0, 1))
    found = {}
    for name in names:
        i, head = backbones.index(groups[name][0]), heads.index(groups[name][1])
        marker = head + len(heads) * (i // len(COLOURS))
        found[name] = Look(COLOURS[i % len(COLOURS)], MARKERS[marker % len(MARKERS)])
    return found


def are_grouped(candidates: Iterable[str], groups: Groups | None) -> bool:
    """Whether the candidates are told apart by backbone and head: not prompts, nor candidates of a single head."""
    if not groups or not set(candidates) <= set(groups):
        return False
    return len({head for _, head in groups.values()}) > 1


def legend_entries(candidates: Sequence[str], groups: Groups | None = None) -> list[tuple[str, Look]]:
    """The entries of a legend: every candidate, or where they are grouped each backbone's colour and each head's marker."""
    style = looks(candidates, groups)
    if not are_grouped(candidates, groups):
        return list(style.items())
    assert groups is not None
    mine = {name: groups[name] for name in candidates}
    colours = {backbone: Look(style[name].colour, "s") for name, (backbone, _) in reversed(mine.items())}
    markers = {head: Look(FAINT, style[name].marker) for name, (_, head) in reversed(mine.items())}
    return [*reversed(colours.items()), *((f"head {head}", look) for head, look in reversed(markers.items()))]


def swatch(colour: str, marker: str) -> str:
    """A candidate's marker as a small SVG element, for tables and text."""
    style = MarkerStyle(marker)
    path = style.get_path().transformed(style.get_transform())
    # Curves become polygons; SVG's y axis points down.
    loops = [" ".join(f"{x:.3f},{-y:.3f}" for x, y in np.asarray(loop)) for loop in path.to_polygons(closed_only=False)]
    d = " ".join(f"M{loop}Z" for loop in loops)
    return f'<svg class="swatch" viewBox="-.6 -.6 1.2 1.2" aria-hidden="true"><path d="{d}" fill="{colour}"/></svg>'


def limits(set_limits: Callable[[float, float], object], values: ArrayLike) -> None:
    """Axis limits around AUROCs: at least 0.05 wide, with some room on both sides."""
    every = np.asarray(values, float)
    known = every[np.isfinite(every)]
    low, high = (known.min(), known.max()) if known.size else (0.5, 1)
    if high - low < 0.05:
        high = min((low + high) / 2 + 0.025, 1)  # no AUROC beyond 1
        low = high - 0.05
    set_limits(low - 0.08 * (high - low), high + 0.08 * (high - low))


@styled
def svg(figure: Figure) -> str:
    """The figure as SVG text, the same in every run."""
    settle(figure)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


@styled
def save(figure: Figure, stem: Path | str) -> None:
    """Write `stem`.svg and `stem`.png."""
    write_text(f"{stem}.svg", svg(figure))
    png = io.BytesIO()
    figure.savefig(png, format="png")
    write_bytes(f"{stem}.png", png.getvalue())


def settle(figure: Figure) -> None:
    """Fix the places of the axes: each further drawing would shift them by fractions of a pixel."""
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
