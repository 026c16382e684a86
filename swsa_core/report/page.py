"""The report: one self-contained HTML page that says which detector to deploy, how sure that is, and why.

`render` fills `report.html.jinja` with tables, figures and contact sheets; it reads no file of the study.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from swsa_core.anomalies import SOURCES
from swsa_core.basics import wording
from swsa_core.basics.wording import by_reason
from swsa_core.candidates.prompts import ENSEMBLE
from swsa_core.detectors.cost import together_ms
from swsa_core.evaluation.misleading import Misled
from swsa_core.report import style as figure_style
from swsa_core.report.contact_sheets import Sheet, cross_uri, data_uri, pictures
from swsa_core.report.copies import told_of_copies, told_of_drawings, told_of_leaks
from swsa_core.report.prompts import prompt_parts
from swsa_core.report.read_supports import Copied, Drawn, Skipped
from swsa_core.report.svg import inline
from swsa_core.report.tables import MOST_TASKS
from swsa_core.strategies import STRATEGIES, find
from swsa_core.strategies.select import BETWEEN
from swsa_core.strategies.verdict import VERDICTS
from swsa_core.strategies.wording import words

OPEN_SHEETS = 3


def render(
    config: dict[str, Any],
    picks: pd.DataFrame,
    table1: pd.DataFrame,
    pick_counts: pd.DataFrame,
    candidates: pd.DataFrame,
    sheets: Sequence[Sheet],
    svgs: Mapping[tuple[str, str], str],
    skipped: Sequence[Skipped],
    costs: pd.DataFrame,
    versions: Mapping[str, str],
    auroc: pd.DataFrame | None = None,
    class_names: Mapping[str, Mapping[str, str]] | None = None,
    crosses: Mapping[tuple[str, str], Mapping[str, np.ndarray]] | None = None,
    reconstructions: Mapping[tuple[str, str], Mapping[str, np.ndarray]] | None = None,
    paper_tables: Mapping[str, str] | None = None,
    copies: Sequence[Copied] = (),
    leaks: pd.DataFrame | None = None,
    drawings: Sequence[Drawn] = (),
    without: Mapping[str, str] | None = None,
    misled: Mapping[str, Sequence[Misled]] | None = None,
    before_after: pd.DataFrame | None = None,
    recommendations: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """The page as text.

    config: the validated dict; picks, table1, pick_counts, costs: of tables.picks, table1, pick_counts, stage_costs;
    candidates: rows of candidates.csv with a column `seen` and those of detectors.cost.of_candidates; sheets: list of Sheet;
    svgs: {(data set, name): SVG text}, named as by figures.study; skipped: list of {"dataset", "task" or "", "stage",
    "image_id", "path", "reason"}; versions:
    {library: version}; auroc: rows of auroc.csv of the prompts, with a column dataset, None where no prompt is selected;
    class_names: {data set: {task: its name in prompts}}; crosses: {(data set, task): {source: (h, w, 3) uint8}}, sheets of the
    anomalies of each source; reconstructions: the same of those of the seed images; paper_tables: {name: title} of the paper's
    tables that lie beside the page, with its figures; copies, drawings: of read_supports.read_copies and read_drawings; leaks:
    rows of leaks.csv, with a column dataset; without: {candidate that is left out: why}; misled:
    {data set: what evaluation.misleading finds}; before_after: table of report.before_after, None
    where no network is fine-tuned; recommendations: {data set: of read_pictures.read_recommendations}.
    """
    groups = dict(zip(candidates["candidate"], candidates[["backbone", "head"]].to_numpy().tolist(), strict=True))
    page = environment(candidates["candidate"], groups).get_template("report.html.jinja")
    names = [name for name in config["datasets"] if (picks["dataset"] == name).any()]
    prompts = []
    if auroc is not None:
        prompts = prompt_parts(config, auroc, picks[picks["selection"] == "prompt"], class_names or {})
        of_prompts = table1[(table1["selection"] == "prompt") & (table1["setting"] != "")]
        for part in prompts:
            part["table1"] = _table1_rows(of_prompts[of_prompts["dataset"] == part["name"]])
            part["figures"] = _figures(part["name"], svgs, config, "prompt_")
    # what the numbers are worth
    alerts = told_of_drawings(drawings) + told_of_copies(copies) + told_of_leaks(leaks, config)
    told = alerts + told_of_misled(misled or {}) + left_out(picks, config) + warnings(picks, skipped)
    picks, table1, pick_counts = (rows[rows["selection"] == "model"] for rows in (picks, table1, pick_counts))
    return page.render(
        datasets=[_dataset(name, config, picks, table1, pick_counts, sheets, svgs, candidates) for name in names],
        alerts=alerts,
        warnings=told,
        skipped=skipped,
        backbones=[rows.to_dict("records") for _, rows in candidates.groupby("backbone", sort=False)],
        measured=measured_on(candidates),
        without=by_reason(without or {}),
        costs=_shares(costs).to_dict("records"),
        total=costs["seconds"].sum(),
        on_gpu=bool(costs["gpu_mb"].notna().any()),
        # through JSON, which has no anchors for a part that occurs twice
        config=yaml.safe_dump(json.loads(json.dumps(config)), sort_keys=False, allow_unicode=True),
        versions=versions,
        pictures=pictures,
        crosses=crosses or {},
        reconstructions=reconstructions or {},
        sampled=[name for name, source in SOURCES.items() if not source.generated],
        labelled=any(SOURCES[name].labelled for name in config["sources"]),
        texts={
            name: one.training.texts(config["sources"][name])
            for name, one in SOURCES.items()
            if one.training and name in config["sources"]
        },
        in_pairs=[name for name, source in SOURCES.items() if source.pairs],
        prompts=prompts,
        clip=config["clip"]["model"] if prompts else "",
        notes={name: source.note for name, source in SOURCES.items() if source.note},
        strategy_of=find,
        bound=next(name for name, one in STRATEGIES.items() if one.is_bound),
        ensemble=ENSEMBLE,
        paper_tables=paper_tables or {},
        recommendations=recommendations or {},
        before_after=[] if before_after is None else before_after.to_dict("records"),
    )


def measured_on(costs: pd.DataFrame) -> str:
    """The devices and threads of measured costs, as a part of a sentence.

    >>> measured_on(pd.DataFrame({"device": ["cpu", "cpu"], "threads": [1, 1]}))
    'cpu with 1 thread'
    """
    known = costs.dropna(subset="threads")[["device", "threads"]].drop_duplicates()
    return " and ".join(f"{row.device} with {wording.plural(int(row.threads), 'thread')}" for row in known.itertuples())


def environment(candidates: Iterable[str] = (), groups: figure_style.Groups | None = None) -> Environment:
    """The templates of pages, which escape every value, with the filters by which they write names, numbers and images."""
    looks = figure_style.looks(candidates, groups)
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "words": words,
        "titled": lambda name: words(name)[0].upper() + words(name)[1:],
        "auroc": lambda value: wording.decimals(value, 3),
        "share": lambda value: wording.decimals(value, 2),
        "interval": wording.with_interval,
        "chance": wording.chance,
        "part": wording.part,
        "two_digits": wording.two_digits,
        "count": wording.count,
        "large": wording.three_digits,
        "duration": wording.measured_time,
        "memory": wording.megabytes,
        "plural": wording.plural,
        "image": data_uri,
        "cross": cross_uri,
        "breakable": breakable,
        "swatch": lambda name: Markup(figure_style.swatch(*looks[name])) if name in looks else "",
    }
    return templates


def told_of_misled(misled: Mapping[str, Sequence[Misled]]) -> list[dict[str, Any]]:
    """The sources by which a candidate wins that is known to be bad, as `warnings` has it."""
    cases: dict[str, list[tuple[str, Misled]]] = {}
    for dataset, found in misled.items():
        for one in found:
            cases.setdefault(one.source, []).append((dataset, one))
    return [
        {
            "title": f"Misleading: {words(source)} anomalies",
            "text": "These anomalies are told best by a candidate that is known to be a bad detector "
            f"({', '.join(dict.fromkeys(one.candidate for _, one in rows))}): they may differ from normal images in something "
            "that real anomalies do not differ in. Do not let this source decide alone.",
            "tasks": [f"{dataset}: {one.task}" for dataset, one in rows],
        }
        for source, rows in cases.items()
    ]


def left_out(picks: pd.DataFrame, config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Which data sets go without a source, as `warnings` has it: those with one task, where the source needs others."""
    counts = picks.groupby("dataset", sort=False)["task"].nunique()
    lone = counts.index[counts == 1].tolist()
    text = "This source takes the images of other tasks, and these data sets have one task each. They go without it."
    return [
        {"title": f"Left out: {words(source)} anomalies", "text": text, "tasks": lone}
        for source in config["sources"]
        if SOURCES[source].others and lone
    ]


