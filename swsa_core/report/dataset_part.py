"""The report's part on one data set: its picks, Table 1, figures and contact sheets."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from swsa_core.detectors.cost import together_ms
from swsa_core.report.contact_sheets import Sheet
from swsa_core.report.svg import inline
from swsa_core.report.tables import MOST_TASKS
from swsa_core.strategies import find
from swsa_core.strategies.select import BETWEEN
from swsa_core.strategies.verdict import VERDICTS
from swsa_core.strategies.wording import words

OPEN_SHEETS = 3


def dataset_part(
    name: str,
    config: Mapping[str, Any],
    picks: pd.DataFrame,
    table1: pd.DataFrame,
    pick_counts: pd.DataFrame,
    sheets: Sequence[Sheet],
    svgs: Mapping[tuple[str, str], str],
    candidates: pd.DataFrame,
) -> dict[str, Any]:
    """What the template shows of the data set `name`; all else is as in `page.render`, with the rows of models alone."""
    rows = picks[picks["dataset"] == name]
    recommended = rows[rows["recommended"]]
    others = rows[~rows["recommended"]]
    disagree = others.merge(recommended[["task", "candidate"]], on="task", suffixes=("", "_recommended"))
    disagree = disagree[disagree["candidate"] != disagree["candidate_recommended"]]
    own = [sheet for sheet in sheets if sheet.dataset == name]
    sources = list(dict.fromkeys(rows["source"]))
    return {
        "name": name,
        "picks": [
            row
            | {"alike": [name for name in row["alike"].split(BETWEEN) if name]}
            | {
                "ms": _ms(candidates, [row["candidate"]]),
                "together_ms": _ms(candidates, row["together"].split(BETWEEN)),
            }
            | {"others": disagree[disagree["task"] == row["task"]].to_dict("records")}
            for row in recommended.to_dict("records")
        ],
        "cards": len(recommended) <= MOST_TASKS,
        "winners": Counter(recommended["candidate"]).most_common(),
        "verdicts": [(verdict, int((recommended["verdict"] == verdict).sum())) for verdict in VERDICTS],
        "source": recommended["source"].iloc[0],
        "sources": sources,
        "protocol": recommended["protocol"].iloc[0],
        "counts": _same(recommended, ["n_anomalous", "n_normal"]),
        "agreement": _agreement(rows),
        "labelled": bool((recommended["setting"] != "").any()),
        "table1": table1_rows(table1[(table1["dataset"] == name) & (table1["setting"] != "")]),
        "settings": [s for s in dict.fromkeys(table1.loc[table1["dataset"] == name, "setting"]) if s],
        "unlabelled": _unlabelled(pick_counts[pick_counts["dataset"] == name]),
        "figures": figures_of(name, svgs, config),
        "sheets": own,
        "n_open": OPEN_SHEETS,
    }


def _ms(candidates, names):
    """Milliseconds of one image with some candidates together, NaN where they were not measured."""
    rows = candidates[candidates["candidate"].isin(names)]
    return together_ms(rows) if len(rows) and rows["median_ms"].notna().all() else math.nan


def _same(rows, columns):
    """The values of `columns` as ints where all rows have the same, else None."""
    distinct = rows[columns].drop_duplicates()
    return (
        [int(value) for value in distinct.iloc[0]] if len(distinct) == 1 and distinct.notna().all(axis=None) else None
    )


def _agreement(rows):
    """[(source, its protocol, in how many tasks it picks what is recommended, of how many)] of the other sources."""
    chosen = rows[rows["recommended"]].set_index("task")["candidate"]
    others = rows[~rows["recommended"]]
    return [
        (
            source,
            group["protocol"].iloc[0],
            int((group["candidate"] == chosen[group["task"]].to_numpy()).sum()),
            len(group),
        )
        for source, group in others.groupby("source", sort=False)
    ]


def _unlabelled(counts):
    """{(strategy, protocol): [(candidate, tasks)]} of pick_counts without real labels."""
    found = {}
    for row in counts[counts["setting"] == ""].itertuples():
        found.setdefault((row.strategy, row.protocol), []).append((row.candidate, row.tasks))
    return found


def table1_rows(table1: pd.DataFrame) -> dict[tuple[str, str], dict[str, dict[str, Any]]]:
    """Rows strategy × protocol with a dict per setting, and which AUROC is the highest but for the upper bound."""
    bounds = {name for name in table1["strategy"] if find(name).is_bound}
    reachable = table1[~table1["strategy"].isin(bounds)].groupby("setting")["auroc"].max()
    rows: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in table1.to_dict("records"):
        row["highest"] = row["strategy"] not in bounds and row["auroc"] == reachable[row["setting"]]
        rows.setdefault((row["strategy"], row["protocol"]), {})[row["setting"]] = row
    return rows


def figures_of(
    name: str, svgs: Mapping[tuple[str, str], str], config: Mapping[str, Any], prefix: str = ""
) -> dict[str, list[tuple[str, Markup]]]:
    """{kind: [(variant, inline SVG)]} of a data set; the variants are protocols or sources, in the config's order."""
    kinds = (
        "strategies",
        "reliability",
        "real_vs_synthetic",
        "confidence",
        "support_curve",
        "cost",
        "severity",
        "training",
    )
    found: dict[str, list] = {f"{prefix}{kind}": [] for kind in kinds}
    order = ["", *config["evaluation"]["protocols"], *config["sources"]]
    for (dataset, figure), svg in svgs.items():
        kind, _, variant = figure.partition(".")
        if dataset == name and kind in found:
            label = f"{name}: {words(kind)} {words(variant)}".strip()
            found[kind].append((variant, inline(svg, f"{name}.{figure}", label)))
    return {kind: sorted(variants, key=lambda item: order.index(item[0])) for kind, variants in found.items()}
