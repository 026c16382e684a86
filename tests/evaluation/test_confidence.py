"""The bootstrap against a loop that repeats every image as often as it was drawn."""

import numpy as np
import pandas as pd
import pytest
import scored

from swsa_core.basics.seeding import rng
from swsa_core.evaluation.confidence import (
    ALL_SOURCES,
    CONFIDENCE,
    NEAR,
    chances,
    confidence,
    filled,
    multiplicities,
    over_sources,
    parents_drawn,
    resampled_aurocs,
)
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
    generator = np.random.default_rng(0)
    support = multiplicities(generator, 8, resamples=40)
    own = multiplicities(generator, n_own, resamples=40) if n_own else None
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
    assert (multiplicities(np.random.default_rng(0), 8, resamples=50).sum(axis=1) == 8).all()


def test_one_parent_of_all_anomalies_makes_them_one():
    """Anomalies of the same parent come and go together: with one win and one loss, every resample is one half."""
    wins, parents = np.array([[1.0], [0.0]]), np.array([[0], [0]])
    comparison = Comparison(np.array([1.0, 0.0]), wins, np.array([-1]), parents, 1)
    support = multiplicities(np.random.default_rng(0), 5, 100)
    found = resampled_aurocs([comparison], support, parents_drawn(parents, support))
    assert set(found[np.isfinite(found)]) == {0.5}
    assert np.isnan(found).any()  # in some resamples the parent is not drawn


def test_table_of_all_candidates():
    scores = {name: scored.study(seed).scores() for seed, name in enumerate("xyz")}
    table = confidence(scores, "birds", 3, list(PROTOCOLS), resamples=200)
    assert table.columns.tolist() == CONFIDENCE.columns[1:]
    assert len(table) == 2 * (3 + 1) * len(PROTOCOLS) * 3
    of_sources = table[table.validation != ALL_SOURCES]
    assert (of_sources.low <= of_sources.high).all()
    assert table.loc[table.validation == ALL_SOURCES, ["low", "high"]].isna().all(axis=None)
    assert (table.p_near >= table.p_best - 1e-12).all() and (table.p_near <= 1).all()
    np.testing.assert_allclose(table.groupby(["task", "validation", "protocol"]).p_best.sum(), 1)
    support = multiplicities(rng(3, "birds", "b", "bootstrap"), 10, 200)
    comparisons = [compare(one, "b", "two", "paired") for one in scores.values()]
    weights = parents_drawn(comparisons[0].parents, support)
    aurocs = resampled_aurocs(comparisons, support, weights)
    aurocs = aurocs[:, np.isfinite(aurocs).all(axis=0)]
    found = table[(table.task == "b") & (table.validation == "two") & (table.protocol == "paired")]
    for c, row in enumerate(found.itertuples()):
        assert row.candidate == "xyz"[c]
        best = aurocs == aurocs.max(axis=0)
        assert row.p_best == pytest.approx((best / best.sum(axis=0))[c].mean())
        assert row.p_near == pytest.approx((aurocs.max(axis=0) - aurocs[c] <= NEAR + 1e-12).mean())
        known = comparisons[c].wins.mean(), aurocs[c].var(), most_draws(comparisons[c])
        assert (row.low, row.high) == pytest.approx(auroc_interval(*known))


def test_the_same_seed_gives_the_same_and_order_and_company_change_no_interval():
    one, other = scored.study(0).scores(), scored.study(1).scores()
    pair, alone, swapped = (
        confidence(scores, "birds", 0, ["paired"], resamples=50).set_index("candidate")[["low", "high"]]
        for scores in ({"one": one, "other": other}, {"other": other}, {"other": other, "one": one})
    )
    np.testing.assert_array_equal(pair.loc["other"], alone.loc["other"])
    np.testing.assert_array_equal(pair.loc["one"], swapped.loc["one"])


def test_the_number_of_threads_changes_nothing():
    scores = {name: scored.study(seed, sizes=(8, 10, 9, 8)).scores() for seed, name in enumerate("xyz")}
    one, four = (confidence(scores, "birds", 0, list(PROTOCOLS), resamples=100, threads=threads) for threads in (1, 4))
    pd.testing.assert_frame_equal(one, four, check_exact=True)


