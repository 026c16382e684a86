"""What is recommended, in words and numbers; and what is said of more normal images."""

import doctest
import json
import math

import numpy as np
import pandas as pd
import pytest
import scored
from studies import study

from swsa_core.basics.errors import InputError
from swsa_core.detectors.scores import banks_of
from swsa_core.evaluation import members, unusual
from swsa_core.evaluation.protocols import LEADING, compare
from swsa_core.files.text import write_json
from swsa_core.metrics import auroc
from swsa_core.report.recommendation import ALONE, in_words, markdown, over_limits, read_recommendation, recommendation
from swsa_core.report.support_curve import told

NAMES = ["net", "net patch", "descriptor:<hog>"]
KEYS = {
    "task", "pick", "verdict", "in_words", "reason", "normals", "sources", "runners_up", "ms", "mb", "licence",
    "support_curve",
}  # fmt: skip


def point(n, picks, loss=0.0):
    repeats = sum(picks.values())
    spread = {"auroc": 0.9, "low": 0.8, "high": 1.0}
    return {"n": n, "repeats": repeats, "picks": picks, **spread, "loss": loss, "verdict": {"close call": repeats}}


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], ""),
        ([point(60, {"a": 1})], ""),
        (
            [point(10, {"a": 9, "b": 1}), point(12, {"a": 1})],
            "With 10 images the pick is another one in 1 of 10 draws: 12 images are too few to tell",
        ),
        (
            [point(10, {"b": 6, "a": 4}), point(38, {"a": 9, "b": 1}), point(60, {"a": 1})],
            "With 10 images the pick is another one in 6 of 10 draws. From 38 of the 60 images on the pick is the same",
        ),
        ([point(10, {"a": 10}), point(60, {"a": 1})], "From 10 of the 60 images on the pick is the same"),
        (
            [point(10, {"a": 10}), point(38, {"a": 6, "b": 4}, 0.004), point(60, {"a": 1})],
            "With 38 images the pick is another one in 4 of 10 draws, but those picks are as good to within 0.01",
        ),
        (
            [point(38, {"a": 6, "b": 4}, 0.03), point(60, {"a": 1})],
            "loses 0.030 of AUROC on average: more than 60 images",
        ),
    ],
)
def test_whether_more_images_help(points, expected):
    assert told(points).startswith(expected) if expected.startswith(("With", "From")) else expected in told(points)
    assert bool(told(points)) == bool(expected)


def made(names=NAMES, strategies=("swsa_cutpaste",), curve=None):
    """The recommendation of a made-up data set of two tasks, whose tables are of other numbers than its scores."""
    of = study({"d": (["a", "b"], False)}, names, sources=["cutpaste"], protocols=[LEADING])
    scores = {name: scored.study(seed=number).scores() for number, name in enumerate(names)}
    supports = [
        one | {"paths": {name: f"/images/{name}" for bank in banks_of([one]).values() for name in bank}}
        for one in scored.study().supports
    ]
    costs = {"network": ["net", "net", "hog"][: len(names)], "median_ms": [30.0, 32.0, 5.0][: len(names)]}
    costs |= {"head_ms": 1.0, "weights_mb": 20.0, "bank_mb": 0.5, "licence": "mit", "candidate": names}
    tables = (of[name].drop(columns="dataset") for name in ("selection", "auroc", "confidence"))
    return recommendation(
        "d", strategies, *tables, pd.DataFrame(costs), scores, supports, curve, {"big <net>": "its licence"}, 0, 100
    )


def test_a_program_finds_every_key_and_no_nan():
    rows = [("a", n, draw, NAMES[0], 0.9, 0.0, "close call") for n, draw in ((10, 0), (10, 1), (20, 0))]
    found = made(curve=pd.DataFrame(rows, columns=["task", "n", "draw", "pick", "auroc", "loss", "verdict"]))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert [one["task"] for one in found["tasks"]] == ["a", "b"] and found["strategy"] == "swsa_cutpaste"
    assert found["left_out"] == [{"candidate": "big <net>", "why": "its licence"}]
    for one in found["tasks"]:
        assert one.keys() >= KEYS and len(one["pick"]) == 1 and one["licence"] == "mit"
        assert [source["source"] for source in one["sources"]] == ["cutpaste"]
        assert one["sources"][0]["low"] <= one["sources"][0]["auroc"] <= one["sources"][0]["high"]
        aurocs = [other["auroc"] for other in one["runners_up"]]
        assert aurocs == sorted(aurocs, reverse=True) and len(aurocs) == 2
        assert {other["candidate"] for other in one["runners_up"]} | set(one["pick"]) == set(NAMES)
        assert all(other["alike"] == (other["candidate"] in NAMES[:2]) for other in one["runners_up"])
        assert len(one["unusual"]) == 3 and one["unusual"][0]["path"].startswith("/images/")
    first, second = found["tasks"]
    assert [(p["n"], p["repeats"], p["picks"]) for p in first["support_curve"]] == [
        (10, 2, {"net": 2}),
        (20, 1, {"net": 1}),
    ]
    assert first["normals"] == 8 and second["support_curve"] == [] and second["more_images"] == ""


