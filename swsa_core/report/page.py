"""The report: one self-contained HTML page that says which detector to deploy, how sure that is, and why.

`render` fills `report.html.jinja` with tables, figures and contact sheets; it reads no file of the study.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import yaml

from swsa_core.anomalies import SOURCES
from swsa_core.basics.wording import by_reason
from swsa_core.candidates.prompts import ENSEMBLE
from swsa_core.detectors.cost import measured_on
from swsa_core.evaluation.misleading import Misled
from swsa_core.report.alerts import told_of_lone_tasks, told_of_misled, told_of_picks
from swsa_core.report.contact_sheets import Sheet, pictures
from swsa_core.report.copies import told_of_copies, told_of_drawings, told_of_leaks
from swsa_core.report.dataset_part import dataset_part, figures_of, table1_rows
from swsa_core.report.prompts import prompt_parts
from swsa_core.report.read_supports import Copied, Drawn, Skipped
from swsa_core.report.templating import environment
from swsa_core.strategies import STRATEGIES, find


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
            part["table1"] = table1_rows(of_prompts[of_prompts["dataset"] == part["name"]])
            part["figures"] = figures_of(part["name"], svgs, config, "prompt_")
    # what the numbers are worth
    alerts = told_of_drawings(drawings) + told_of_copies(copies) + told_of_leaks(leaks, config)
    told = alerts + told_of_misled(misled or {}) + told_of_lone_tasks(picks, config) + told_of_picks(picks, skipped)
    picks, table1, pick_counts = (rows[rows["selection"] == "model"] for rows in (picks, table1, pick_counts))
    return page.render(
        datasets=[dataset_part(name, config, picks, table1, pick_counts, sheets, svgs, candidates) for name in names],
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


def _shares(costs):
    """stage_costs with each stage's share of the largest time and memory, for the bars."""
    largest = costs[["seconds", "peak_mb"]].max()
    return costs.assign(
        time_share=(costs["seconds"] / largest["seconds"]).fillna(0),
        memory_share=(costs["peak_mb"] / largest["peak_mb"]).fillna(0),
    )
