"""What SWSA recommends: the leading source, the best candidate by it, and the few that are scored together."""

import numpy as np
import pandas as pd
import pytest
import scored

from swsa_core.detectors.cost import of_candidates, together_ms
from swsa_core.detectors.together import scale_of, together
from swsa_core.evaluation.evaluate import evaluate
from swsa_core.evaluation.known import Budget, Known
from swsa_core.evaluation.protocols import compare, normal_scores
from swsa_core.metrics import auroc
from swsa_core.strategies import STRATEGIES, find, select
from swsa_core.strategies.leading import leading_source
from swsa_core.strategies.swsa_ensemble import combine, highest, members

CLEAR = np.array([[0.9, 0.8, 0.7, 0.6, 0.5]])
SATURATED = np.ones((1, 5))


def test_the_images_of_other_tasks_lead_and_else_the_first_source():
    assert leading_source({"cutpaste": CLEAR, "other_tasks": CLEAR, "defects": CLEAR}) == "other_tasks"
    assert leading_source({"cutpaste": CLEAR, "defects": CLEAR}) == "cutpaste"


def test_a_source_that_cannot_tell_candidates_apart_is_passed_over_unless_all_are():
    assert leading_source({"other_tasks": SATURATED, "cutpaste": CLEAR}) == "cutpaste"
    assert leading_source({"cutpaste": SATURATED, "other_tasks": SATURATED}) == "other_tasks"
    # by the mean over the tasks
    assert leading_source({"other_tasks": np.array([[1.0, 1, 0.5], [1, 0.9, 0.5]]), "cutpaste": CLEAR}) == "other_tasks"
    assert leading_source({"other_tasks": np.array([[1.0, 1, 0.5], [1, 0.98, 0.5]]), "cutpaste": CLEAR}) == "cutpaste"


def test_candidates_without_auroc_do_not_make_a_source_less_saturated():
    trained = np.array([[0.995, 0.999, *[np.nan] * 8]])
    assert leading_source({"cutpaste": trained, "defects": CLEAR}) == "defects"


def test_members_are_the_best_over_the_tasks_each_of_another_backbone():
    synthetic = {"cutpaste": np.array([[0.9] * 6, [0.9, 0.95, 0.8, 0.98, 0.7, 0.6]])}
    assert members(synthetic, list("abcdef"), Budget()) == [3, 1, 0]
    assert members(synthetic, list("abcdef"), Budget(max_members=2)) == [3, 1]
    assert members(synthetic, list("bbcbef"), Budget()) == [3, 2, 4]
    tied = {"cutpaste": np.full((2, 6), 0.5)}
    assert members(tied, list("abcdef"), Budget()) == [0, 1, 2], "of those that tie the first"


def test_scores_are_the_mean_of_standardised_logarithms():
    generator = np.random.default_rng(0)
    scores, normals = generator.random((7, 2)) + 0.1, generator.random((5, 2)) + 0.1
    by_hand = np.mean(
        [(np.log(scores[:, m]) - np.log(normals[:, m]).mean()) / np.log(normals[:, m]).std() for m in range(2)], axis=0
    )
    np.testing.assert_allclose(together(scores, scale_of(normals)), by_hand, rtol=1e-12)
    np.testing.assert_allclose(together(1000 * scores, scale_of(1000 * normals)), by_hand, rtol=1e-9)
    assert np.isfinite(together(np.array([[0.0], [1.0]]), scale_of(np.zeros((3, 1))))).all(), (
        "a perfect copy has score 0"
    )


def test_the_detector_in_the_tables_is_that_of_its_members():
    """One-vs-rest of auroc.csv, recomputed from scores files alone."""
    studies = [scored.study(seed=seed) for seed in range(4)]
    scores = {f"c{i}": one.scores() for i, one in enumerate(studies)}
    for i, one in enumerate(scores.values()):
        one.attributes["backbone"] = "shared" if i < 2 else f"alone {i}"
    index, protocols = studies[0].index, ["leave_one_out"]
    combinations = {"swsa_ensemble": STRATEGIES["swsa_ensemble"].combine}
    options = {"protocols": protocols, "settings": ["one_vs_rest"], "combinations": combinations}
    table = evaluate(scores, index, scored.SPEC, **options)
    values = [np.mean([compare(one, t, "one", "leave_one_out").auroc for t in "ab"]) for one in scores.values()]
    order = np.argsort(-np.array(values), kind="stable").tolist()
    chosen = [c for i, c in enumerate(order) if c > 1 or not set(order[:i]) & {0, 1}]
    best = values[order[0]]
    chosen = [c for c in chosen[:3] if values[c] >= min(best, 0.5 + (best - 0.5) / 2)]
    for t, task in enumerate("ab"):
        of_task = [list(scores.values())[c] for c in chosen]
        normals = np.stack([normal_scores(one, task) for one in of_task], axis=1)
        images = together(np.stack([one.test["scores"][:, t] for one in of_task], axis=1), scale_of(normals))
        labels = [not str(image_id).startswith(task) for image_id in of_task[0].test["image_id"]]
        rows = table[(table.candidate == "swsa_ensemble") & (table.task == task)]
        assert rows.auroc.tolist() == [pytest.approx(auroc(images, labels), abs=1e-12)]


