"""The tables of a study: what is counted, what is unknown, and which pick becomes the recommendation."""

import numpy as np
import pandas as pd
import pytest
from studies import CANDIDATES, PROTOCOLS, SETTINGS, SOURCES, study

from swsa_core.report import tables
from swsa_core.strategies.select import select


@pytest.fixture(scope="module")
def made():
    return study({"digits": (["0", "1", "2", "3", "4"], True), "mine": (["mine"], False)})


@pytest.fixture(scope="module")
def picks(made):
    return tables.picks(made["selection"], made["auroc"], made["protocols"], made["strategies"])


def test_stacked_tables_name_their_data_set_first():
    stacked = tables.stack({"a": pd.DataFrame({"x": [1, 2]}), "b": pd.DataFrame({"x": [3]})})
    assert list(stacked.columns) == ["dataset", "x"]
    assert stacked["dataset"].tolist() == ["a", "a", "b"]


def test_table1_counts_each_right_pick_once(made):
    table = tables.table1(made["selection"])
    assert list(table.columns) == tables.TABLE1.columns
    selection = made["selection"]
    for row in table[table["setting"] != ""].itertuples():
        mine = selection[
            (selection["dataset"] == row.dataset)
            & (selection["strategy"] == row.strategy)
            & (selection["protocol"] == row.protocol)
            & (selection["setting"] == row.setting)
        ]
        assert row.n_tasks == len(mine) == 5
        assert row.picks == pytest.approx(mine["right"].sum())
        assert row.pick_rate == pytest.approx(row.picks / row.n_tasks)
        assert row.auroc == pytest.approx(mine["real_auroc"].mean())
        assert row.ties == (mine["n_tied"] > 1).sum()
    assert len(table[table["dataset"] == "digits"]) == len(SETTINGS) * (3 + len(SOURCES) * len(PROTOCOLS))


def test_random_has_the_expected_pick_rate(made):
    table = tables.table1(made["selection"])
    rates = table.loc[table["strategy"] == "random", "pick_rate"]
    assert rates.to_numpy() == pytest.approx(1 / len(CANDIDATES))


def test_no_strategy_beats_the_best(made):
    table = tables.table1(made["selection"]).query("setting != ''")
    best = table[table["strategy"] == "best"].set_index("setting")["auroc"]
    assert (table["auroc"] <= table["setting"].map(best) + 1e-12).all()


def test_without_real_labels_nothing_real_is_claimed(made):
    rows = tables.table1(made["selection"]).query("dataset == 'mine'")
    assert rows[["picks", "pick_rate", "auroc"]].isna().all(axis=None)
    assert set(rows["strategy"]) == {"largest_model", "swsa_cutpaste", "swsa_procedural"}
    assert rows.loc[rows["strategy"] != "largest_model", "synthetic_auroc"].notna().all()


def test_an_undefined_outcome_is_not_a_success():
    selection = study({"digits": (["0", "1"], True)})["selection"]
    selection.loc[selection["task"] == "1", "right"] = np.nan
    table = tables.table1(selection)
    assert (table["n_tasks"] == 2).all()
    assert (table["pick_rate"] <= 0.5).all()


def test_each_task_has_one_recommendation_by_the_first_strategy_and_protocol(made, picks):
    assert list(picks.columns) == tables.PICKS.columns
    recommended = picks[picks["recommended"]]
    assert recommended["task"].tolist() == ["0", "1", "2", "3", "4", "mine"]
    assert set(recommended["source"]) == {"cutpaste"}
    assert set(picks["protocol"]) == {"leave_one_out"}
    assert len(picks) == 6 * len(SOURCES)
    assert (picks["n_anomalous"] == 100).all() and (picks["n_normal"] == 20).all()
    turned = tables.picks(
        made["selection"], made["auroc"], ["paper", "paired"], ["random", "swsa_procedural", "swsa_cutpaste"]
    )
    assert set(turned.loc[turned["recommended"], "source"]) == {"procedural"}
    assert set(turned["protocol"]) == {"paper"}


def test_a_source_without_the_first_protocol_or_absent_from_a_task_gives_way(made):
    selection = made["selection"]
    lost = (selection["source"] == "cutpaste") & (selection["task"] == "0")
    lost |= (selection["source"] == "procedural") & (selection["protocol"] == "leave_one_out")
    picks = tables.picks(selection[~lost], made["auroc"], PROTOCOLS, made["strategies"])
    assert picks.query("task == '0' and recommended")["source"].tolist() == ["procedural"]
    assert set(picks.query("source == 'procedural'")["protocol"]) == {"paired"}
    assert set(picks.query("task != '0' and recommended")["source"]) == {"cutpaste"}


def test_the_order_of_rows_in_the_files_does_not_choose(made, picks):
    shuffled = made["selection"].sample(frac=1, random_state=0)
    again = tables.picks(shuffled, made["auroc"], PROTOCOLS, made["strategies"])
    keys = ["dataset", "task", "source"]
    columns = ["recommended", "protocol", "candidate", "p_best"]
    pd.testing.assert_frame_equal(
        again.set_index(keys).sort_index()[columns], picks.set_index(keys).sort_index()[columns]
    )


