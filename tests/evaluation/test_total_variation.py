"""Total variation of the tasks of a data set: its sets, its ceiling, and that job order changes nothing."""

import numpy as np
import pandas as pd
import pytest
from scored import SPEC, study

from swsa_core.basics.seeding import rng
from swsa_core.detectors.scores import Features
from swsa_core.evaluation import evaluate
from swsa_core.evaluation.closest import Closest, closest_in_table
from swsa_core.evaluation.total_variation import TOTAL_VARIATION, total_variation
from swsa_core.metrics import total_variation as of_two_sets

SETTINGS = ["one_vs_closest", "one_vs_rest"]


@pytest.fixture(scope="module")
def made():
    return study(sizes=(8, 10, 9), n_test=12)


@pytest.fixture(scope="module")
def real(made):
    auroc = evaluate.evaluate({"vit": made.scores(), "other": study(1, (8, 10, 9), n_test=12).scores()},
                              made.index, SPEC, protocols=["paper"], settings=SETTINGS)  # fmt: skip
    return closest_in_table(auroc, made.index, SPEC, "vit", set(made.images.image_ids))


def table_of(made, real, **changes):
    given = {"supports": made.supports, "images": made.images, "anomalies": made.anomalies, "real": real}
    return total_variation(**given | {"space": "vit", "seed": 3, "dataset": "d"} | changes)


@pytest.fixture(scope="module")
def table(made, real):
    return table_of(made, real)


def test_there_is_a_row_for_each_task_source_and_support(made, table):
    assert list(table.columns) == TOTAL_VARIATION.columns
    assert len(table) == 3 * 3 * 2 and not table.duplicated(["task", "source", "support"]).any()
    sizes = {support["task"]: len(support["seed_ids"] + support["held_out_ids"]) for support in made.supports}
    whole = table[table["support"] == "all"]
    assert whole["n_support"].tolist() == whole["task"].map(sizes).tolist()
    assert set(table.loc[table["support"] == "seeds", "n_support"]) == {6}
    assert (table["n_real"] == 12).all()
    assert table.groupby("source")["n_synthetic"].first().to_dict() == {"one": 7, "pool": 11, "two": 9}


def test_no_value_exceeds_its_ceiling(table):
    assert (table["total_variation"] >= 0).all()
    assert (table["total_variation"] <= table["ceiling"] + 1e-12).all()
    share = table["n_support"] / (table["n_support"] + table[["n_real", "n_synthetic"]].max(axis=1))
    assert table["ceiling"].to_numpy() == pytest.approx(2 * (1 - share).to_numpy())


def test_the_ceiling_is_reached_by_anomalies_far_apart(made, real):
    features, ids = made.images
    anomalies = {name: one._replace(features=one.features - 1000) for name, one in made.anomalies.items()}
    moved = features + np.where(np.isin(ids, real["a"].image_ids), 1000, 0)[:, None].astype(np.float32)
    table = table_of(made, {"a": real["a"]}, images=Features(moved, ids), anomalies=anomalies)
    assert table["total_variation"].to_numpy() == pytest.approx(table["ceiling"].to_numpy())


def test_the_sets_are_those_of_appendix_b(made, real, table):
    row = table.query("task == 'b' and source == 'two' and support == 'all'").iloc[0]
    support = made.features(made.images, made.supports[1]["seed_ids"] + made.supports[1]["held_out_ids"])
    features, tasks, _ = made.anomalies["two"]
    one = np.concatenate([support, made.features(made.images, real["b"].image_ids)])
    other = np.concatenate([support, features[tasks == "b"]])
    drawn = int(rng(3, "d", "b", "two", "total_variation").integers(2**32))
    assert row["total_variation"] == of_two_sets(one, other, seed=drawn)
    assert row["n_clusters"] == round(np.sqrt(len(one) + len(other)))


def test_a_task_has_the_same_value_alone_and_among_others(made, real, table):
    alone = table_of(made, {"c": real["c"]}, supports=made.supports[::-1])
    pd.testing.assert_frame_equal(alone, table[table["task"] == "c"].reset_index(drop=True))
    assert not table_of(made, {"c": real["c"]}, seed=4)["total_variation"].equals(alone["total_variation"])


def test_where_nothing_is_held_out_seeds_and_support_are_the_same():
    few = study(sizes=(6, 6), n_seeds=6)
    table = table_of(few, {"a": Closest("b", [f"b/test{i}" for i in range(9)])})
    of_seeds, of_all = (table[table["support"] == part].drop(columns="support") for part in ("seeds", "all"))
    assert of_seeds.to_numpy().tolist() == of_all.to_numpy().tolist()


def test_tasks_without_real_anomalies_have_no_rows(made):
    table = table_of(made, {})
    assert list(table.columns) == TOTAL_VARIATION.columns and table.empty
