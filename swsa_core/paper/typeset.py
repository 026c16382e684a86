"""The tidy tables of `swsa_core.paper.tables` as Markdown and LaTeX, laid out as in the paper.

A layout is {heading: DataFrame of text}, one table for each heading. What the paper prints stands in a row of its own
below ours, or in square brackets; our values have the difference to it in parentheses.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from swsa_core.basics.wording import decimals, difference
from swsa_core.paper.tables import cut_off
from swsa_core.strategies.wording import words

Layout = dict[str, pd.DataFrame]
"""{heading: DataFrame of text}."""
PRINTED = "printed"  # in place of the protocol
WIDEST = 100  # characters of a table that fits across a page

_DIFFERENCE = "Rows `printed` hold the paper's values, parentheses our difference to them."
_VARIATION = (
    "The ceiling is what the shared support leaves; support: all its images, or the seeds alone. In square brackets the "
    "printed value"
)


def table1(table: pd.DataFrame) -> Layout:
    """Table 1's layout: a row per strategy and protocol, three columns per data set."""
    cells = {"picks": _picks, "AUROC": _auroc, "ties": _ties}
    return {
        f"{selection} selection, {words(setting)}": _wide(part, ["strategy"], ["protocol"], "dataset", cells)
        for (selection, setting), part in table.groupby(["selection", "setting"], sort=False)
    }


def table2(table: pd.DataFrame) -> Layout:
    """Table 2's layout: a row per source, data set and protocol, a column per number of synthetic anomalies."""
    labelled = table.assign(
        candidates=table["n_candidates"].astype(str),
        tasks=table["n_tasks_real"].astype(str) + " / " + table["n_tasks_synthetic"].astype(str),
        tests=table["n_tests"].astype(str),
    )
    keys, counts = ["source", "dataset"], ["protocol", "candidates", "tasks", "tests"]
    return {
        f"{selection} ranking, {words(setting)}": _wide(part, keys, counts, "n_anomalies", {"anomalies": _tau})
        for (selection, setting), part in labelled.groupby(["selection", "setting"], sort=False)
    }


def table3(table: pd.DataFrame) -> Layout:
    """Table 3's layout for single tasks: a row per data set, source and support."""
    records = table.to_dict("records")
    sizes = [f"{row['n_support']} + {row['n_real']}, {row['n_support']} + {row['n_synthetic']}" for row in records]
    rows = table.assign(
        **{"total variation": [_variation(row, row["difference"]) for row in records]},
        ceiling=table["ceiling"].map("{:.3f}".format),
        sizes=sizes,
        clusters=table["n_clusters"],
    )
    columns = ["dataset", "task", "closest", "source", "support", "total variation", "ceiling", "sizes", "clusters"]
    return _by_space(rows, columns)


def table3_all_tasks(table: pd.DataFrame) -> Layout:
    """Table 3's layout for all tasks: a row per data set, source and support."""
    records = table.to_dict("records")
    rows = table.assign(
        **{"total variation": [_variation(row) for row in records]},
        range=[f"{row['lowest']:.3f} to {row['highest']:.3f}" for row in records],
        ceiling=table["ceiling"].map("{:.3f}".format),
        tasks=table["n_tasks"],
    )
    return _by_space(rows, ["dataset", "source", "support", "total variation", "range", "ceiling", "tasks"])


def mvtec_prompts(table: pd.DataFrame) -> Layout:
    """The layout of the breakdown: a row per strategy and protocol, three columns for objects and for textures."""
    table = table.assign(printed_auroc=float("nan"), auroc_difference=float("nan"))
    cells = {"picks": _picks, "AUROC": _auroc, "ties": _ties}
    return {
        f"{dataset}, {words(setting)}": _wide(part, ["strategy"], ["protocol"], "group", cells)
        for (dataset, setting), part in table.groupby(["dataset", "setting"], sort=False)
    }


@dataclass(frozen=True)
class Form:
    """How a table is shown: its title in a list of tables, a note for its readers, and its layout."""

    title: str
    note: str
    layout: Callable[[pd.DataFrame], Layout]


FORMS = {
    "table1": Form(
        "Table 1, the picks of each strategy",
        "Right picks of tasks, and mean real AUROC of the picks. " + _DIFFERENCE + " Ties: tasks in which several "
        "candidates share the highest value, so that the order of the config decides.",
        table1,
    ),
    "table2": Form(
        "Table 2, how the candidates are ranked",
        "Kendall's tau-b between real and synthetic AUROC of the candidates, cut off after three digits, and its "
        "two-sided p. "
        + _DIFFERENCE
        + " Asterisk: p below 0.05 / tests, which are counted among the sources and sizes "
        "that share one real ranking. Undefined: all candidates tie. Tasks: behind the real and the synthetic AUROC.",
        table2,
    ),
    "table3": Form(
        "Table 3, total variation of one task of each data set",
        "Total variation between real and synthetic validation set. "
        + _VARIATION
        + ", for classes that the paper does "
        "not name, and our difference to it.",
        table3,
    ),
    "table3_all_tasks": Form(
        "Table 3 over all tasks",
        "Total variation between real and synthetic validation set, mean over all tasks. " + _VARIATION + ", for one "
        "class that the paper does not name.",
        table3_all_tasks,
    ),
    "mvtec_prompts": Form(
        "Prompts for the objects and the textures of MVTec-AD",
        "Prompts for the objects and the textures of MVTec-AD: right picks of tasks, and mean real AUROC of the picks. Rows "
        "`printed` hold what the paper's earlier version says, whose six textures are one more than MVTec-AD has.",
        mvtec_prompts,
    ),
}
"""{table of the paper, as its file is named: how it is shown}."""


