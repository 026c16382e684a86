"""The table over tasks: means, intervals, and what each strategy sees."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap

from swsa_core.basics.seeding import rng
from swsa_core.strategies.compare import STRATEGIES_TABLE, bootstrap_over_tasks, markdown, strategies
from swsa_core.strategies.strategy import LABELS, SUPPORT, TRANSDUCTIVE


def selection_table(right, regret, strategy="hits", **columns):
    """Rows of one strategy, a task each."""
    known = {"selection": "model", "dataset": "flowers", "setting": "one_vs_rest", "protocol": ""} | columns
    tasks = [f"task{t}" for t in range(len(right))]
    return pd.DataFrame({"task": tasks, "strategy": strategy, "right": right, "regret": regret}).assign(**known)


def test_interval_agrees_with_scipy():
    values = np.random.default_rng(0).random(30)
    low, high = bootstrap_over_tasks(values[:, None], rng(0, "a"), resamples=20000)
    expected = bootstrap((values,), np.mean, n_resamples=20000, method="percentile", rng=1).confidence_interval
    assert [low[0], high[0]] == pytest.approx(list(expected), abs=0.005)
    assert bootstrap_over_tasks(values[:, None], rng(0, "a"), level=0.5)[0] > low


def test_interval_of_the_binomial():
    """The mean of a resample of n right or wrong picks is a binomial share."""
    values = np.repeat([1.0, 0.0], [7, 13])[:, None]
    low, high = bootstrap_over_tasks(values, rng(3, "a"), resamples=50000)
    assert (low[0], high[0]) == (0.15, 0.55)  # quantiles 3 and 11 of B(20, 0.35)


def test_interval_depends_on_names_only_and_is_shared():
    values = np.random.default_rng(0).random((12, 1))
    one, same, other = (bootstrap_over_tasks(values, rng(0, name)) for name in "aab")
    assert one == same != other
    low, high = bootstrap_over_tasks(np.hstack([values, values + 1, values]), rng(0, "a"))
    np.testing.assert_allclose(low, [one[0][0], one[0][0] + 1, one[0][0]])
    np.testing.assert_allclose(high, [one[1][0], one[1][0] + 1, one[1][0]])


def test_interval_without_a_spread_and_without_values():
    nan = np.nan
    values = np.array([[0.5, 0.5, nan, 1], [0.5, nan, nan, nan], [0.5, nan, nan, 1]])
    low, high = bootstrap_over_tasks(values, rng(0, "a"))
    np.testing.assert_allclose(low, [0.5, nan, nan, 1])
    np.testing.assert_allclose(high, [0.5, nan, nan, 1])


def test_table_by_hand():
    table = strategies(
        pd.concat([
            selection_table([1, 0, 0, 1], [0, 0.2, np.nan, 0]),
            selection_table([1, 1, 1, 1], [0, 0, 0, 0], "best"),
            selection_table([1, 0, 0, 0], [0, 0.1, 0.1, 0.2], "swsa_cutpaste", protocol="paper"),
            selection_table([1, 1], [-0.1, -0.1], "rank_ensemble", setting="one_vs_one"),
            selection_table([np.nan], [np.nan], "hits", dataset="mine", setting=""),
        ]),
        seed=0,
    )  # fmt: skip
    assert list(table.columns) == STRATEGIES_TABLE.columns
    assert table.strategy.tolist() == ["hits", "best", "swsa_cutpaste", "rank_ensemble"]
    assert table.sees.tolist() == [TRANSDUCTIVE, LABELS, SUPPORT, TRANSDUCTIVE]
    assert table.n_tasks.tolist() == [4, 4, 4, 2]
    assert table.pick_rate.tolist() == [0.5, 1, 0.25, 1]
    np.testing.assert_allclose(table.regret, [0.2 / 3, 0, 0.1, -0.1])
    assert (table.pick_rate_low <= table.pick_rate).all() and (table.pick_rate <= table.pick_rate_high).all()
    assert table.loc[1, ["pick_rate_low", "pick_rate_high", "regret_low", "regret_high"]].tolist() == [1, 1, 0, 0]
    assert (table.loc[0, "pick_rate_low"], table.loc[0, "pick_rate_high"]) == (0, 1)


def test_tables_of_other_data_sets_and_the_order_of_rows_change_nothing():
    generator = np.random.default_rng(0)
    parts = [
        selection_table(generator.integers(0, 2, 9).astype(float), generator.random(9), name, dataset=dataset)
        for dataset in ("cub", "visa")
        for name in ("hits", "random")
    ]
    both, cub = strategies(pd.concat(parts), seed=1), strategies(pd.concat(parts[:2]), seed=1)
    pd.testing.assert_frame_equal(both[both.dataset == "cub"], cub)
    assert not strategies(pd.concat(parts[:2]), seed=2).equals(cub)


def test_without_real_labels_the_table_is_empty():
    table = strategies(selection_table([np.nan] * 2, [np.nan] * 2, setting=""), seed=0)
    assert list(table.columns) == STRATEGIES_TABLE.columns and table.empty
    assert "No task has labelled test images." in markdown(table)


def test_markdown():
    table = strategies(
        pd.concat([selection_table([1, 0], [0, 0.5]), selection_table([1], [np.nan], dataset="bottle")]), seed=0
    )
    text = markdown(table)
    assert "## flowers, model selection, one-vs-rest\n" in text
    assert f"| `hits` |  | {TRANSDUCTIVE} | 2 | 0.500 (0.000 to 1.000) | 0.250 (0.000 to 0.500) |\n" in text
    assert f"| `hits` |  | {TRANSDUCTIVE} | 1 | 1.000 | undefined |\n" in text