def test_a_file_that_is_no_recommendation_is_refused(tmp_path):
    path = tmp_path / "recommendation.json"
    write_json(path, made())
    assert read_recommendation(path) == made()
    for wrong in ([], {"dataset": "d", "tasks": [{"task": "a"}], "left_out": []}, {"dataset": "d"}):
        write_json(path, wrong)
        with pytest.raises(InputError, match=r"recommendation\.json does not hold the recommendation of a data set"):
            read_recommendation(path)


def test_of_one_candidate_it_is_said_that_nothing_was_chosen():
    one = made(names=NAMES[:1])["tasks"][0]
    assert one["verdict"] == ALONE and one["runners_up"] == [] and "nothing was chosen" in one["in_words"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"verdict": "clear", "reason": "the sources agree"}, "Deploy a. The choice is clear: the sources agree."),
        ({"verdict": "close call", "alike": ["a", "b", "c"]}, "a close call: 2 other candidates cannot be told apart"),
        ({"verdict": "no basis", "reason": "why"}, "no basis for the choice: why. Try it on real defects"),
        (
            {"pick": ["a", "b", "c"], "verdict": "close call"},
            "Deploy a, b and c together. The choice of the best single",
        ),
        ({"sources": [{"source": "cutpaste", "auroc": 0.984}]}, "higher in 98 (CutPaste)."),
        ({"sources": [{"source": "cutpaste", "auroc": 0.9966}]}, "higher in more than 99 (CutPaste)."),
        ({"sources": [{"source": "cutpaste", "auroc": 1.0}]}, "higher in 100 (CutPaste)."),
        ({"unusual": [{"image": "x.png", "far": True}]}, "Look at x.png: it is far more unusual"),
    ],
)
def test_words_for_people(changes, expected):
    one = {"pick": ["a"], "verdict": "", "reason": "", "alike": [], "sources": [], "unusual": []}
    assert expected in in_words(one | changes)


def test_the_markdown_holds_no_markup_of_names():
    found = made()
    text = markdown(found)
    assert "<hog>" not in text and "descriptor:&#60;hog&#62;" in text
    assert "## Left out" in text and "* big &#60;net&#62;: its licence" in text
    assert "## a" in text and "## b" in text and "nan" not in text


def test_candidates_over_a_limit_are_told_with_what_they_cost():
    costs = {"candidate": NAMES, "network": NAMES, "median_ms": [30.0, 50, 5], "head_ms": 1, "weights_mb": [20, 20, 0]}
    costs = pd.DataFrame(costs | {"bank_mb": [1.0, 30, 1]})
    assert over_limits(costs, None, None) == {}
    found = over_limits(costs, 40, 25)
    assert list(found) == ["net patch"]
    assert found["net patch"] == (
        "one image takes 50.0 ms, more than selection.max_ms: 40 and it has 50.0 MB, more than selection.max_mb: 25"
    )


def test_members_together_have_the_scores_of_the_deployed_detector():
    scores = [scored.study(seed=seed).scores() for seed in (0, 1)]
    assert members.as_one(scores[:1]) is scores[0]
    one = members.as_one(scores)
    for source in ("one", "two", "pool"):
        comparison = compare(one, "b", source, LEADING)
        normals = one.of_task(one.support, "b")["scores"]
        labels = np.arange(len(normals) + len(comparison.scores)) >= len(normals)
        assert comparison.auroc == pytest.approx(auroc(np.concatenate([normals, comparison.scores]), labels))
        assert math.isfinite(comparison.auroc)


def test_what_is_far_out():
    assert doctest.testmod(unusual).failed == 0
    assert (unusual.far_out(np.ones(5)) == 0).all()
    assert unusual.far_out(np.array([-1.0, -1.1, -0.9, -1.05, 5]))[-1] > unusual.FAR
