"""Selection: which candidate each strategy picks for each task, and how good it is on the real images (Table 1).

Models (backbones with kNN) and prompts (of a CLIP model) are two selections: one is never picked against the other.
"""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from swsa_core.anomalies import SOURCES
from swsa_core.evaluation.confidence import ALL_SOURCES
from swsa_core.evaluation.known import UNLIMITED, Budget
from swsa_core.files.table import Table
from swsa_core.strategies import detectors, find, split
from swsa_core.strategies.evidence import Case, Evidence, Pick, Sureness
from swsa_core.strategies.strategy import Strategy
from swsa_core.strategies.swsa_source import described
from swsa_core.strategies.verdict import CLOSE, Verdict, judge

# The selection, "model" or "prompt", is said when the tables of both are put together.
SELECTION = Table(
    "selection",
    "selection task strategy source protocol setting candidate members n_tied synthetic_auroc p_best low high saturated "
    "warning verdict reason alike real_auroc best_auroc right regret",
    numbers="n_tied synthetic_auroc p_best low high saturated real_auroc best_auroc right regret",
)
BETWEEN = "; "  # between the names in the column `alike`


def select(
    auroc: pd.DataFrame,
    confidence: pd.DataFrame,
    candidates: pd.DataFrame,
    strategies: Iterable[str],
    protocols: Iterable[str],
    quality: pd.DataFrame | None = None,
    budget: Budget = UNLIMITED,
) -> pd.DataFrame:
    """The picks: one row per task, strategy, setting, and protocol where the strategy depends on it.

    Returns a table with the columns of `SELECTION` but the selection.

    auroc, confidence, candidates, quality, budget: see `gather`; strategies: names of the config, of this selection.
    Of candidates that tie, the one declared first is picked, and n_tied says how many tied. A pick is right when its
    real AUROC equals the best, a combination of candidates when it is at least that. verdict, reason, alike: of
    `swsa_core.strategies.verdict`, for picks that are recommended. Without real labels there is one
    row with the setting "", and the real figures are NaN. Raises ValueError for an unknown strategy.
    """
    evidence = gather(auroc, confidence, candidates, quality, budget)
    named = [(name, find(name), (split(name) or ("", ""))[1]) for name in strategies]
    named = [one for one in named if one[2] in ("", *evidence.sources)]  # without a source that needs other tasks
    rows = []
    for task in evidence.tasks:
        for (name, strategy, source), setting in product(named, evidence.settings[task]):
            for protocol in protocols if strategy.per_protocol else [""]:
                case = Case(task, name, source, protocol, setting)
                rows.append(_row(strategy, case, strategy.pick(evidence, case), evidence))
    return pd.DataFrame(rows, columns=SELECTION.columns[1:])


def picked(row: Any) -> list[str]:
    """The candidates that a row of `SELECTION` picks: one, the members of a detector that combines some, or none."""
    return [row.candidate] if row.candidate else row.members.split(BETWEEN) if row.members else []


def deployed(selection: pd.DataFrame, strategies: Iterable[str]) -> tuple[str, pd.DataFrame]:
    """The first strategy that picks from support images alone as SWSA proposes, and its first row of each task.

    selection: rows of `SELECTION` of one selection and data set; strategies: names in the order of the config. "" and no row
    where the data set has no source that the strategies need.
    """
    known = set(selection["strategy"])
    name = next((name for name in strategies if find(name).proposed and name in known), "")
    return name, selection[selection["strategy"] == name].drop_duplicates("task").set_index("task")


def judged(selection: pd.DataFrame, strategies: Iterable[str]) -> pd.DataFrame:
    """Of each task the first row that has a verdict: the recommended single candidate; arguments as of `deployed`."""
    order = {name: number for number, name in enumerate(strategies)}
    rows = selection[selection["verdict"] != ""]
    rows = rows.iloc[np.argsort(rows["strategy"].map(order).to_numpy(), kind="stable")]
    return rows.drop_duplicates("task").set_index("task")


