"""Alarm levels: p-values, what n normal images can promise, and how often the promise comes true."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from swsa_core.detect.level import least_rate, level_of, p_values, realised, told
from swsa_core.detect.run import Tally


def test_an_alarm_is_a_p_of_at_most_the_wanted_rate():
    rng = np.random.default_rng(0)
    for n in (5, 19, 20, 100):
        normals, scores = rng.normal(size=n), rng.normal(size=500)
        for rate in (0.01, 0.05, 0.1, 0.5):
            alarms = scores > level_of(normals, rate)
            np.testing.assert_array_equal(alarms, p_values(scores, normals) <= rate + 1e-9)


def test_ties_with_a_normal_image_are_no_alarm():
    normals = np.arange(19.0)
    assert p_values(np.array([18.0, 18.1]), normals).tolist() == [0.1, 0.05]
    assert level_of(normals, 0.05) == 18.0


def test_few_images_promise_little():
    assert level_of(np.arange(10.0), 0.05) == math.inf
    assert realised(10, 0.05) == (0.0, 0.0)
    assert least_rate(10) == pytest.approx(1 / 11)
    assert "1 false alarm in 11" in told(10)


@pytest.mark.parametrize(("n", "rate"), [(20, 0.05), (60, 0.05), (60, 0.1), (200, 0.05)])
def test_the_realised_rate_lies_in_its_interval(n, rate):
    """Of normals and new images of one law, whatever it is: the share beyond the level is a Beta variable."""
    rng = np.random.default_rng(1)
    levels = np.array([level_of(rng.exponential(size=n), rate) for _ in range(2000)])
    shares = np.exp(-levels)  # of all images to come
    low, high = realised(n, rate)
    assert 0.93 <= np.mean((shares >= low) & (shares <= high)) <= 0.97
    assert shares.mean() == pytest.approx(math.floor(rate * (n + 1) + 1e-9) / (n + 1), abs=0.005)


@pytest.mark.parametrize(
    ("shift", "expected"),
    [
        (3, "do not look like the normal images that the detector was made of"),
        (-3, "are more like the normal images that the detector was made of than those are like each other"),
        (0, None),
    ],
)
def test_images_that_differ_as_a_whole_are_told(capsys, shift, expected):
    draws = np.random.default_rng(0)
    tally = Tally(SimpleNamespace(normals=draws.normal(size=60)), 0.1)
    tally.scores.append(draws.normal(size=50) + shift)
    tally.told(1)
    lines = [line for line in capsys.readouterr().err.splitlines() if "as a whole" in line]
    assert [expected in line for line in lines] == ([True] if expected else [])
