"""A source misleads where a candidate that is known to be bad wins by its anomalies."""

import pandas as pd
import pytest

from swsa_core.basics.errors import InputError
from swsa_core.candidates import is_known_bad
from swsa_core.config.config import validate
from swsa_core.config.study import study
from swsa_core.evaluation.misleading import misleading


def table(**aurocs):
    """Rows of one task and source: {candidate: AUROC}."""
    rows = [("t", name, "mix", "paired", "all", value) for name, value in aurocs.items()]
    return pd.DataFrame(rows, columns=["task", "candidate", "validation", "protocol", "n_anomalies", "auroc"])


@pytest.mark.parametrize(
    ("aurocs", "found"),
    [
        ({"good": 0.7, "bad": 0.8}, [("t", "mix", "bad")]),
        ({"good": 0.8, "bad": 0.7}, []),
        ({"good": 1.0, "bad": 1.0}, []),  # a tie says nothing
        ({"bad": 0.8}, []),  # nothing to compare with
        ({"good": float("nan"), "bad": 0.8}, []),
    ],
)
def test_a_known_bad_candidate_that_wins_is_told(aurocs, found):
    assert misleading(table(**aurocs), {"bad"}) == found
    assert misleading(table(**aurocs), set()) == []
    assert misleading(pd.concat([table(**aurocs), table(**aurocs).assign(protocol="paper")]), ["bad"]) == found


def test_real_anomalies_and_hardest_ones_do_not_count():
    rows = table(good=0.7, bad=0.8)
    assert (
        misleading(rows.assign(validation="real"), {"bad"}) == [] == misleading(rows.assign(n_anomalies="10"), {"bad"})
    )


def test_known_bad_are_colour_histograms_and_what_the_config_says_and_no_stage_tracks_it(tmp_path):
    def config(*candidates):
        return validate(
            {"datasets": {"digits": {"kind": "digits"}}, "sources": {"cutpaste": {}}, "candidates": [*candidates]}
        )

    plain = config("descriptor:hog", "descriptor:color_histogram")
    assert [is_known_bad(one) for one in plain["candidates"]] == [False, True]
    assert all("known_bad" not in one for one in plain["candidates"])
    told = config({"model": "descriptor:hog", "known_bad": True}, "descriptor:color_histogram")
    assert is_known_bad(told["candidates"][0])
    assert study(told).leaves["candidates"] == study(plain).leaves["candidates"]
    with pytest.raises(InputError, match="known_bad"):
        config({"model": "descriptor:hog", "known_bad": "perhaps"})
