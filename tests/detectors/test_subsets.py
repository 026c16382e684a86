"""Scores by smaller support sets are those that a head gives where there are no other images."""

import numpy as np
import pytest
import scored

from swsa_core.detectors import HEADS
from swsa_core.detectors.scores import Anomalies, Features
from swsa_core.detectors.subsets import redrawn
from swsa_core.evaluation.protocols import LEADING, compare

PATCHES = (9, 4)  # of an image, and numbers of each
SETTINGS = {
    "knn": {"knn": {"k": 2, "distance": "squared_l2", "l2_normalize": False}},
    "cosine": {"k": 2},
    "mahalanobis": {},
    "patch": {"bank": 10_000, "seed": 0},
}
SMALLER = {"a": (4, 1), "b": (3, 3)}  # seeds and held-out images


def embeddings(head):
    """What a head compares of a made-up data set of two tasks."""
    made = scored.study()
    if not HEADS[head].patches:
        return {
            "supports": made.supports, "images": made.images, "test_ids": made.test_ids, "prepared": made.prepared,
            "anomalies": made.anomalies,
        }  # fmt: skip
    generator = np.random.default_rng(0)
    draw = lambda n: generator.normal(size=(n, *PATCHES)).astype(np.float16)  # noqa: E731
    images, prepared = (Features(draw(len(one.image_ids)), one.image_ids) for one in (made.images, made.prepared))
    anomalies = {name: Anomalies(draw(len(one.tasks)), one.tasks, one.parents) for name, one in made.anomalies.items()}
    return {"supports": made.supports, "images": images, "test_ids": [], "prepared": prepared, "anomalies": anomalies}


def smaller(supports):
    return [
        one
        | {
            "seed_ids": one["seed_ids"][: SMALLER[one["task"]][0]],
            "held_out_ids": one["held_out_ids"][: SMALLER[one["task"]][1]],
        }
        for one in supports
    ]


@pytest.mark.parametrize("head", HEADS)
def test_smaller_sets_are_scored_as_if_there_were_no_other_images(head):
    given = embeddings(head)
    whole = HEADS[head].score(**given, **SETTINGS[head], dataset="made up")
    draw = redrawn(HEADS[head], whole, given, SETTINGS[head], "made up")
    few = smaller(given["supports"])
    known = {(one["task"], name) for one in few for name in (*one["seed_ids"], *one["held_out_ids"])}
    kept = {}
    for source, made in given["anomalies"].items():
        rows = [
            row
            for row, (task, parents) in enumerate(zip(made.tasks, made.parents, strict=True))
            if all((task, parent) in known for parent in parents)
        ]
        kept[source] = Anomalies(made.features[rows], made.tasks[rows], made.parents[rows])
    alone = HEADS[head].score(**given | {"supports": few, "anomalies": kept}, **SETTINGS[head], dataset="made up")
    for supports, expected in ((given["supports"], whole), (few, alone)):
        found = draw(supports)
        assert found.tasks == expected.tasks and found.anomalies.keys() == expected.anomalies.keys()
        for task in expected.tasks:
            for source in expected.anomalies:
                one, other = (compare(of, task, source, LEADING) for of in (found, expected))
                np.testing.assert_array_equal(one.parents, other.parents)
                np.testing.assert_allclose(one.scores, other.scores, rtol=1e-4)
                np.testing.assert_allclose(one.wins, other.wins)
    assert 0 < len(alone.anomalies["two"]["task"]) < len(whole.anomalies["two"]["task"])


def test_few_patches_give_at_most_the_score_of_all(monkeypatch):
    given = embeddings("patch")
    whole = HEADS["patch"].score(**given, **SETTINGS["patch"], dataset="made up")
    few = smaller(given["supports"])
    by_all = redrawn(HEADS["patch"], whole, given, SETTINGS["patch"], "made up")(few)
    monkeypatch.setattr("swsa_core.detectors.score_patch.DECIDING", 2)
    by_two = redrawn(HEADS["patch"], whole, given, SETTINGS["patch"], "made up")(few)
    for source in by_all.anomalies:
        one, other = by_two.anomalies[source]["scores"], by_all.anomalies[source]["scores"]
        assert (one <= other).all() and (one == other).any()
