"""AUROC, Kendall's τ and total variation against scikit-learn and SciPy, and their invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from swsa_core import metrics
from swsa_core.metrics import auroc, kendall_tau, pairwise_auroc, total_variation

FEW_VALUES = st.integers(-3, 3).map(float)  # many ties
ANY_VALUES = st.floats(-1e300, 1e300)


@st.composite
def labelled_scores(draw, values=FEW_VALUES | ANY_VALUES):
    scores = draw(st.lists(values, min_size=2, max_size=40))
    labels = draw(st.lists(st.integers(0, 1), min_size=len(scores), max_size=len(scores)))
    labels[0], labels[1] = 0, 1
    return np.array(scores), np.array(labels)


@given(labelled_scores())
def test_auroc_is_that_of_scikit_learn(case):
    scores, labels = case
    assert auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


@given(labelled_scores(), st.randoms(use_true_random=False))
def test_auroc_counts_pairs(case, random):
    scores, labels = case
    value = auroc(scores, labels)
    order = list(range(len(scores)))
    random.shuffle(order)
    assert auroc(scores[order], labels[order]) == value
    assert auroc(np.tile(scores, 3), np.tile(labels, 3)) == value
    assert auroc(stats.rankdata(scores), labels) == value
    assert auroc(-scores, labels) == pytest.approx(1 - value, abs=1e-15)
    won = (scores[labels == 1][:, None] > scores[labels == 0]) + 0.5 * (
        scores[labels == 1][:, None] == scores[labels == 0]
    )
    assert value == won.sum() / won.size


@given(labelled_scores(FEW_VALUES), st.lists(st.sampled_from("abc"), min_size=40, max_size=40))
def test_pairwise_auroc_is_auroc_of_each_group(case, names):
    scores, labels = case
    groups = np.where(labels == 0, "normal", names[: len(labels)])
    columns = np.stack([scores, -scores, np.arange(len(scores))], axis=1)
    together = pairwise_auroc(columns, groups, "normal")
    for column, row in zip(columns.T, together, strict=True):
        each = []
        for group in sorted(set(groups) - {"normal"}):
            members = (groups == group) | (groups == "normal")
            each.append(auroc(column[members], groups[members] == group))
        assert row.tolist() == each == pairwise_auroc(column, groups, "normal").tolist()


def test_counts_of_all_groups_give_one_against_the_rest():
    generator = np.random.default_rng(0)
    scores, groups = generator.integers(0, 9, size=(200, 4)), generator.integers(0, 6, size=200)
    won, sizes = metrics.pair_counts(scores, groups, normal=2, n_groups=6)
    rest = np.delete(won, 2, axis=0).sum(axis=0) / (2 * sizes[2] * np.delete(sizes, 2).sum())
    assert rest.tolist() == [auroc(column, groups != 2) for column in scores.T]


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([1.0, np.nan], [0, 1], "NaN or infinite"),
        ([1.0, np.inf], [0, 1], "NaN or infinite"),
        ([1.0, 2.0], [1, 1], "one class only"),
        ([], [], "one class only"),
        ([1.0, 2.0], [1, 2], "labels must be 0"),
        ([1.0, 2.0, 3.0], [0, 1], "3 scores for 2 labels"),
    ],
)
def test_auroc_refuses_what_has_no_meaning(scores, labels, message):
    with pytest.raises(ValueError, match=message):
        auroc(scores, labels)


@pytest.mark.parametrize("groups", [["a", "b"], ["normal", "normal"]])
def test_pairwise_auroc_needs_the_normal_group_and_another(groups):
    with pytest.raises(ValueError, match="expected the normal group 'normal'"):
        pairwise_auroc([1.0, 2.0], groups, "normal")


@given(st.permutations(range(7)))
def test_kendall_tau_without_ties_is_exact(order):
    tau, p = kendall_tau(range(7), order)
    discordant = sum(order[i] > order[j] for i in range(7) for j in range(i + 1, 7))
    assert tau == pytest.approx(1 - 2 * discordant / 21)
    exact = stats.kendalltau(range(7), order, method="exact")
    assert (tau, p) == pytest.approx((exact.statistic, exact.pvalue))


def test_kendall_tau_counts_ties_and_is_undefined_when_all_tie():
    # τ-b by hand: 4 concordant and 1 discordant pair, one pair tied in `b`
    assert kendall_tau([1, 2, 3, 4], [1, 2, 2, 0.5])[0] == pytest.approx((2 - 3) / np.sqrt(6 * 5))
    assert np.isnan(kendall_tau([1, 1, 1], [1, 2, 3])).all()


def test_total_variation_of_equal_and_of_far_apart_sets():
    generator = np.random.default_rng(0)
    a = generator.normal(size=(40, 3))
    assert total_variation(a, a) == 0
    assert total_variation(a, a + 1000, n_clusters=2) == 2
    assert total_variation(a, generator.normal(size=(30, 3))) < 1


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**31))
def test_total_variation_is_symmetric_bounded_and_repeatable(seed):
    generator = np.random.default_rng(seed)
    support, a, b = (
        generator.normal(size=(10, 2)),
        generator.normal(3, size=(10, 2)),
        generator.normal(-3, size=(30, 2)),
    )
    one, other = np.concatenate([support, a]), np.concatenate([support, b])
    value = total_variation(one, other, n_runs=3, seed=1)
    assert 0 <= value <= 2 * (1 - 0.25)  # the support is half of one set and a quarter of the other
    assert value == total_variation(one, other, n_runs=3, seed=1)