def test_a_reconstruction_is_drawn_as_often_as_its_seed_image():
    comparison = compare(scored.study().scores(), "b", "two", "reconstructed")
    support = multiplicities(np.random.default_rng(0), 10, 20)
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


def test_the_mean_over_sources_is_that_of_a_loop_and_of_one_source_its_own():
    generator = np.random.default_rng(0)
    aurocs = generator.random((3, 4, 60))
    aurocs[1, :, 7] = np.nan
    drawn = multiplicities(generator, 3, 60)
    for b, found in enumerate(over_sources(aurocs, drawn).T):
        values = [aurocs[s, :, b] for s in range(3) for _ in range(int(drawn[b, s])) if np.isfinite(aurocs[s, 0, b])]
        np.testing.assert_allclose(found, np.mean(values, axis=0) if values else np.full(4, np.nan))
    np.testing.assert_array_equal(over_sources(aurocs[1:2], np.ones((60, 1))), aurocs[1])


def test_the_best_of_a_source_that_others_do_not_share_is_not_surely_the_best():
    """Each of two sources is sure of its own best candidate: together each is near the best as often as it is drawn twice."""
    aurocs = np.array([[[0.9], [0.8]], [[0.8], [0.9]]]).repeat(4000, axis=2)
    drawn = multiplicities(np.random.default_rng(0), 2, 4000)
    assert [of[0].tolist() for of in map(chances, aurocs)] == [[1, 0], [0, 1]]
    p_best, p_near = chances(over_sources(aurocs, drawn))
    assert p_best == pytest.approx([0.5, 0.5], abs=0.03) and p_near == pytest.approx([0.75, 0.75], abs=0.03)


def test_a_source_that_a_candidate_lacks_is_filled_by_how_it_does_elsewhere():
    """By hand, in one resample: two candidates have both sources; the third is .1 above them by the one that it has."""
    nan = np.nan
    aurocs = np.array([[[0.6], [0.8], [nan]], [[0.5], [0.7], [0.7]]])  # (sources, c, resamples)
    assert filled(aurocs)[0, :, 0] == pytest.approx([0.6, 0.8, 0.8])
    np.testing.assert_array_equal(filled(aurocs)[:, :2], aurocs[:, :2])
    drawn = np.array([[2.0, 0.0]])
    assert over_sources(aurocs, drawn)[:, 0] == pytest.approx([0.6, 0.8, 0.8])
    undefined = np.concatenate([aurocs, np.full((2, 3, 1), nan)], axis=2)  # a resample without anomalies stays without
    assert np.isnan(filled(undefined)[:, :, 1]).all()


def test_a_candidate_without_auroc_leaves_the_chances_to_the_others():
    p_best, p_near = chances(np.array([[0.9, 0.8], [0.5, 0.9], [np.nan, np.nan]]))
    np.testing.assert_array_equal(p_best, [0.5, 0.5, np.nan])
    np.testing.assert_array_equal(p_near, [0.5, 0.5, np.nan])


def test_a_candidate_without_auroc_by_any_source_leaves_the_others_as_they_are():
    """As in a data set with one task, where the images of other tasks are missing, and all else is what it was trained on."""
    aurocs = np.random.default_rng(0).random((2, 3, 20))
    drawn = multiplicities(np.random.default_rng(1), 2, 20)
    alone = over_sources(aurocs[:, :2], drawn)
    for source in ([0], [0, 1]):
        lacking = aurocs.copy()
        lacking[source, 2] = np.nan
        lacking[[one for one in (0, 1) if one not in source]] = np.nan  # undefined for all
        found = over_sources(lacking, drawn)
        assert np.isnan(found[2]).all()
        if len(source) == 2:
            np.testing.assert_array_equal(found[:2], alone)
        assert np.isfinite(chances(found)[0]).tolist() == [True, True, False]
    assert np.isnan(over_sources(np.full((2, 3, 20), np.nan), drawn)).all()
