"""Strategies that see unlabelled scores, against SciPy, power iteration, brute force and hand-computed cases."""

import numpy as np
import pytest
from scipy.stats import kendalltau, rankdata

from swsa_core.strategies import STRATEGIES
from swsa_core.strategies.hits import quality as hits_quality
from swsa_core.strategies.hits_anomalous import quality as hits_anomalous_quality
from swsa_core.strategies.model_centrality import quality as model_centrality_quality
from swsa_core.strategies.rank_ensemble import combine as rank_ensemble
from swsa_core.strategies.xie_beni import quality as xie_beni_quality

QUALITIES = {name: one.quality for name, one in STRATEGIES.items() if one.quality}


def draw(seed, n=40, c=5, ties=False):
    """Scores of c candidates that agree with one another more or less."""
    generator = np.random.default_rng(seed)
    scores = generator.normal(size=(n, 1)) + generator.normal(size=(n, c)) * np.linspace(0.2, 2, c)
    return scores.round() if ties else scores


def reference_hubs(scores):
    """HITS as it is defined: hubs and authorities in turn."""
    weights, hubs = 1 / rankdata(scores, axis=0), np.ones(scores.shape[1])
    for _ in range(2000):
        authorities = weights @ hubs
        hubs = weights.T @ (authorities / np.linalg.norm(authorities))
        hubs /= np.linalg.norm(hubs)
    return hubs


def reference_xie_beni(values):
    """The index at the split with the lowest squares within."""
    ordered = np.sort(values)
    parts = [np.split(ordered, [i]) for i in range(1, len(ordered))]
    within = [sum(((part - part.mean()) ** 2).sum() for part in pair) for pair in parts]
    low, high = parts[int(np.argmin(within))]
    return min(within) / (len(values) * (high.mean() - low.mean()) ** 2)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_model_centrality_is_the_mean_tau_with_the_others(seed, ties):
    scores = draw(seed, ties=ties)
    expected = [np.mean([kendalltau(one, other).statistic for j, other in enumerate(scores.T) if j != i])
                for i, one in enumerate(scores.T)]  # fmt: skip
    np.testing.assert_allclose(model_centrality_quality(scores), expected, atol=1e-12)


def test_model_centrality_by_hand():
    scores = np.array([[1, 1, 3], [2, 2, 2], [3, 3, 1]])
    np.testing.assert_allclose(model_centrality_quality(scores), [0, 0, -1])
    # one pair of three tied on one side: (2 - 0) / sqrt(2 * 3)
    np.testing.assert_allclose(model_centrality_quality(np.array([[1, 1], [1, 2], [2, 3]])), [2 / 6**0.5] * 2)


def test_a_constant_candidate_is_undefined_and_left_out_for_the_others():
    scores = draw(0)
    scores[:, 2] = 7
    found = model_centrality_quality(scores)
    assert np.isnan(found).tolist() == [False, False, True, False, False]
    np.testing.assert_array_equal(np.delete(found, 2), model_centrality_quality(np.delete(scores, 2, axis=1)))
    assert np.isnan(xie_beni_quality(scores)).tolist() == [False, False, True, False, False]
    assert np.isfinite(hits_quality(scores)).all()
    assert np.isnan(model_centrality_quality(np.ones((4, 3)))).all()


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_hits_is_the_fixed_point_of_power_iteration(seed, ties):
    scores = draw(seed, ties=ties)
    np.testing.assert_allclose(hits_quality(scores), reference_hubs(scores), atol=1e-9)


def test_hits_by_hand():
    # two candidates rank the images alike, weights (1, 1/2); WᵀW has 5/4 within the pair and 1 across
    found = hits_quality(np.array([[2, 2, 1], [1, 1, 2]]))
    assert found[0] == found[1] > found[2]
    assert found[2] / found[0] == pytest.approx((9.5625**0.5 - 1.25) / 2)


def test_hits_looks_at_the_images_with_the_lowest_scores():
    """Candidates 0 and 1 agree on the least anomalous images, 1 and 2 on the most anomalous ones."""
    scores = np.array([[1, 1, 3], [2, 2, 2], [3, 3, 1], [6, 4, 4], [4, 5, 5], [5, 6, 6]])
    alike, opposite = hits_quality(scores), hits_anomalous_quality(scores)
    assert np.argmin(alike) == 2 and np.argmin(opposite) == 0


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_xie_beni_is_that_of_the_best_of_all_splits(seed, ties):
    scores = draw(seed, ties=ties)
    np.testing.assert_allclose(-xie_beni_quality(scores), [reference_xie_beni(of) for of in scores.T], atol=1e-11)


def test_xie_beni_by_hand():
    # means 1/2 and 21/2: squares of 4 * 1/4 within, over 4 * 10²; two values alone leave nothing within
    scores = np.array([[0, 3], [1, 3], [10, 3], [11, 8]])
    np.testing.assert_allclose(xie_beni_quality(scores), [-1 / 400, 0], atol=1e-12)
    assert np.isnan(xie_beni_quality(np.array([[1.0, 2.0]]))).all()


def test_rank_ensemble():
    scores = np.array([[1, 30], [1, 10], [5, 20]])
    assert rank_ensemble(scores).tolist() == [(1.5 + 3) / 2, (1.5 + 1) / 2, (3 + 2) / 2]


@pytest.mark.parametrize("function", [*QUALITIES.values(), rank_ensemble])
def test_invariances(function):
    scores, order = draw(5), np.random.default_rng(1)
    images, candidates = order.permutation(len(scores)), order.permutation(scores.shape[1])
    found = function(scores)
    images_permuted, candidates_permuted = function(scores[images]), function(scores[:, candidates])
    if function is rank_ensemble:
        np.testing.assert_array_equal(images_permuted, found[images])
        np.testing.assert_allclose(candidates_permuted, found)
    else:
        np.testing.assert_allclose(images_permuted, found, atol=1e-11)
        np.testing.assert_allclose(candidates_permuted, found[candidates], atol=1e-11)
    np.testing.assert_allclose(function(3 * scores + 100), found, atol=1e-11)
    if function is not xie_beni_quality:
        np.testing.assert_array_equal(function(np.exp(scores)), found)


@pytest.mark.parametrize("quality", QUALITIES.values())
def test_candidates_that_are_alike_tie(quality):
    scores = draw(7, n=200, c=6)[:, [0, 3, 1, 0, 2, 4, 0, 5]]
    found = quality(scores)
    assert found[0] == found[3] == found[6]


@pytest.mark.parametrize("quality", QUALITIES.values())
def test_the_odd_one_out_is_never_picked(quality):
    """Three candidates see two clear groups of images, one draws at random."""
    generator = np.random.default_rng(0)
    truth = np.repeat([0, 5], [60, 20])[:, None]
    scores = np.hstack([generator.normal(size=(80, 1)) * 2, truth + generator.normal(size=(80, 3)) / 2])
    assert np.argmin(quality(scores)) == 0


@pytest.mark.parametrize("quality", QUALITIES.values())
def test_a_single_candidate_can_be_picked(quality):
    assert np.isfinite(quality(draw(0, c=1))).all()


@pytest.mark.parametrize("function", [*QUALITIES.values(), rank_ensemble])
def test_undefined_scores_are_refused(function):
    with pytest.raises(ValueError, match="2 of 200 scores are NaN or infinite"):
        scores = draw(0)
        scores[3, 1], scores[4, 2] = np.nan, np.inf
        function(scores)
    with pytest.raises(ValueError, match=r"received the shape \(0, 5\)"):
        function(np.empty((0, 5)))
