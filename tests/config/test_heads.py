"""Heads in the config: which candidates they make, what they share, and what of a config without them stays as it was."""

import pytest

from swsa_core.basics.errors import InputError
from swsa_core.config.config import validate
from swsa_core.config.study import study
from swsa_core.detectors import HEADS

BASE = {"datasets": {"digits": {"kind": "digits"}}, "sources": {"cutpaste": {}}}


def config(*candidates, **more):
    return validate(BASE | {"candidates": list(candidates)} | more)


def names(*candidates):
    return [one["name"] for one in config(*candidates)["candidates"]]


def test_heads_make_a_candidate_each_named_after_the_model():
    assert names({"model": "mini:vit_s", "heads": list(HEADS)}) == [
        *("mini:vit_s", "mini:vit_s cosine", "mini:vit_s mahalanobis", "mini:vit_s patch"),
    ]
    assert names({"model": "mini:vit_s", "head": "cosine"}) == ["mini:vit_s cosine"]
    assert names({"model": "mini:vit_s", "name": "mine", "head": "cosine"}) == ["mine"]
    assert names({"model": "mini:vit_s", "name": "mine", "heads": ["knn", "cosine"]}) == ["mine", "mine cosine"]


@pytest.mark.parametrize(
    ("candidate", "sentence"),
    [
        ({"model": "mini:vit_s", "head": "cosin"}, "mini:vit_s: there is no head 'cosin', did you mean 'cosine'"),
        ({"model": "mini:vit_s", "head": "knn", "heads": ["cosine"]}, "has both `head` and `heads`: name them all"),
        (
            {"model": "descriptor:hog", "head": "patch"},
            "descriptor:hog has no feature maps whose patches the head patch",
        ),
        ({"model": "mini:vit_s", "layers": [1]}, "mini:vit_s: layers are those of the head patch: add it to `heads`"),
        ({"model": "mini:vit_s", "heads": ["knn", "knn"]}, "heads: .*knn"),
        ({"model": "mini:vit_s", "heads": []}, "heads"),
    ],
)
def test_mistakes_are_told(candidate, sentence):
    with pytest.raises(InputError, match=sentence):
        config(candidate)


def test_two_candidates_of_one_name_are_refused():
    with pytest.raises(InputError, match="duplicate candidate names"):
        config({"model": "mini:vit_s", "heads": ["knn", "cosine"]}, {"model": "mini:vit_s", "head": "cosine"})


def test_heads_share_a_backbone_and_its_slug_is_that_of_the_model():
    made = study(
        config(
            {"model": "mini:vit_s", "heads": ["cosine", "knn", "patch"]}, "descriptor:hog", clip={"model": "mini:clip"}
        )
    )
    assert list(made.backbones) == ["mini-vit_s", "descriptor-hog", "mini-clip"]
    assert list(made.candidates) == ["mini-vit_s-cosine", "mini-vit_s", "mini-vit_s-patch", "descriptor-hog"]
    assert made.shared["mini-vit_s-patch"] == "mini-vit_s" and made.shared["mini-clip"] == "mini-clip"
    assert made.heads == {
        "knn": ["mini-vit_s", "descriptor-hog"], "cosine": ["mini-vit_s-cosine"], "patch": ["mini-vit_s-patch"]
    }  # fmt: skip
    assert made.grids == {"mini-vit_s": "grid_14"}
    other_layers = {"model": "mini:vit_s", "name": "other", "head": "patch", "layers": [0]}
    assert len(study(config({"model": "mini:vit_s", "heads": ["knn", "patch"]}, other_layers)).backbones) == 2


def test_without_heads_what_is_tracked_is_as_before_there_were_any():
    made = study(config("mini:vit_s", "descriptor:hog"))
    assert made.grids == {} and list(made.heads) == ["knn"]
    keys = ["name", "model", "weights", "args", "mean", "std", "resize", "crop", "interpolation"]
    assert all(list(one) == keys for one in made.leaves["candidates"].values())
    assert "patch" not in made.config and "selection" not in made.config and made.leaves["max_members"] is None
    assert study(config("mini:vit_s", selection={"max_members": 3})).config["selection"] == {"max_members": 3}


def test_a_limit_of_what_an_image_costs_binds_what_is_recommended():
    limit = {"selection": {"max_ms": 40}}
    for strategies in (None, ["swsa_cutpaste", "swsa"]):
        with pytest.raises(
            InputError, match=r"selection\.max_ms: received 40, but swsa_cutpaste makes .*: list swsa before"
        ):
            config("mini:vit_s", **limit, strategies=strategies)
    assert (
        config("mini:vit_s", **limit, strategies=["swsa_ensemble", "swsa", "swsa_cutpaste"])["selection"]["max_ms"]
        == 40
    )