def test_a_detector_gets_what_is_known_of_its_task():
    studies = [scored.study(seed=seed) for seed in range(2)]
    scores, seen = {f"c{i}": one.scores() for i, one in enumerate(studies)}, []

    def spy(images, known):
        seen.append(known)
        return images[:, 0]

    evaluate(
        scores, studies[0].index, scored.SPEC, protocols=["paper"], settings=["one_vs_rest"], combinations={"spy": spy}
    )
    assert len(seen) == 2 and seen[0].backbones == ["c0", "c1"]
    assert list(seen[0].synthetic) == ["one", "two", "pool"] and seen[0].synthetic["one"].shape == (2, 2)
    assert [known.normals.shape for known in seen] == [(8, 2), (10, 2)]
    found = compare(scores["c1"], "b", "two", "paper").wins.mean()
    assert seen[0].synthetic["two"][1, 1] == pytest.approx(found), "by the first protocol where it lacks leave_one_out"


def tables(values):
    """auroc, confidence and candidates of two tasks; values: {(task, source): AUROC of big, small}."""
    rows = [
        (task, name, source, "leave_one_out", "", "all", value)
        for (task, source), both in values.items()
        for name, value in zip(("big", "small"), both, strict=True)
    ]
    real = {"big": 0.8, "small": 0.8, "swsa_ensemble": 0.9}
    tasks = dict.fromkeys(task for task, _ in values)
    rows += [(task, name, "real", "", "one_vs_rest", "all", value) for task in tasks for name, value in real.items()]
    columns = ["task", "candidate", "validation", "protocol", "setting", "n_anomalies", "auroc"]
    sure = pd.DataFrame(columns=["task", "candidate", "validation", "protocol", "p_best", "p_near", "low", "high"])
    candidates = pd.DataFrame({"candidate": ["big", "small"], "n_parameters": [2, 1], "backbone": ["a", "b"]})
    return pd.DataFrame(rows, columns=columns), sure, candidates


def test_swsa_picks_by_the_mean_over_the_tasks():
    values = {("t", "cutpaste"): (0.9, 0.85), ("u", "cutpaste"): (0.6, 0.8)}
    values |= {("t", "other_tasks"): (0.7, 0.8), ("u", "other_tasks"): (0.8, 0.75)}
    auroc_table, sure, candidates = tables(values)
    picks = select.select(auroc_table, sure, candidates, ["swsa", "swsa_ensemble"], ["leave_one_out"])
    one = picks[picks.strategy == "swsa"]
    assert one.candidate.tolist() == ["small", "small"] and one.source.tolist() == ["other_tasks"] * 2
    assert one.synthetic_auroc.tolist() == [0.8, 0.75], "its own in each task"
    together = picks[picks.strategy == "swsa_ensemble"]
    assert together.candidate.tolist() == ["", ""] and together.members.tolist() == ["small; big"] * 2, "by the mean"
    assert together.real_auroc.tolist() == [0.9, 0.9] and together.regret.round(6).tolist() == [-0.1, -0.1]


def test_swsa_without_other_tasks_goes_by_the_first_source():
    auroc_table, sure, candidates = tables({("t", "cutpaste"): (0.9, 0.85), ("t", "defects"): (0.5, 0.8)})
    picks = select.select(auroc_table, sure, candidates, ["swsa"], ["leave_one_out"])
    assert picks.candidate.tolist() == ["big"] and picks.source.tolist() == ["cutpaste"]
    assert find("swsa").recommends


def test_combine_of_known_is_that_of_its_members():
    generator = np.random.default_rng(1)
    scores, normals = generator.random((6, 3)), generator.random((4, 3))
    known = Known(["a", "b", "c"], {"cutpaste": np.array([[0.5, 0.9, 0.8]])}, normals, budget=Budget(max_members=2))
    np.testing.assert_array_equal(combine(scores, known), together(scores[:, [1, 2]], scale_of(normals[:, [1, 2]])))


COSTS = pd.DataFrame({"network": list("abcd"), "median_ms": [30.0, 8.0, 20.0, 5.0], "head_ms": 1.0})


