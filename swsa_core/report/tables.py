"""Tables of a study, from the tables of its data sets: the recommendation of each task, Table 1, what is ranked.

Every function takes and returns DataFrames. Text columns hold "" where there is nothing, never NaN.
"""

from collections.abc import Iterable, Mapping

import pandas as pd

from swsa_core.files.table import Table
from swsa_core.metrics import exact_mean
from swsa_core.strategies import combinations, find

# Up to so many tasks of a data set are shown one by one, as cards, panels and contact sheets; more are summarised.
MOST_TASKS = 12
SHEETS_OF_MANY = 3  # contact sheets of a data set with more tasks

TABLE1 = Table(  # selection: of a "model" or a "prompt"
    "table1",
    "selection setting strategy protocol dataset picks n_tasks pick_rate auroc ties synthetic_auroc",
    numbers="picks n_tasks pick_rate auroc ties synthetic_auroc",
)
PICKS = Table(
    "picks",
    "dataset selection task source protocol recommended candidate n_tied synthetic_auroc p_best low high saturated "
    "warning verdict reason alike n_normal n_anomalous setting real_auroc best_auroc right together together_auroc",
    numbers="recommended n_tied synthetic_auroc p_best low high saturated n_normal n_anomalous real_auroc best_auroc right "
    "together_auroc",
)
PICK_COUNTS = Table("pick_counts", "dataset selection setting strategy protocol candidate tasks", numbers="tasks")
RANKING = Table(
    "ranking",
    "dataset selection validation protocol setting n_anomalies candidate auroc n_tasks",
    numbers="auroc n_tasks",
)
STAGE_COSTS = ["stage", "jobs", "seconds", "longest", "peak_mb", "gpu_mb"]


def stack(frames: Mapping[str, pd.DataFrame], column: str = "dataset") -> pd.DataFrame:
    """One table of the tables {name: DataFrame}, with the name in the first column, `column`."""
    return pd.concat([frame.assign(**{column: name}) for name, frame in frames.items()], ignore_index=True).pipe(
        lambda table: table[[column, *table.columns.drop(column)]]
    )


def table1(selection: pd.DataFrame) -> pd.DataFrame:
    """How often a strategy picks the best candidate, and the mean real AUROC of its picks (Table 1).

    selection: rows of selection.csv of all data sets, with a column dataset.
    Returns one row per selection × setting × strategy × protocol × dataset. picks is the number of right picks out of
    n_tasks, a fraction for the expectation of `random`; ties counts the tasks in which several candidates shared the
    highest synthetic AUROC and the order of the config decided. Tasks without real labels make rows of setting "" in which
    picks, pick_rate and auroc are NaN; synthetic_auroc is the mean over the picks of the source.
    """
    # Without real labels nothing is known of what these do or pick.
    untold = [name for name in selection["strategy"].unique() if not find(name).picks_unlabelled]
    rows = selection[(selection["setting"] != "") | ~selection["strategy"].isin(untold)]
    rows = rows.assign(tied=rows["n_tied"] > 1)
    table = rows.groupby(["selection", "setting", "strategy", "protocol", "dataset"], sort=False).agg(
        picks=("right", lambda right: right.astype(float).sum(min_count=1)),
        n_tasks=("task", "nunique"),
        auroc=("real_auroc", "mean"),
        ties=("tied", "sum"),
        synthetic_auroc=("synthetic_auroc", "mean"),
    )
    return table.assign(pick_rate=table["picks"] / table["n_tasks"]).reset_index()[TABLE1.columns]


