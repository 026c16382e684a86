"""How good the picks of each strategy are over the tasks of a data set, and how sure that is."""

import numpy as np
import pandas as pd

from swsa_core.basics.seeding import rng
from swsa_core.basics.wording import with_interval
from swsa_core.files.table import Table
from swsa_core.strategies import find
from swsa_core.strategies.evidence import means
from swsa_core.strategies.wording import words

LEVEL = 0.95  # of the intervals

# selection: "model" or "prompt"
STRATEGIES_TABLE = Table(
    "strategies",
    "selection dataset setting strategy protocol sees n_tasks pick_rate pick_rate_low pick_rate_high regret regret_low "
    "regret_high",
    numbers="n_tasks pick_rate pick_rate_low pick_rate_high regret regret_low regret_high",
)


def bootstrap_over_tasks(
    values: np.ndarray, generator: np.random.Generator, resamples: int = 1000, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of the mean over tasks, (low, high), each (s,): the tasks are drawn with replacement.

    values: (tasks, s) of s strategies, which share the draws; NaN for a task that a strategy leaves out. NaN where fewer
    than two tasks have a value: one task says nothing about others.
    """
    values = np.asarray(values, dtype=float)
    known = np.isfinite(values)
    n = len(values)
    counts = generator.multinomial(n, np.full(n, 1 / n), size=resamples)  # (resamples, tasks)
    drawn = counts @ known.astype(float)  # (resamples, s)
    means = np.divide(counts @ np.where(known, values, 0), drawn, out=np.full(drawn.shape, np.nan), where=drawn > 0)
    enough = known.sum(axis=0) >= 2
    bounds = np.nanquantile(np.where(enough, means, 0), [(1 - level) / 2, (1 + level) / 2], axis=0)
    low, high = np.where(enough, bounds, np.nan)
    return low, high


def strategies(selection: pd.DataFrame, seed: int, resamples: int = 1000, level: float = LEVEL) -> pd.DataFrame:
    """The share of right picks and the mean regret of each strategy, with intervals over tasks.

    Returns a table with the columns of `STRATEGIES_TABLE`.

    selection: rows of selection.csv of all data sets, with a column dataset; tasks without real labels are left out.
    Regret is the best candidate's real AUROC minus the pick's, negative where a combination beats every candidate; a task
    in which it is undefined counts as a wrong pick and not towards the regret.
    """
    tables = []
    judged = selection[(selection["setting"] != "") & selection["right"].notna()]
    for keys, part in judged.groupby(["selection", "dataset", "setting"], sort=False):
        columns = list(dict.fromkeys(zip(part["strategy"], part["protocol"], strict=True)))
        wide = part.pivot(index="task", columns=["strategy", "protocol"], values=["right", "regret"])
        right, regret = (wide[name][columns].to_numpy(dtype=float) for name in ("right", "regret"))  # (tasks, s)
        generator = rng(seed, keys[1], keys[0], "strategies")
        low, high = bootstrap_over_tasks(np.hstack([right, regret]), generator, resamples, level)
        (right_low, regret_low), (right_high, regret_high) = np.split(low, 2), np.split(high, 2)
        tables.append(
            pd.DataFrame(columns, columns=["strategy", "protocol"]).assign(
                **dict(zip(("selection", "dataset", "setting"), keys, strict=True)),
                sees=[find(strategy).sees for strategy, _ in columns],
                n_tasks=np.isfinite(right).sum(axis=0),
                pick_rate=means(right),
                pick_rate_low=right_low,
                pick_rate_high=right_high,
                regret=means(regret),
                regret_low=regret_low,
                regret_high=regret_high,
            )[STRATEGIES_TABLE.columns]
        )
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=STRATEGIES_TABLE.columns)


def markdown(table: pd.DataFrame) -> str:
    """The table of `strategies` as Markdown: a section for each selection, data set and setting."""
    told = f"Means over the tasks; in brackets the {100 * LEVEL:.0f} % interval of a bootstrap over tasks."
    blocks = ["# Strategies", told]
    for (selection, dataset, setting), part in table.groupby(["selection", "dataset", "setting"], sort=False):
        lines = ["| strategy | protocol | sees | tasks | right picks | regret |", "|---|---|---|---:|---|---|"]
        for row in part.itertuples():
            figures = [
                with_interval(row.pick_rate, row.pick_rate_low, row.pick_rate_high),
                with_interval(row.regret, row.regret_low, row.regret_high),
            ]
            cells = [f"`{row.strategy}`", row.protocol, row.sees, str(row.n_tasks), *figures]
            lines.append(f"| {' | '.join(cells)} |")
        blocks += [f"## {dataset}, {selection} selection, {words(setting)}", "\n".join(lines)]
    if table.empty:
        blocks.append("No task has labelled test images.")
    return "\n\n".join(blocks) + "\n"
