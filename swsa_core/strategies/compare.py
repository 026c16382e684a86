"""The strategies: what each one sees, where it comes from, and how sure its success is over the tasks of a data set.

`swsa_core.strategies.select` picks; the strategies that judge by test images are in `swsa_core.evaluation.consensus`.
Literature: docs/strategies.md.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from swsa_core.basics.seeding import rng
from swsa_core.basics.wording import words
from swsa_core.evaluation import consensus
from swsa_core.metrics import exact_mean

SUPPORT = "support only"
TRANSDUCTIVE = "transductive, unlabelled test scores"
LABELS = "test labels"

LEVEL = 0.95  # of the intervals

COLUMNS = (
    ["selection", "dataset", "setting", "strategy", "protocol", "sees", "n_tasks"]  # selection: "model" or "prompt"
    + ["pick_rate", "pick_rate_low", "pick_rate_high", "regret", "regret_low", "regret_high"]
)  # fmt: skip


def swsa_combined_quality(synthetic):
    """Minus the mean rank of a candidate over the sources, (c,): Borda's rank aggregation (Goswami et al. 2023, §4).

    synthetic: (sources, c) synthetic AUROCs of one task; rank 1 the highest, ties share a rank. An undefined AUROC gives
    no rank; NaN where a candidate has none at all.
    """
    return -_means(rankdata(-np.asarray(synthetic, dtype=float), axis=1, nan_policy="omit"))


def fixed_best_quality(synthetic):
    """Mean of a candidate's synthetic AUROCs over the tasks of a data set, (c,): one pick for all of them.

    synthetic: (tasks, c) synthetic AUROCs of one source. NaN where a candidate has none at all.
    """
    return _means(np.asarray(synthetic, dtype=float))


class Strategy(NamedTuple):
    """A way to pick a candidate.

    quality: function to the quality (c,) of each candidate, of (n, c) scores where it sees test scores and of
    synthetic AUROCs otherwise; that of a combination of candidates gives the scores (n,) of the detector. None for
    what `swsa_core.strategies.select` does by itself. sees: at most the support sets, the test images' scores, or their labels.
    """

    quality: Callable | None
    sees: str
    description: str
    reference: str


REGISTRY = {
    "largest_model": Strategy(None, SUPPORT, "the backbone with the most parameters", "Fung et al. 2023"),
    "default_prompt": Strategy(None, SUPPORT, "the first pair of prompts", "Fung et al. 2023"),
    "prompt_ensemble": Strategy(None, SUPPORT, "the mean text embeddings of all prompts", "Fung et al. 2023"),
    "random": Strategy(None, SUPPORT, "the expectation of a uniform draw", ""),
    "swsa_<source>": Strategy(None, SUPPORT, "the highest synthetic AUROC", "Fung et al. 2023"),
    "swsa_combined": Strategy(
        swsa_combined_quality, SUPPORT, "the best mean rank of synthetic AUROC over the sources", "Goswami et al. 2023"
    ),
    "fixed_best_<source>": Strategy(
        fixed_best_quality, SUPPORT, "the highest synthetic AUROC averaged over all tasks of the data set", ""
    ),
    "rank_ensemble": Strategy(
        consensus.rank_ensemble, TRANSDUCTIVE, "all candidates: the mean of their ranks", "Rayana and Akoglu 2016"
    ),
    "model_centrality": Strategy(
        consensus.model_centrality_quality,
        TRANSDUCTIVE,
        "the highest mean Kendall τ with the others",
        "Lin et al. 2020",
    ),
    "hits": Strategy(
        consensus.hits_quality, TRANSDUCTIVE, "the best hub of the graph candidates → images", "Ma et al. 2023"
    ),
    "hits_anomalous": Strategy(
        consensus.hits_anomalous_quality, TRANSDUCTIVE, "hits, the most anomalous image of rank 1", "Ma et al. 2023"
    ),
    "xie_beni": Strategy(
        consensus.xie_beni_quality, TRANSDUCTIVE, "scores in the two clearest clusters", "Nguyen et al. 2016"
    ),
    "best": Strategy(None, LABELS, "the upper bound of any pick", ""),
}


def find(strategy):
    """The `Strategy` of a name of the config, e.g. swsa_cutpaste. Raises KeyError for an unknown one."""
    family = next((name for name in ("swsa", "fixed_best") if strategy.startswith(f"{name}_")), None)
    return REGISTRY[strategy if strategy in REGISTRY or family is None else f"{family}_<source>"]


def bootstrap_over_tasks(values, generator, resamples=1000, level=LEVEL):
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


def strategies(selection, seed, resamples=1000, level=LEVEL):
    """Table with `COLUMNS`: the share of right picks and the mean regret of each strategy, with intervals over tasks.

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
                pick_rate=_means(right),
                pick_rate_low=right_low,
                pick_rate_high=right_high,
                regret=_means(regret),
                regret_low=regret_low,
                regret_high=regret_high,
            )[COLUMNS]
        )
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)


def markdown(table):
    """The table of `strategies` as Markdown: a section for each selection, data set and setting."""
    told = f"Means over the tasks; in brackets the {100 * LEVEL:.0f} % interval of a bootstrap over tasks."
    blocks = ["# Strategies", told]
    for (selection, dataset, setting), part in table.groupby(["selection", "dataset", "setting"], sort=False):
        lines = ["| strategy | protocol | sees | tasks | right picks | regret |", "|---|---|---|---:|---|---|"]
        for row in part.itertuples():
            figures = [_interval(row, "pick_rate"), _interval(row, "regret")]
            cells = [f"`{row.strategy}`", row.protocol, row.sees, str(row.n_tasks), *figures]
            lines.append(f"| {' | '.join(cells)} |")
        blocks += [f"## {dataset}, {selection} selection, {words(setting)}", "\n".join(lines)]
    if table.empty:
        blocks.append("No task has labelled test images.")
    return "\n\n".join(blocks) + "\n"


def _interval(row, name):
    value, low, high = (getattr(row, key) for key in (name, f"{name}_low", f"{name}_high"))
    if np.isnan(value):
        return "undefined"
    return f"{value:.3f}" if np.isnan(low) else f"{value:.3f} ({low:.3f} to {high:.3f})"


def _means(values):
    """`exact_mean` of each column, (c,); values: (m, c)."""
    return np.array([exact_mean(column) for column in values.T])
