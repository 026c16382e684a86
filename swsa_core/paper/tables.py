"""Tables 1 to 3 of the paper from the results of a study, with the printed values beside them.

Every function takes and returns tidy DataFrames, one row per fact; `swsa_core.paper.typeset` lays them out as in the paper.
kinds: {data set: its kind}, as names are free and the printed numbers belong to a kind. Columns printed_… are NaN where
the paper prints nothing.
"""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from swsa_core import metrics
from swsa_core.datasets import KINDS
from swsa_core.files.table import Table
from swsa_core.paper.printed import printed
from swsa_core.report import tables
from swsa_core.strategies import detectors

ALPHA = 0.05  # shared by the tests of Table 2 (Bonferroni)

TABLE1 = Table(
    "table1",
    "dataset kind selection setting strategy protocol picks n_tasks pick_rate ties auroc printed_picks printed_n_tasks "
    "printed_auroc pick_rate_difference auroc_difference",
    numbers="picks n_tasks pick_rate ties auroc printed_picks printed_n_tasks printed_auroc pick_rate_difference "
    "auroc_difference",
)
TABLE2 = Table(
    "table2",
    "dataset kind selection setting protocol source n_anomalies tau p_value n_candidates tied_pairs n_tests threshold "
    "significant n_tasks_real n_tasks_synthetic printed_tau printed_p_value tau_difference",
    numbers="tau p_value n_candidates tied_pairs n_tests threshold significant n_tasks_real n_tasks_synthetic "
    "printed_tau printed_p_value tau_difference",
)
TABLE3 = Table(
    "table3",
    "dataset kind task space closest source support total_variation ceiling n_support n_real n_synthetic n_clusters "
    "printed_total_variation difference",
    numbers="total_variation ceiling n_support n_real n_synthetic n_clusters printed_total_variation difference",
)
TABLE3_ALL_TASKS = Table(
    "table3_all_tasks",
    "dataset kind space source support total_variation lowest highest ceiling n_tasks printed_total_variation",
    numbers="total_variation lowest highest ceiling n_tasks printed_total_variation",
)
MVTEC_PROMPTS = Table(
    "mvtec_prompts",
    "dataset setting strategy protocol group picks n_tasks pick_rate ties auroc printed_picks printed_n_tasks",
    numbers="picks n_tasks pick_rate ties auroc printed_picks printed_n_tasks",
)
TABLES = {table.name: table for table in (TABLE1, TABLE2, TABLE3, TABLE3_ALL_TASKS, MVTEC_PROMPTS)}