def picks(
    selection: pd.DataFrame, auroc: pd.DataFrame, protocols: Iterable[str], strategies: Iterable[str]
) -> pd.DataFrame:
    """The model, and the prompt, that each source picks for each task, and which of them is the recommendation.

    selection, auroc: rows of selection.csv and auroc.csv of all data sets, with a column dataset.
    protocols, strategies: names in the order of the config. The first protocol that a source has decides for it. The
    first strategy swsa_<source> whose source exists for the task makes the recommendation (`recommended`).
    A source whose synthetic AUROC is undefined for all candidates picks none and has no row.
    setting, real_auroc, best_auroc, right: of the first setting, "" and NaN where the task has no real labels. together,
    together_auroc: the members of the detector that combines candidates of the task, and its real AUROC; "" without one.
    """
    rows = selection[(selection["source"] != "") & (selection["candidate"] != "")]
    order = pd.DataFrame(
        {
            "task_order": rows.groupby(["dataset", "selection", "task"], sort=False).ngroup(),
            "strategy_order": rows["strategy"].map({name: i for i, name in enumerate(strategies)}),
            "protocol_order": rows["protocol"].map({name: i for i, name in enumerate(protocols)}),
        },
        index=rows.index,
    ).dropna()
    order = order.sort_values(list(order), kind="stable")
    rows = rows.loc[order.index].drop_duplicates(["dataset", "selection", "task", "source"])
    rows = rows.assign(recommended=~rows.duplicated(["dataset", "selection", "task"]))
    synthetic = (auroc["validation"] != "real") & (auroc["n_anomalies"].astype(str) == "all")
    counts = auroc[synthetic].rename(columns={"validation": "source"})
    keys = ["dataset", "selection", "task", "candidate", "source", "protocol"]
    rows = rows.merge(counts[[*keys, "n_normal", "n_anomalous"]], on=keys, how="left", validate="m:1")
    of_task = ["dataset", "selection", "task"]
    together = selection[selection["members"] != ""].drop_duplicates(of_task)  # of the first setting
    together = together.rename(columns={"real_auroc": "together_auroc"})[[*of_task, "members", "together_auroc"]]
    rows = rows.merge(together.rename(columns={"members": "together"}), on=of_task, how="left", suffixes=("_own", ""))
    return rows.assign(together=rows["together"].fillna(""))[PICKS.columns]


def shown(picks: pd.DataFrame) -> pd.DataFrame:
    """The recommended models in `picks` whose tasks get a contact sheet: all of a data set, the first where it has many."""
    of_models = picks[picks["recommended"] & (picks["selection"] == "model")]
    by_dataset = of_models.groupby("dataset")
    many = by_dataset["task"].transform("size") > MOST_TASKS
    return of_models[~many | (by_dataset.cumcount() < SHEETS_OF_MANY)]


def pick_counts(selection: pd.DataFrame) -> pd.DataFrame:
    """The number of tasks in which each strategy picks each candidate: one row per fact, most frequent first in each group."""
    keys = ["dataset", "selection", "setting", "strategy", "protocol"]
    rows = selection[selection["candidate"] != ""]
    counts = rows.groupby([*keys, "candidate"], sort=False)["task"].nunique().rename("tasks").reset_index()
    group = counts.groupby(keys, sort=False).ngroup()
    return (
        counts.assign(group=group)
        .sort_values(["group", "tasks"], ascending=[True, False], kind="stable")[PICK_COUNTS.columns]
        .reset_index(drop=True)
    )


def ranking(auroc: pd.DataFrame) -> pd.DataFrame:
    """AUROC of each candidate, and of the prompt ensemble, averaged over tasks: what Figure 3 shows and Table 2 ranks.

    auroc: rows of auroc.csv of all data sets, with a column dataset.
    """
    keys = RANKING.columns[:-2]
    rows = auroc[~auroc["candidate"].isin(combinations())]
    rows = rows.assign(n_anomalies=rows["n_anomalies"].astype(str))
    return rows.groupby(keys, sort=False).agg(auroc=("auroc", exact_mean), n_tasks=("task", "nunique")).reset_index()


def stage_costs(benchmarks: pd.DataFrame) -> pd.DataFrame:
    """Jobs, seconds of all jobs and of the longest, and peak memory in MB of each stage, in order of appearance; that of a GPU
    is NaN where no job used one.

    benchmarks: Snakemake's benchmark rows with the columns stage and gpu_mb; s in seconds, max_rss in MB ("-" or NA for
    jobs too short to be measured).
    """
    rows = benchmarks.assign(
        s=pd.to_numeric(benchmarks["s"], errors="coerce"), max_rss=pd.to_numeric(benchmarks["max_rss"], errors="coerce")
    )
    return (
        rows.groupby("stage", sort=False)
        .agg(
            jobs=("s", "size"),
            seconds=("s", "sum"),
            longest=("s", "max"),
            peak_mb=("max_rss", "max"),
            gpu_mb=("gpu_mb", "max"),
        )
        .reset_index()[STAGE_COSTS]
    )
