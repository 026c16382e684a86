"""The selection with fewer normal images: which images are drawn, and what is told of each size."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import scored

from swsa_core.detectors import HEADS
from swsa_core.detectors.scores import banks_of
from swsa_core.detectors.subsets import redrawn
from swsa_core.strategies.support_curve import SUPPORT_CURVE, heard, sizes_of, subset, subsets, support_curve

KNN = {"knn": {"k": 2, "distance": "squared_l2", "l2_normalize": False}}
DRAWS = 3
CANDIDATES = ["useless", "good"]


SOURCES = {"one": "cutpaste", "two": "diffusion", "pool": "procedural"}


def studies():
    """Two made-up candidates, of the second of which all anomalies lie far away."""
    useless, good = (
        replace(one, anomalies={SOURCES[name]: part for name, part in one.anomalies.items()}, reconstructions={})
        for one in (scored.study(seed=seed, sizes=(14, 16), n_seeds=8) for seed in (0, 1))
    )
    far = {name: one._replace(features=one.features + 50) for name, one in good.anomalies.items()}
    return useless, replace(good, anomalies=far)


@pytest.fixture(scope="module")
def curve():
    made = studies()
    functions = {}
    for name, one in zip(CANDIDATES, made, strict=True):
        given = {
            "supports": one.supports, "images": one.images, "prepared": one.prepared, "anomalies": one.anomalies
        }  # fmt: skip
        functions[name] = redrawn(HEADS["knn"], one.scores(k=2), given, KNN, "made up")
    candidates = pd.DataFrame({"candidate": CANDIDATES, "n_parameters": [2, 1], "backbone": CANDIDATES})
    run = partial(support_curve, functions, made[0].supports, candidates, dataset="made up", seed=0, fewest=4)
    with pytest.MonkeyPatch.context() as few:
        few.setattr("swsa_core.strategies.support_curve.DRAWS", DRAWS)
        few.setattr("swsa_core.strategies.support_curve.SIZES", 3)
        return run(["swsa", "swsa_ensemble"]), run(["swsa_ensemble", "swsa"]), run(["largest_model", "swsa"])


def test_the_selection_of_every_size_is_told(curve):
    single, _, _ = curve
    assert list(single.columns) == SUPPORT_CURVE.columns
    for task, n in (("a", 14), ("b", 16)):
        rows = single[single["task"] == task]
        counts = rows.groupby("n")["draw"].agg(["size", "nunique"])
        assert counts.index[-1] == n and counts["size"].iloc[-1] == 1 and (counts["size"].iloc[:-1] >= DRAWS).all()
        assert (counts["size"] == counts["nunique"]).all()
    assert set(single["pick"]) == {"good"} and (single["auroc"] == 1).all() and (single["loss"] == 0).all()
    assert set(single["verdict"]) <= {"clear", "close call", "no basis"}


def test_an_ensemble_is_told_by_its_members_with_the_verdict_on_the_best_single_one(curve):
    single, together, first_is_no_recommendation = curve
    assert set(together["pick"]) <= {"good", "useless; good"}
    assert together["verdict"].tolist() == single["verdict"].tolist()
    pd.testing.assert_frame_equal(first_is_no_recommendation, single)


def test_sizes_grow_by_one_factor_up_to_all_images():
    assert sizes_of(60, 5) == [10, 16, 24, 38, 60]
    assert sizes_of(12, 8)[0] == 8 and sizes_of(3, 5) == [3] * 5
    assert all(np.diff(sizes_of(n, 5)).min() >= 0 for n in range(3, 200))


def test_subsets_are_drawn_from_seeds_and_held_out_images():
    support = {"task": "t", "seed_ids": [f"s{i}" for i in range(20)], "held_out_ids": [f"h{i}" for i in range(40)]}
    for n in (10, 38, 60):
        drawn = subset(support, n, np.random.default_rng(n))
        assert set(drawn["seed_ids"]) <= set(support["seed_ids"])
        assert set(drawn["held_out_ids"]) <= set(support["held_out_ids"])
        assert len(banks_of([drawn])["t"]) == len(set(banks_of([drawn])["t"])) == n
    assert len(subset(support, 10, np.random.default_rng(0))["seed_ids"]) == 8
    few = support | {"held_out_ids": ["h0"]}
    assert len(subset(few, 15, np.random.default_rng(0))["seed_ids"]) == 14
    every = [[one["seed_ids"] for one in drawn] for drawn in subsets([support], "d", 0, 5)]
    assert every == [[one["seed_ids"] for one in drawn] for drawn in subsets([support], "d", 0, 5)]
    assert every != [[one["seed_ids"] for one in drawn] for drawn in subsets([support], "d", 1, 5)]


def test_a_source_without_anomalies_of_some_task_is_not_heard():
    scores = scored.study().scores()
    only_a = {key: values[scores.anomalies["two"]["task"] == 0] for key, values in scores.anomalies["two"].items()}
    found = heard({"x": replace(scores, anomalies=scores.anomalies | {"two": only_a})})
    assert set(found["x"].anomalies) == {"one", "pool"}