def warnings(picks: pd.DataFrame, skipped: Sequence[Skipped]) -> list[dict[str, Any]]:
    """What a reader must know before trusting the recommendations: a list of {"title", "text", "tasks"}."""
    rows = picks[picks["recommended"]]
    told = []
    for text, group in rows[rows["warning"] != ""].groupby("warning", sort=False):
        told.append({"title": f"Warned: {len(group)} of {len(rows)} picks", "text": text, "tasks": _tasks(group)})
    saturated = rows[rows["saturated"].astype(bool)]
    if len(saturated):
        text = (
            "Several candidates separate every synthetic anomaly from every normal image (synthetic AUROC 1). "
            "The one listed first in the config is picked; these anomalies are so easy that they cannot separate the "
            "candidates."
        )
        told.append(
            {"title": f"Saturated: {len(saturated)} of {len(rows)} picks", "text": text, "tasks": _tasks(saturated)}
        )
    tied = rows[(rows["n_tied"] > 1) & ~rows["saturated"].astype(bool)]
    if len(tied):
        text = "Several candidates share the highest synthetic AUROC. The one listed first in the config is picked."
        told.append({"title": f"Tied: {len(tied)} of {len(rows)} picks", "text": text, "tasks": _tasks(tied)})
    if skipped:
        text = (
            "These images could not be read. The study went on without them, as the config says (on_bad_image: skip)."
        )
        names = list(dict.fromkeys(f"{item['dataset']}: {item['path']}" for item in skipped))
        told.append({"title": f"Skipped images: {len(names)}", "text": text, "tasks": names})
    return told


