"""The interval of a synthetic AUROC: against SciPy, and by simulation of images that share effects."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import scored
from scipy.stats import binomtest

from swsa_core.evaluation.intervals import auroc_interval, clopper_pearson, most_draws
from swsa_core.evaluation.protocols import PROTOCOLS, Comparison, compare

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "coverage.py"
spec = importlib.util.spec_from_file_location("coverage_of_intervals", SCRIPT)
study = importlib.util.module_from_spec(spec)
spec.loader.exec_module(study)


@pytest.mark.parametrize("won", [0, 1, 7, 12])
def test_for_whole_numbers_it_is_the_exact_interval(won):
    expected = binomtest(won, 12).proportion_ci(0.9, method="exact")
    assert clopper_pearson(won / 12, 12, 0.9) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("source", ["one", "two", "pool"])
def test_the_interval_stays_open_where_every_anomaly_wins(protocol, source):
    most = most_draws(compare(scored.study().scores(), "a", source, protocol))
    low, high = auroc_interval(1.0, 0.0, most)
    assert 0.3 < low < 0.95 and high == 1
    low, high = auroc_interval(0.0, 0.0, most)
    assert low == 0 and 0.05 < high < 0.7


def test_it_holds_the_auroc_and_widens_with_the_variance():
    aurocs = np.linspace(0, 1, 21)
    widths = []
    for variance in (0, 0.001, 0.004, 0.02):
        low, high = auroc_interval(aurocs, np.full(21, variance), 50)
        assert (low >= 0).all() and (low <= aurocs).all() and (aurocs <= high).all() and (high <= 1).all()
        widths.append(high - low)
    assert (np.diff(widths, axis=0) >= 0).all()


def test_a_normal_for_each_anomaly_counts_as_the_pairs_that_there_are():
    one_each = Comparison(np.zeros(25), np.ones((25, 1)), np.full(1, -1), np.arange(25)[:, None], 25)
    assert most_draws(one_each) == pytest.approx(25)
    all_pairs = Comparison(np.zeros(25), np.ones((25, 25)), np.arange(25), np.full((25, 1), -1), 25)
    assert 25 < most_draws(all_pairs) < 50


@pytest.mark.parametrize("auroc", [0.76, 0.96, 0.98])
@pytest.mark.parametrize(("design", "protocol"), [
    (name, protocol) for name, design in study.DESIGNS.items() for protocol in ("leave_one_out", "paired")
    if design.parents.shape[1] or protocol == "leave_one_out"
])  # fmt: skip
def test_the_true_auroc_is_inside_as_often_as_said(design, protocol, auroc):
    generator = np.random.default_rng(1)
    (coverage, width), (_, before) = study.simulate(study.DESIGNS[design], protocol, 0.5, auroc, 300, 200, generator)
    assert coverage >= 0.93
    assert width < 1.35 * before + 0.17
