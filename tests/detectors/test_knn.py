"""Eq. 4 against scikit-learn, with squared and plain distances, and what must hold for any features."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from swsa_core.detectors import knn_score
from swsa_core.detectors.knn import l2_normalized, nearest, squared_distances


def by_scikit_learn(queries, bank, k, power=2):
    """Eq. 4 with tree search, which subtracts before it squares."""
    distances, _ = NearestNeighbors(n_neighbors=k, algorithm="kd_tree").fit(bank).kneighbors(queries)
    return (distances**power).sum(axis=1)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 8),
    m=st.integers(3, 20),
    d=st.integers(1, 12),
    k=st.integers(1, 3),
    offset=st.sampled_from([0, 1, 1e3, 1e5]),
    spread=st.sampled_from([1e-6, 1, 1e6]),
)
def test_knn_score_is_that_of_scikit_learn_at_any_offset(seed, n, m, d, k, offset, spread):
    generator = np.random.default_rng(seed)
    queries, bank = generator.normal(size=(n, d)), generator.normal(size=(m, d))
    expected = by_scikit_learn(queries, bank, k)
    shifted = knn_score((queries + offset) * spread, (bank + offset) * spread, k)
    np.testing.assert_allclose(shifted / spread**2, expected, rtol=1e-6, atol=1e-12 * offset)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.sampled_from([1e-6, 1, 1e6]))
def test_l2_sums_distances_themselves(seed, k, spread):
    generator = np.random.default_rng(seed)
    queries, bank = generator.normal(size=(6, 8)), generator.normal(size=(11, 8))
    found = knn_score(queries * spread, bank * spread, k, distance="l2")
    np.testing.assert_allclose(found / spread, by_scikit_learn(queries, bank, k, power=1), rtol=1e-9)


def test_l2_ties_are_exact_in_any_order():
    """Points of a grid: distances are roots of whole numbers, whose sums tie only where their terms are the same."""
    generator = np.random.default_rng(5)
    bank = generator.integers(0, 4, size=(12, 3)).astype(float)
    queries = generator.integers(0, 4, size=(40, 3)).astype(float)
    order = generator.permutation(12)
    scores = knn_score(queries, bank, distance="l2")
    np.testing.assert_array_equal(knn_score(queries, bank[order], distance="l2"), scores)
    terms = np.sort(((queries[:, None] - bank) ** 2).sum(axis=2), axis=1)[:, :3]
    same = (terms[:, None] == terms).all(axis=2)
    np.testing.assert_array_equal(scores[:, None] == scores, same)
    own = generator.integers(-1, 12, size=(40, 2))
    left = [np.delete(bank, rows[rows >= 0], axis=0) for rows in own]
    alone = [knn_score(query[None], rest, distance="l2")[0] for query, rest in zip(queries, left, strict=True)]
    np.testing.assert_array_equal(knn_score(queries, bank, own=own, distance="l2"), alone)


def test_float32_features_far_from_the_origin_keep_their_digits():
    generator = np.random.default_rng(0)
    queries = (generator.normal(size=(50, 64)) + 1000).astype(np.float32)
    bank = (generator.normal(size=(20, 64)) + 1000).astype(np.float32)
    expected = by_scikit_learn(queries.astype(float), bank.astype(float), 3)
    np.testing.assert_allclose(knn_score(queries, bank), expected, rtol=1e-9)


@pytest.mark.parametrize("offset", [0, 1e6])
def test_equal_rows_are_exactly_zero_apart_and_near_ones_are_not(offset):
    generator = np.random.default_rng(0)
    bank = generator.normal(size=(30, 512)) + offset
    bank = np.concatenate([bank, bank[:1] + 1e-3])
    distances = squared_distances(bank, bank)
    assert (np.diag(distances) == 0).all()
    np.testing.assert_allclose(distances[0, -1], 512e-6, rtol=1e-6)
    assert knn_score(bank[:5], bank, k=1).tolist() == [0] * 5


@given(st.permutations(range(12)))
def test_the_order_of_the_bank_changes_nothing(order):
    generator = np.random.default_rng(1)
    queries, bank = generator.normal(size=(6, 4)), generator.integers(0, 2, size=(12, 4)).astype(float)
    np.testing.assert_array_equal(knn_score(queries, bank[list(order)]), knn_score(queries, bank))


def test_a_query_has_the_same_score_alone_and_among_others():
    generator = np.random.default_rng(2)
    queries, bank = generator.normal(size=(1500, 7)), generator.normal(size=(30, 7))
    whole = knn_score(queries, bank)
    np.testing.assert_array_equal(whole[[0, 600, 1499]], knn_score(queries[[0, 600, 1499]], bank))


def test_ties_take_the_lower_row():
    rows, distances = nearest(np.zeros((1, 1)), np.array([[1.0], [-1.0], [1.0], [0.5]]), keep=6)
    assert rows.tolist() == [[3, 0, 1, 2, -1, -1]]
    assert distances.tolist() == [[0.25, 1, 1, 1, 0, 0]]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_rows_left_out_are_as_if_removed(seed, n_own):
    generator = np.random.default_rng(seed)
    bank, queries = generator.normal(size=(9, 5)), generator.normal(size=(4, 5))
    own = generator.integers(-1, 9, size=(4, n_own))  # the same row twice, and none, occur
    expected = [
        knn_score(query[None], np.delete(bank, rows[rows >= 0], axis=0))[0]
        for query, rows in zip(queries, own, strict=True)
    ]
    np.testing.assert_allclose(knn_score(queries, bank, own=own), expected, rtol=1e-9)


def test_own_may_be_one_row_a_query():
    bank = np.random.default_rng(3).normal(size=(8, 4))
    own = knn_score(bank, bank, own=np.arange(8))
    assert (own > 0).all()
    np.testing.assert_array_equal(own, knn_score(bank, bank, k=4))  # itself at distance 0 is the fourth


def test_l2_normalized_rows_have_unit_length_and_zero_stays_zero():
    features = np.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(l2_normalized(features), [[0.6, 0.8], [0, 0]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 4}, "k = 4 neighbours cannot be taken|are left"),
        ({"k": 2, "own": [[0, 1]] * 2}, "1 neighbours are left for query 0, but k = 2"),
        ({"k": 0}, "k = 0"),
        ({"own": [3, 0]}, "bank rows from 0 to 2"),
        ({"own": [-2, 0]}, "or -1 for none"),
        ({"own": [0.0, 1.0]}, "own must hold"),
        ({"queries": np.zeros(4)}, "queries must be a"),
        ({"bank": np.empty((0, 4))}, "bank must be a"),
        ({"queries": [[np.nan] * 4] * 2}, "queries hold NaN"),
        ({"distance": "euclidean"}, "distance must be squared_l2 or l2, received 'euclidean'"),
    ],
)
def test_knn_score_refuses_what_has_no_meaning(arguments, message):
    given_arguments = {"queries": np.ones((2, 4)), "bank": np.eye(3, 4), "k": 1} | arguments
    with pytest.raises(ValueError, match=message):
        knn_score(**given_arguments)
