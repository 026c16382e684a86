"""The rule about what is held out: no network scores what it has learnt from, nor another anomaly of its parents."""

import doctest

import numpy as np
import pytest

from swsa_core.basics.errors import InputError
from swsa_core.exposure import folds as rule
from swsa_core.exposure.folds import SUPPORT, TEST, WHOLE, folds_of, not_judged_by, requests, split, targets, within


def test_examples_in_docstrings():
    assert doctest.testmod(rule).failed == 0


def drawn(generator, seeds, n, width):
    """Parents (n, width) of random anomalies; some have the same one twice, or one alone."""
    parents = generator.integers(0, seeds, (n, width))
    if width == 2:
        parents[::7, 1] = -1
    return parents


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize("widths", [(1, 2), (2, 1), (2, 0), (0, 1)])
@pytest.mark.parametrize("size", [4, 11, 40])
def test_no_network_scores_what_it_learnt_from(number, widths, size):
    generator = np.random.default_rng(size)
    learnt_from, judged_by = (drawn(generator, min(size, 20), 60, width) for width in widths)
    folds = folds_of(size, number)
    wanted = requests(5, folds, number, {"other": judged_by})
    for network in range(number):
        chosen = split(folds != network, learnt_from)
        seen = chosen.normals | chosen.stopping_normals
        for mask in (chosen.anomalies, chosen.stopping_anomalies):
            used = learnt_from[mask]
            seen[used[used >= 0]] = True
        assert not seen[folds == network].any()
        scored = next(one.rows for one in wanted if one.network == network and one.part == "other")
        of_scored = judged_by[scored]
        assert not seen[of_scored[of_scored >= 0]].any()
        assert len(scored) == (len(judged_by) if not judged_by.shape[1] else within(judged_by, folds == network).sum())
    assert {one.network for one in wanted if one.part == TEST} == {WHOLE}
    assert [one.network for one in wanted if one.part == SUPPORT] == list(range(number))


@pytest.mark.parametrize("width", [0, 1, 2])
@pytest.mark.parametrize("size", [2, 4, 10, 20])
def test_what_stops_a_training_is_not_learnt_from(width, size):
    parents = drawn(np.random.default_rng(1), size, 100, width)
    chosen = split(np.ones(size, dtype=bool), parents)
    assert not (chosen.normals & chosen.stopping_normals).any()
    assert not (chosen.anomalies & chosen.stopping_anomalies).any()
    assert chosen.stopping_anomalies.any() == chosen.stopping_normals.any()
    if width:
        learnt, stopping = (parents[mask] for mask in (chosen.anomalies, chosen.stopping_anomalies))
        assert not set(learnt[learnt >= 0]) & set(stopping[stopping >= 0])
    if size <= 2:  # of so few nothing is held out
        assert chosen.normals.all() and not chosen.stopping_normals.any()


def test_half_of_the_pairs_of_diffstyle_stay_in_one_fold():
    parents = np.array([(style, content) for style in range(10) for content in range(10, 20)])
    assert rule.scored_by(parents, folds_of(20, 2), 2).sum(axis=0).tolist() == [25, 25]


def test_sources_of_one_pool_do_not_judge_each_other():
    sections = {"tiny_imagenet": {}, "cutpaste": {}, "hard_pool": {"of": "tiny_imagenet"}, "procedural": {}}
    assert (
        not_judged_by("tiny_imagenet", sections)
        == not_judged_by("hard_pool", sections)
        == ["tiny_imagenet", "hard_pool"]
    )
    assert not_judged_by("cutpaste", sections) == ["cutpaste"]


def test_targets_are_shares_of_the_largest_strength():
    assert targets("a", "x", 3, None).tolist() == [1, 1, 1]
    assert targets("a", "x", 3, np.array([0, 2, 4])).tolist() == [0, 0.5, 1]
    with pytest.raises(
        InputError, match="task 'a': the anomalies of 'x' all have the strength 0, so that a regression has noth"
    ):
        targets("a", "x", 2, np.zeros(2))