def markdown(layout: Layout, note: str) -> str:
    """A layout as Markdown: a heading before each table, and `note` before them all."""
    parts = [note]
    for heading, frame in layout.items():
        header = [name if isinstance(name, str) else " ".join(filter(None, name)) for name in frame.columns]
        rows = [header, ["---"] * len(header), *frame.to_numpy().tolist()]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        parts += [f"## {heading}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def latex(layout: Layout, note: str) -> str:
    """A layout as LaTeX table environments, for documents with the packages booktabs, graphicx and rotating."""
    parts = [
        r"% needs \usepackage[T1]{fontenc}, \usepackage{booktabs}, \usepackage{graphicx} and \usepackage{rotating}"
    ]
    for heading, frame in layout.items():
        width = sum(frame[column].str.len().max() + 2 for column in frame.columns)
        environment = "sidewaystable" if width > WIDEST else "table"
        tabular = frame.to_latex(index=False, escape=True, multicolumn_format="l").strip()
        caption = escaped(f"{heading[:1].upper()}{heading[1:]}. {note.replace('`', '')}")
        lines = [rf"\begin{{{environment}}}", r"\centering", rf"\caption{{{caption}}}", r"\resizebox{\linewidth}{!}{%"]
        parts.append("\n".join([*lines, tabular + "}", rf"\end{{{environment}}}"]))
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Text with LaTeX's special characters as characters.

    >>> print(escaped("50 % of {a_b} & c"))
    50 \\% of \\{a\\_b\\} \\& c
    """
    special: dict[str, str | int | None] = {character: "\\" + character for character in "&%$#_{}"}
    special |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
    return text.translate(str.maketrans(special))


def _wide(rows, keys, counts, across, cells):
    """DataFrame of text, a row for each value of the columns `keys` and `counts`, and for each value of the column
    `across` the columns of `cells`, {title: row of the table -> text}; "" where there is no row.

    Below the rows of each value of `keys` the printed values make one of protocol PRINTED.
    """
    has_printed = rows.filter(regex="^printed_(picks|auroc|tau)$").notna().any(axis=1)
    blank = dict.fromkeys(counts, "") | {"protocol": PRINTED}
    rows = pd.concat([rows, rows[has_printed].drop_duplicates([*keys, across]).assign(**blank)])
    rows = rows.iloc[rows.groupby(keys, sort=False).ngroup().argsort(kind="stable")]
    found = {(*(row[key] for key in keys + counts), row[across]): row for row in rows.to_dict("records")}
    names = list(rows[across].drop_duplicates())
    lines = []
    for values in rows[keys + counts].drop_duplicates().itertuples(index=False, name=None):
        known = [found.get((*values, name)) for name in names]
        shown = [value if key == "dataset" else words(value) for key, value in zip(keys + counts, values, strict=True)]
        lines.append(shown + [cell(row) if row else "" for row in known for cell in cells.values()])
    if len(cells) == 1:
        return pd.DataFrame(lines, columns=[*keys, *counts, *(f"{name} {title}" for name in names for title in cells)])
    header = [(key, "") for key in keys + counts] + [(name, title) for name in names for title in cells]
    return pd.DataFrame(lines, columns=pd.MultiIndex.from_tuples(header))


def _by_space(rows, columns):
    """A table for each feature space."""
    return {
        f"features of {space}": part[columns].astype(str).reset_index(drop=True)
        for space, part in rows.groupby("space", sort=False)
    }


def _picks(row):
    """Right picks of the tasks; those of `random` are expected and no whole number."""
    printed = row["protocol"] == PRINTED
    picks, n_tasks = (row["printed_picks"], row["printed_n_tasks"]) if printed else (row["picks"], row["n_tasks"])
    if pd.isna(picks):
        return "-"
    return f"{picks:.1f}/{n_tasks:.0f}" if picks % 1 else f"{picks:.0f}/{n_tasks:.0f}"


def _auroc(row):
    if row["protocol"] == PRINTED:
        return decimals(row["printed_auroc"], 3, "-")
    return decimals(row["auroc"], 3, "-") + difference(row["auroc_difference"])


def _ties(row):
    return "" if row["protocol"] == PRINTED else str(row["ties"])


def _tau(row):
    if row["protocol"] == PRINTED:
        return f"{row['printed_tau']:.3f}, p = {row['printed_p_value']:.2e}"
    if pd.isna(row["tau"]):
        return "undefined"
    stars = "*" if row["significant"] else ""
    return f"{cut_off(row['tau']):.3f}{stars}{difference(row['tau_difference'])}, p = {row['p_value']:.2e}"


def _variation(row, to_printed=float("nan")):
    printed = row["printed_total_variation"]
    beside = "" if pd.isna(printed) else f" [{printed:.3f}]"
    return decimals(row["total_variation"], 3, "-") + beside + difference(to_printed)
