"""What may be believed of a pick, case by case."""

import numpy as np
import pytest

from swsa_core.strategies.swsa_source import _warning
from swsa_core.strategies.verdict import CLEAR, CLOSE, NO_BASIS, is_saturated, judge

PARAMETERS = np.array([9.0, 1.0, 4.0])
TOLD = {"one": np.array([0.9, 0.7, 0.6]), "other": np.array([0.95, 0.7, 0.8])}
AGREED = {"one": np.array([0.9, 0.1, 0.0]), "other": np.array([0.7, 0.3, 0.3])}


def judged(together=(0.9, 0.04, 0.0), synthetic=TOLD, near=AGREED, pick=0, own=("one",)):
    return judge(pick, synthetic, near, np.array(together), PARAMETERS, own)


def test_clear_where_sources_agree():
    assert judged()[::2] == (CLEAR, (0,))


def test_one_source_is_never_clear():
    alone = {"synthetic": {"one": TOLD["one"]}, "near": {"one": np.array([1.0, 0, 0])}}
    assert judged((1.0, 0, 0), **alone).verdict == NO_BASIS
    assert judged((1.0, 0.2, 0), **alone)[::2] == (CLOSE, (1, 0))


@pytest.mark.parametrize("own", [["one", "other"], []])
def test_sources_of_one_kind_are_never_clear(own):
    assert judged(own=own).verdict == NO_BASIS
    assert judged((0.9, 0.1, 0), own=own).verdict == CLOSE


def test_a_saturated_source_does_not_count_as_a_second_one():
    easy = TOLD | {"other": np.array([1.0, 0.995, 0.9])}
    assert is_saturated(easy["other"]) and not is_saturated(np.array([1.0, 0.9, 0.9]))
    assert judged((0.9, 0.3, 0), synthetic=easy).verdict == CLOSE
    assert judged(synthetic=dict.fromkeys(TOLD, easy["other"])).verdict == NO_BASIS


def test_a_source_that_the_pick_was_trained_on_is_not_asked():
    more = {"third": np.array([0.95, 0.7, 0.8])}, {"third": np.array([0.7, 0.3, 0.3])}
    synthetic, near = ({**known, **new} for known, new in zip((TOLD, AGREED), more, strict=True))
    synthetic["other"], near["other"] = np.array([np.nan, 0.7, 0.8]), np.array([np.nan, 0.7, 0.8])
    assert judged(synthetic=synthetic, near=near).verdict == CLEAR, "by the first and the third"
    assert judged(synthetic=synthetic, near=near, own=("one", "third")).verdict == NO_BASIS, "of one kind"


def test_a_warning_counts_the_candidates_that_have_an_auroc():
    assert "2 of 3 candidates" in _warning(np.array([0.4, 0.4, 0.9, np.nan, np.nan]), 0.9)
    assert _warning(np.array([0.4, 0.6, 0.9, np.nan, np.nan]), 0.9) == ""


def test_a_close_call_names_the_cheapest_first():
    assert judged((0.5, 0.4, 0.05))[::2] == (CLOSE, (1, 2, 0))
    assert judged((0.9, 0.4, 0.0), near=AGREED | {"other": np.array([0.4, 0.6, 0.1])}).verdict == CLOSE


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"synthetic": {name: aurocs - 0.4 for name, aurocs in TOLD.items()}}, "below 0.6"),
        ({"together": (0.0, 0.9, 0.9)}, "rule out the pick"),
        (
            {
                "synthetic": TOLD | {"other": np.array([0.7, 0.9, 0.7])},
                "near": {"one": np.array([1.0, 0, 0]), "other": np.array([0, 1.0, 0])},
            },
            "contradict",
        ),
    ],
)
def test_no_basis(changes, reason):
    found = judged(**changes)
    assert found.verdict == NO_BASIS and reason in found.reason