def gather(
    auroc: pd.DataFrame,
    confidence: pd.DataFrame,
    candidates: pd.DataFrame,
    quality: pd.DataFrame | None = None,
    budget: Budget = UNLIMITED,
) -> Evidence:
    """The tables of one selection as `Evidence`.

    auroc: table of `swsa_core.evaluation.evaluate`; confidence: table of `swsa_core.evaluation.confidence`;
    candidates: columns candidate, n_parameters and backbone (the candidate itself where it is left out), in the order of the
    config; budget: of what is recommended; quality: table of
    `swsa_core.evaluation.consensus`, needed for the strategies that pick by it.
    """
    names, combined = list(candidates["candidate"]), detectors()
    whole = auroc[auroc["n_anomalies"].astype(str) == "all"]
    tasks = list(dict.fromkeys(whole["task"]))
    settings = list(dict.fromkeys(whole.loc[whole["validation"] == "real", "setting"]))
    aurocs = _by_candidate(whole, ["task", "validation", "protocol", "setting"], "auroc", [*names, *combined])
    undefined = np.full(len(names) + len(combined), np.nan)
    labelled = {
        task: [setting for setting in settings if (task, "real", "", setting) in aurocs] or [""] for task in tasks
    }
    real = {
        (task, setting): aurocs.get((task, "real", "", setting), undefined)
        for task in tasks
        for setting in labelled[task]
    }
    *keys, p_best, low, high = (
        confidence[column].tolist()
        for column in ("task", "validation", "protocol", "candidate", "p_best", "low", "high")
    )
    return Evidence(
        names=names,
        n_parameters=candidates["n_parameters"].to_numpy(dtype=float),
        backbones=list(candidates["backbone" if "backbone" in candidates else "candidate"]),
        budget=budget,
        tasks=tasks,
        sources=[name for name in dict.fromkeys(whole["validation"]) if name != "real"],
        settings=labelled,
        synthetic={key[:3]: values[: len(names)] for key, values in aurocs.items() if key[1] != "real"},
        real={key: values[: len(names)] for key, values in real.items()},
        detectors={
            (*key, name): float(value)
            for key, values in real.items()
            for name, value in zip(combined, values[len(names) :], strict=True)
        },
        qualities={} if quality is None else _by_candidate(quality, ["task", "strategy"], "quality", names),
        confidence=dict(zip(zip(*keys, strict=True), map(Sureness, p_best, low, high), strict=True)),
        near=_by_candidate(confidence, ["task", "validation", "protocol"], "p_near", names),
    )


def _by_candidate(table: pd.DataFrame, keys: list[str], column: str, names: list[str]) -> dict[tuple, np.ndarray]:
    """{values of `keys`: the column by candidate, in the order of `names`}, NaN where a candidate has no row."""
    wide = table.pivot(index=keys, columns="candidate", values=column).reindex(columns=names)
    return dict(zip(wide.index, wide.to_numpy(dtype=float), strict=True))


def _row(strategy: Strategy, case: Case, pick: Pick, evidence: Evidence) -> list:
    """A pick and how good it is, in the order of `SELECTION`."""
    source = pick.source if strategy.recommends else ""
    judged = _verdict(strategy, case, pick, evidence)
    if judged.verdict == CLOSE and strategy.within_budget and evidence.budget.cheapest:
        pick = cheapest(judged.alike, evidence, case._replace(source=pick.source))
    return [
        *(
            case.task,
            case.strategy,
            source,
            case.protocol,
            case.setting,
            pick.candidate,
            "; ".join(pick.members),
            pick.n_tied,
        ),
        *(pick.synthetic_auroc, *pick.sureness, pick.saturated, pick.warning),
        *(judged.verdict, judged.reason, BETWEEN.join(evidence.names[c] for c in judged.alike)),
        *_judged(pick, evidence.real[case.task, case.setting], evidence.names),
    ]


def cheapest(alike: Sequence[int], evidence: Evidence, case: Case) -> Pick:
    """Of candidates that cannot be told apart the one within the budget that takes the fewest milliseconds.

    alike: their columns, the pick of the strategy, which is within the budget, among them.
    """
    costs = evidence.budget.costs
    assert costs is not None  # see `Budget`
    ms = np.nan_to_num(costs["median_ms"].to_numpy(dtype=float), nan=np.inf)
    fastest = min((column for column in alike if evidence.budget.allows([column])), key=lambda column: ms[column])
    return described(Pick(evidence.names[fastest]), evidence, case)


def _verdict(strategy: Strategy, case: Case, pick: Pick, evidence: Evidence) -> Verdict:
    """What may be believed of a pick that is recommended; nothing of others."""
    together = evidence.near.get((case.task, ALL_SOURCES, case.protocol))
    if not (strategy.recommends and pick.candidate) or together is None:
        return Verdict()
    of_sources = {source: (case.task, source, case.protocol) for source in evidence.sources}
    return judge(
        evidence.names.index(pick.candidate),
        {source: evidence.synthetic[key] for source, key in of_sources.items() if key in evidence.synthetic},
        {source: evidence.near[key] for source, key in of_sources.items() if key in evidence.near},
        together,
        evidence.n_parameters,
        [source for source in evidence.sources if SOURCES[source].parents],
    )


def _judged(pick: Pick, real: np.ndarray, names: list[str]) -> tuple[float, float, float, float]:
    """(AUROC of a pick, best AUROC, whether it is right, regret) on the real images; an undefined AUROC is never right.

    real: AUROC (c,) of the candidates, all NaN without real labels.
    """
    if np.isnan(real).all():
        return (np.nan,) * 4
    best = float(np.nanmax(real))
    if pick.outcome is not None:
        auroc, right = pick.outcome
    else:
        auroc = float(real[names.index(pick.candidate)]) if pick.candidate else np.nan
        right = float(auroc == best)
    return auroc, best, right, best - auroc