def test_the_first_tasks_of_each_data_set_are_shown():
    made = study({"a": ([f"{i}" for i in range(15)], False), "b": (["0"], False)}, sources=["cutpaste"])
    shown = tables.shown(tables.picks(made["selection"], made["auroc"], made["protocols"], made["strategies"]))
    assert shown["task"].tolist() == [*map(str, range(tables.SHEETS_OF_MANY)), "0"]
    assert shown["recommended"].all()


def test_pick_counts_add_up_to_the_tasks(made):
    counts = tables.pick_counts(made["selection"])
    assert list(counts.columns) == tables.PICK_COUNTS.columns
    totals = counts.groupby(["dataset", "setting", "strategy", "protocol"])["tasks"].sum()
    assert set(totals["digits"]) == {5} and set(totals["mine"]) == {1}


def test_ranking_is_the_mean_over_tasks(made):
    ranking = tables.ranking(made["auroc"])
    assert list(ranking.columns) == tables.RANKING.columns
    real = made["auroc"].query("dataset == 'digits' and validation == 'real' and setting == 'one_vs_rest'")
    expected = real.groupby("candidate")["auroc"].mean()
    got = ranking.query("dataset == 'digits' and validation == 'real' and setting == 'one_vs_rest'")
    assert got.set_index("candidate")["auroc"].to_dict() == pytest.approx(expected.to_dict())
    assert set(ranking["n_anomalies"]) == {"all", "10", "5"}
    assert not ranking.duplicated(tables.RANKING.columns[:-2]).any()


def test_stage_costs_take_short_jobs_that_were_not_measured():
    benchmarks = pd.DataFrame(
        {
            "stage": ["embed", "embed", "select"],
            "s": [1.5, "2.5", 0.1],
            "max_rss": ["100", 300.0, "-"],
            "gpu_mb": [np.nan, 5000.0, np.nan],
        }
    )
    costs = tables.stage_costs(benchmarks)
    assert costs.values.tolist()[0] == ["embed", 2, 4.0, 2.5, 300.0, 5000.0]
    assert np.isnan(costs["gpu_mb"].iloc[1])
    assert costs["stage"].tolist() == ["embed", "select"] and np.isnan(costs["peak_mb"].iloc[1])


def test_the_tables_survive_their_files(made, picks, tmp_path):
    tables.PICKS.write(tmp_path / "picks.csv", picks)
    again = tables.PICKS.read(tmp_path / "picks.csv")
    pd.testing.assert_frame_equal(again, picks, check_dtype=False)


def test_equal_aurocs_in_another_order_of_the_tasks_rank_alike():
    values = {"a": (0.1, 0.2, 0.9), "b": (0.9, 0.2, 0.1)}
    facts = {"dataset": "d", "selection": "model", "validation": "real", "protocol": "", "setting": "one_vs_rest"}
    rows = [
        facts | {"n_anomalies": "all", "candidate": name, "task": task, "auroc": value}
        for name, aurocs in values.items()
        for task, value in zip("xyz", aurocs, strict=True)
    ]
    assert tables.ranking(pd.DataFrame(rows))["auroc"].nunique() == 1


def test_a_ready_made_matrix_of_aurocs_gives_the_pick_rates_computed_by_hand():
    candidates = pd.DataFrame({"candidate": ["large", "middle", "small"], "n_parameters": [3, 2, 1]})
    matrix = {  # task: synthetic, real AUROC of the three
        "t": ([0.9, 0.8, 0.7], [0.6, 0.7, 0.5]),
        "u": ([0.8, 0.8, 0.6], [0.9, 0.9, 0.8]),  # ties on both sides
        "v": ([0.5, 0.6, 0.9], [0.4, 0.5, 0.8]),
        "w": ([0.7, 0.9, 0.9], [0.5, 0.6, 0.9]),  # the tie goes to the wrong one, which is declared first
    }
    auroc = pd.DataFrame(
        [
            (task, name, validation, protocol, setting, "all", value)
            for task, both in matrix.items()
            for (validation, protocol, setting), values in zip(
                [("cutpaste", "paper", ""), ("real", "", "one_vs_rest")], both, strict=True
            )
            for name, value in zip(candidates.candidate, values, strict=True)
        ],
        columns=["task", "candidate", "validation", "protocol", "setting", "n_anomalies", "auroc"],
    )
    confidence = pd.DataFrame(
        columns=["task", "candidate", "validation", "protocol", "p_best", "p_near", "low", "high"]
    )
    strategies = ["largest_model", "random", "swsa_cutpaste", "best"]
    picks = select(auroc, confidence, candidates, strategies, ["paper"]).assign(selection="model", dataset="d")
    table = tables.table1(picks).set_index("strategy")
    expected = {
        "largest_model": (1, 4, 1 / 4, 0.6),
        "random": (5 / 3, 4, 5 / 12, 0.675),
        "swsa_cutpaste": (2, 4, 2 / 4, 0.725),
        "best": (4, 4, 1, 0.825),
    }
    for strategy, row in expected.items():
        assert table.loc[strategy, ["picks", "n_tasks", "pick_rate", "auroc"]].tolist() == pytest.approx(row)
    assert table.loc["swsa_cutpaste", "ties"] == 2
