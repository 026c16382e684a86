"""The bootstrap against a loop that repeats every image as often as it was drawn."""

import numpy as np
import pandas as pd
import pytest
import scored

from swsa_core.basics.seeding import rng
from swsa_core.evaluation.confidence import CONFIDENCE, confidence, multiplicities, parents_drawn, resampled_aurocs
from swsa_core.evaluation.intervals import auroc_interval, most_draws
from swsa_core.evaluation.protocols import PROTOCOLS, Comparison, compare


def by_repetition(comparison, support, own):
    """AUROC with every pair repeated as often as its anomaly and its normal were drawn."""
    won = total = 0.0
    for row, parents in enumerate(comparison.parents):
        anomaly = own[row] if own is not None else np.prod([support[parent] for parent in parents if parent >= 0])
        for column, normal in enumerate(comparison.normals):
            weight = anomaly * (support[normal] if normal >= 0 else 1)
            won += weight * comparison.wins[row, column]
            total += weight
    return won / total if total else np.nan


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("source", ["one", "two", "pool"])
@pytest.mark.parametrize("whole_numbers", [False, True])
def test_resamples_are_those_of_a_weighted_loop(protocol, source, whole_numbers):
    comparison = compare(scored.study(whole_numbers=whole_numbers).scores(), "a", source, protocol)
    n_own = len(comparison.parents) if source == "pool" else 0
    support, own = multiplicities(np.random.default_rng(0), 8, n_own, resamples=40)
    expected = [by_repetition(comparison, support[b], None if own is None else own[b]) for b in range(40)]
    weights = own if own is not None else parents_drawn(comparison.parents, support)
    found = resampled_aurocs([comparison], support, weights)[0]
    np.testing.assert_array_equal(found, expected)  # exact, so that ties are ties


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_image_once_is_the_auroc_itself(protocol):
    comparison = compare(scored.study().scores(), "a", "two", protocol)
    once = np.ones((1, 8))
    found = resampled_aurocs([comparison], once, parents_drawn(comparison.parents, once))
    assert found[0, 0] == pytest.approx(comparison.wins.mean(), abs=1e-15)


def test_multiplicities_draw_as_many_images_as_there_are():
    support, own = multiplicities(np.random.default_rng(0), 8, 11, resamples=50)
    assert (support.sum(axis=1) == 8).all() and (own.sum(axis=1) == 11).all()


def test_one_parent_of_all_anomalies_makes_them_one():
    """Anomalies of the same parent come and go together: with one win and one loss, every resample is one half."""
    wins, parents = np.array([[1.0], [0.0]]), np.array([[0], [0]])
    comparison = Comparison(np.array([1.0, 0.0]), wins, np.array([-1]), parents, 1)
    support, _ = multiplicities(np.random.default_rng(0), 5, 0, 100)
    found = resampled_aurocs([comparison], support, parents_drawn(parents, support))
    assert set(found[np.isfinite(found)]) == {0.5}
    assert np.isnan(found).any()  # in some resamples the parent is not drawn


def test_table_of_all_candidates():
    scores = {name: scored.study(seed).scores() for seed, name in enumerate("xyz")}
    table = confidence(scores, "birds", 3, list(PROTOCOLS), resamples=200)
    assert table.columns.tolist() == CONFIDENCE.columns[1:]
    assert len(table) == 2 * 3 * len(PROTOCOLS) * 3
    assert (table.low <= table.high).all()
    np.testing.assert_allclose(table.groupby(["task", "validation", "protocol"]).p_best.sum(), 1)
    support, _ = multiplicities(rng(3, "birds", "b", "two", "bootstrap"), 10, 0, 200)
    comparisons = [compare(one, "b", "two", "paired") for one in scores.values()]
    weights = parents_drawn(comparisons[0].parents, support)
    aurocs = resampled_aurocs(comparisons, support, weights)
    aurocs = aurocs[:, np.isfinite(aurocs).all(axis=0)]
    found = table[(table.task == "b") & (table.validation == "two") & (table.protocol == "paired")]
    for c, row in enumerate(found.itertuples()):
        assert row.candidate == "xyz"[c]
        best = aurocs == aurocs.max(axis=0)
        assert row.p_best == pytest.approx((best / best.sum(axis=0))[c].mean())
        known = comparisons[c].wins.mean(), aurocs[c].var(), most_draws(comparisons[c])
        assert (row.low, row.high) == pytest.approx(auroc_interval(*known))


def test_the_same_seed_gives_the_same_and_order_and_company_change_no_interval():
    one, other = scored.study(0).scores(), scored.study(1).scores()
    pair = confidence({"one": one, "other": other}, "birds", 0, ["paired"], resamples=50).set_index("candidate")
    alone = confidence({"other": other}, "birds", 0, ["paired"], resamples=50).set_index("candidate")
    assert pair.loc["other", ["low", "high"]].values.tolist() == alone.loc["other", ["low", "high"]].values.tolist()
    swapped = confidence({"other": other, "one": one}, "birds", 0, ["paired"], resamples=50).set_index("candidate")
    assert pair.loc["one", ["low", "high"]].values.tolist() == swapped.loc["one", ["low", "high"]].values.tolist()


def test_the_number_of_threads_changes_nothing():
    scores = {name: scored.study(seed, sizes=(8, 10, 9, 8)).scores() for seed, name in enumerate("xyz")}
    one, four = (confidence(scores, "birds", 0, list(PROTOCOLS), resamples=100, threads=threads) for threads in (1, 4))
    pd.testing.assert_frame_equal(one, four, check_exact=True)


def test_a_reconstruction_is_drawn_as_often_as_its_seed_image():
    comparison = compare(scored.study().scores(), "b", "two", "reconstructed")
    support, _ = multiplicities(np.random.default_rng(0), 10, 0, 20)
    weights = parents_drawn(comparison.parents, support)
    found = resampled_aurocs([comparison], support, weights)[0]
    for row, drawn in enumerate(support):
        pairs = np.outer(weights[row], [drawn[seed] for seed in range(6)])  # the seeds are the first of the bank
        expected = (pairs * comparison.wins).sum() / pairs.sum() if pairs.any() else np.nan
        assert found[row] == pytest.approx(expected, nan_ok=True)


def test_candidates_that_always_tie_are_the_best_equally_often():
    scores = scored.study().scores()
    table = confidence({"first": scores, "second": scores}, "birds", 0, ["leave_one_out"], resamples=20)
    assert table.groupby("candidate").p_best.unique().map(list).to_dict() == {"first": [0.5], "second": [0.5]}