def table1(table: pd.DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Table 1: how often each strategy picks the best model or prompt, and the mean real AUROC of its picks.

    table: `swsa_core.report.tables.table1`. A strategy is compared with the printed one under every protocol. Data sets without
    real labels have no rows. The differences are ours minus printed, of pick rates as the task counts may differ.
    """
    rows = table[table["setting"] != ""].assign(kind=lambda rows: rows["dataset"].map(kinds))
    rows = _beside(rows, "table1", ["selection", "setting", "strategy", "kind"])
    rows["pick_rate_difference"] = rows["pick_rate"] - rows["printed_picks"] / rows["printed_n_tasks"]
    rows["auroc_difference"] = rows["auroc"] - rows["printed_auroc"]
    return rows[TABLE1.columns]


def table2(ranking: pd.DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Table 2: Kendall's τ-b between the candidates' real and synthetic AUROC, with a two-sided p, exact without ties.

    ranking: `swsa_core.report.tables.ranking`, AUROCs averaged over tasks; detectors that combine candidates are left out.
    Bonferroni: the tests that share one real ranking and protocol count, sources × sizes, undefined ones too. Three
    sources and three sizes make 9, the number behind the paper's 5.56e-3, which does not say what it counts. τ is NaN,
    and not significant, where all candidates tie or only one is there. tau_difference compares τ cut off like the
    printed one, so that it is 0 for the same number of concordant pairs; it is NaN for prompts, whose ranking the paper
    does not show.
    """
    rows = ranking[~ranking["candidate"].isin(detectors())]
    is_real = rows["validation"] == "real"
    shared = ["dataset", "selection", "candidate"]
    real = rows.loc[is_real, [*shared, "setting", "auroc", "n_tasks"]]
    synthetic = rows[~is_real].drop(columns="setting").rename(columns={"validation": "source"})
    pairs = real.merge(synthetic, on=shared, suffixes=("_real", "_synthetic"))
    keys = ["dataset", "selection", "setting", "protocol", "source", "n_anomalies"]
    columns = ["tau", "p_value", "n_candidates", "tied_pairs", "n_tasks_real", "n_tasks_synthetic"]
    found = [key + _agreement(part) for key, part in pairs.groupby(keys, sort=False)]
    result = pd.DataFrame(found, columns=keys + columns).assign(kind=lambda rows: rows["dataset"].map(kinds))
    result["n_tests"] = result.groupby(["dataset", "selection", "setting", "protocol"])["source"].transform("size")
    result["threshold"] = ALPHA / result["n_tests"]
    result["significant"] = result["p_value"] < result["threshold"]
    result = _beside(result, "table2", ["setting", "source", "kind", "n_anomalies"])
    result.loc[result["selection"] != "model", ["printed_tau", "printed_p_value"]] = np.nan
    result["tau_difference"] = result["tau"].map(cut_off) - result["printed_tau"]
    return result[TABLE2.columns]


def cut_off(value: float, digits: int = 3) -> float:
    """A value cut off after some digits, as the paper prints τ; NaN stays.

    >>> cut_off(1 - 2 * 14 / 45), cut_off(0.6), cut_off(-0.0667)
    (0.377, 0.6, -0.066)
    """
    # 0.6 may have come as 0.5999999999999999
    return math.trunc(round(value * 10**digits, 6)) / 10**digits if math.isfinite(value) else value


def table3(variation: pd.DataFrame, kinds: Mapping[str, str], chosen: Mapping[str, str]) -> pd.DataFrame:
    """Table 3: total variation between real and synthetic validation set, for the tasks of Figure 4.

    variation: `swsa_core.evaluation.total_variation` of all data sets, with a column dataset; chosen: {data set:
    task}. A task without real anomalies has no rows. The paper does not name its tasks, so a difference says little.
    """
    rows = variation[variation["task"] == variation["dataset"].map(chosen)]
    rows = _beside(rows.assign(kind=rows["dataset"].map(kinds)), "table3", ["source", "kind"])
    return rows.assign(difference=rows["total_variation"] - rows["printed_total_variation"])[TABLE3.columns]


def table3_all_tasks(variation: pd.DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Table 3 over all tasks: mean, lowest and highest total variation, and the mean ceiling."""
    keys = ["dataset", "space", "source", "support"]
    rows = variation.groupby(keys, sort=False).agg(
        total_variation=("total_variation", "mean"),
        lowest=("total_variation", "min"),
        highest=("total_variation", "max"),
        ceiling=("ceiling", "mean"),
        n_tasks=("task", "nunique"),
    )
    rows = rows.reset_index().assign(kind=lambda rows: rows["dataset"].map(kinds))
    return _beside(rows, "table3", ["source", "kind"])[TABLE3_ALL_TASKS.columns]


def mvtec_prompts(selection: pd.DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Table 1's prompt rows of the kinds with textures, these and objects apart (A.1 of the paper's earlier version).

    selection: rows of selection.csv of all data sets, with a column dataset. That text says that no best prompt was
    picked "in any of the six textures"; MVTec-AD has five.
    """
    textures = {name: KINDS[kind].textures for name, kind in kinds.items()}
    with_textures = [name for name, tasks in textures.items() if tasks]
    rows = selection[(selection["selection"] == "prompt") & selection["dataset"].isin(with_textures)]
    texture = np.array([task in textures[name] for name, task in zip(rows["dataset"], rows["task"], strict=True)], bool)
    parts = {"object": rows[~texture], "texture": rows[texture]}
    table = tables.stack({group: tables.table1(part) for group, part in parts.items() if len(part)}, "group")
    return _beside(table[table["setting"] != ""], "mvtec_prompts", ["strategy", "group"])[MVTEC_PROMPTS.columns]


def _beside(rows, name, keys):
    """`rows` with the printed values of a table as columns printed_…, matched by `keys`."""
    values = printed(name)
    values = values.rename(columns={column: f"printed_{column}" for column in values.columns.drop(keys)})
    return rows.merge(values, on=keys, how="left", validate="m:1")


def _agreement(pairs):
    """τ, p, candidates, tied pairs and tasks of the two rankings of one group; pairs: a row per candidate.

    Candidates without one of the figures are in neither ranking: a network has none by the source that it was trained on.
    """
    n_tasks = pairs["n_tasks_real"].min(), pairs["n_tasks_synthetic"].min()
    real, synthetic = pairs[["auroc_real", "auroc_synthetic"]].dropna().to_numpy(dtype=float).T
    first, second = np.triu_indices(len(real), 1)
    tied = (real[first] == real[second]) | (synthetic[first] == synthetic[second])
    tau, p_value = metrics.kendall_tau(real, synthetic) if len(real) > 1 else (np.nan, np.nan)
    return tau, p_value, len(real), int(tied.sum()), *map(int, n_tasks)