def breakable(name: str) -> Markup:
    """A name, escaped; where it is long, a narrow column may break it after its punctuation.

    >>> breakable("<b>_c"), breakable("torchvision:resnet50")
    (Markup('&lt;b&gt;_c'), Markup('torchvision:<wbr>resnet50'))
    """
    if len(name) <= 16:
        return escape(name)
    return Markup("").join(
        Markup(escape(part)) + (Markup("<wbr>") * (i % 2)) for i, part in enumerate(re.split("([_:/.-])", name))
    )


def _dataset(name, config, picks, table1, pick_counts, sheets, svgs, candidates):
    """What the template shows of one data set."""
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
        "table1": _table1_rows(table1[(table1["dataset"] == name) & (table1["setting"] != "")]),
        "settings": [s for s in dict.fromkeys(table1.loc[table1["dataset"] == name, "setting"]) if s],
        "unlabelled": _unlabelled(pick_counts[pick_counts["dataset"] == name]),
        "figures": _figures(name, svgs, config),
        "sheets": own,
        "n_open": OPEN_SHEETS,
    }


def _ms(candidates, names):
    """Milliseconds of one image with some candidates together, NaN where they were not measured."""
    rows = candidates[candidates["candidate"].isin(names)]
    return together_ms(rows) if len(rows) and rows["median_ms"].notna().all() else math.nan


def _figures(name, svgs, config, prefix=""):
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


def _unlabelled(counts):
    """{(strategy, protocol): [(candidate, tasks)]} of pick_counts without real labels."""
    found = {}
    for row in counts[counts["setting"] == ""].itertuples():
        found.setdefault((row.strategy, row.protocol), []).append((row.candidate, row.tasks))
    return found


def _table1_rows(table1):
    """Rows strategy × protocol with a dict per setting, and which AUROC is the highest but for the upper bound."""
    bounds = {name for name in table1["strategy"] if find(name).is_bound}
    reachable = table1[~table1["strategy"].isin(bounds)].groupby("setting")["auroc"].max()
    rows = {}
    for row in table1.to_dict("records"):
        row["highest"] = row["strategy"] not in bounds and row["auroc"] == reachable[row["setting"]]
        rows.setdefault((row["strategy"], row["protocol"]), {})[row["setting"]] = row
    return rows


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


def _same(rows, columns):
    """The values of `columns` as ints where all rows have the same, else None."""
    distinct = rows[columns].drop_duplicates()
    return (
        [int(value) for value in distinct.iloc[0]] if len(distinct) == 1 and distinct.notna().all(axis=None) else None
    )


def _shares(costs):
    """stage_costs with each stage's share of the largest time and memory, for the bars."""
    largest = costs[["seconds", "peak_mb"]].max()
    return costs.assign(
        time_share=(costs["seconds"] / largest["seconds"]).fillna(0),
        memory_share=(costs["peak_mb"] / largest["peak_mb"]).fillna(0),
    )


def _tasks(rows):
    """The data sets and tasks of picks, for people."""
    return [f"{row.dataset}: {row.task}{' (prompt)' if row.selection == 'prompt' else ''}" for row in rows.itertuples()]