def test_nothing_that_is_recommended_costs_more_than_the_limit():
    auroc_table, sure, candidates = tables({("t", "cutpaste"): (0.9, 0.85)})

    def picks(max_ms):
        budget = Budget(max_ms=max_ms, costs=COSTS[:2])
        names = ["swsa", "swsa_ensemble", "largest_model"]
        found = select.select(auroc_table, sure, candidates, names, ["leave_one_out"], budget=budget)
        return dict(zip(found.strategy, found.candidate + found.members, strict=True))

    assert picks(30) == {"swsa": "big", "swsa_ensemble": "big", "largest_model": "big"}
    assert picks(38)["swsa_ensemble"] == "big; small"
    assert picks(29) == {"swsa": "small", "swsa_ensemble": "small", "largest_model": "big"}


def test_members_that_cost_too_much_together_are_passed_over():
    aurocs = np.array([0.9, 0.85, 0.95, 0.8])

    def chosen(max_ms):
        return highest(aurocs, list("abcd"), Budget(max_ms=max_ms, costs=COSTS))

    assert chosen(60) == [2, 0, 1] and chosen(56) == [2, 0, 3] and chosen(49.9) == [2, 1, 3] and chosen(19) == [1, 3]
    assert chosen(5) == [3]


def test_heads_of_one_backbone_share_its_pass():
    shared = COSTS[:2].assign(network="a", median_ms=[30.0, 29.0])
    assert Budget(max_ms=31, costs=shared).allows([0, 1]) and not Budget(max_ms=30.9, costs=shared).allows([0, 1])


def test_a_network_that_is_fine_tuned_has_a_pass_of_its_own():
    costs = pd.DataFrame({"backbone": ["a"], "head": ["knn"], "median_ms": [30.0], "head_ms": [1.0]})
    groups = {"before": ("a", "knn"), "after": ("a", "knn")}
    assert together_ms(of_candidates(costs, groups)) == 31, "heads alone would be"
    assert together_ms(of_candidates(costs, groups, ["after"])) == 60


def test_members_have_a_synthetic_auroc():
    """A candidate that was trained on the anomalies has none by them."""
    assert highest(np.array([np.nan, 0.8, 0.9]), list("abc"), Budget()) == [2, 1]


def test_candidates_less_than_half_as_far_above_guessing_as_the_best_are_no_members():
    assert highest(np.array([0.9, 0.71, 0.69]), list("abc"), Budget()) == [0, 1]
    assert highest(np.array([0.4, 0.45, 0.3]), list("abc"), Budget()) == [1], "the best of those below guessing"
    assert highest(np.array([np.nan, np.nan]), list("ab"), Budget()) == []


def test_a_limit_of_memory_counts_each_network_once_and_every_bank():
    costs = COSTS.assign(network=list("aabc"), weights_mb=[20.0, 20.0, 5.0, 0.0], bank_mb=[1.0, 3.0, 1.0, 0.5])
    budget = Budget(max_mb=24, costs=costs)
    assert (
        budget.allows([0, 1]) and not budget.allows([0, 1, 2]) and not Budget(max_mb=23.9, costs=costs).allows([0, 1])
    )
    assert not Budget(max_ms=4, max_mb=24, costs=costs).allows([3]), "both limits count"
    aurocs = np.array([0.9, 0.85, 0.8, 0.7])
    assert highest(aurocs, list("aabc"), Budget(max_mb=6.5, costs=costs)) == [2, 3]


def close_call(near, budget):
    """The pick of swsa, and its verdict, where the best is near in `near` = (big, small) of the resamples."""
    auroc_table, _, candidates = tables({("t", "cutpaste"): (0.9, 0.85), ("t", "tiny_imagenet"): (0.9, 0.85)})
    rows = [
        ("t", name, source, "leave_one_out", share, share, 0.8, 1.0)
        for source in ("cutpaste", "tiny_imagenet", "all_sources")
        for name, share in zip(("big", "small"), near, strict=True)
    ]
    columns = ["task", "candidate", "validation", "protocol", "p_best", "p_near", "low", "high"]
    sure = pd.DataFrame(rows, columns=columns)
    names = ["swsa", "swsa_cutpaste"]
    found = select.select(auroc_table, sure, candidates, names, ["leave_one_out"], budget=budget)
    return [(row.candidate, row.verdict, row.synthetic_auroc) for row in found.itertuples()]


def test_a_close_call_goes_to_the_cheapest_where_that_is_asked_for():
    cheapest = Budget(costs=COSTS[:2], cheapest=True)
    assert close_call((0.7, 0.4), Budget())[0] == ("big", "close call", 0.9)
    assert close_call((0.7, 0.4), cheapest) == [("small", "close call", 0.85), ("big", "close call", 0.9)]
    assert close_call((0.9, 0.01), cheapest)[0] == ("big", "clear", 0.9)
    slow = Budget(max_ms=10, costs=COSTS[:2].assign(median_ms=[9.0, 30.0]), cheapest=True)
    assert close_call((0.7, 0.4), slow)[0] == ("big", "close call", 0.9), "what is beyond the limit is not cheap"
