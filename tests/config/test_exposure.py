"""Outlier exposure in the config: names, what is shared, mistakes, and what of a study without it stays as it was."""

import pytest

from swsa_core.basics.errors import InputError
from swsa_core.config.check import check
from swsa_core.config.config import validate
from swsa_core.config.study import study

BASE = {
    "datasets": {"digits": {"kind": "digits"}},
    "sources": {"cutpaste": {}, "other_tasks": {}},
    "knn": {"distance": "l2"},
}
PLAIN = "mini:vit_s"
HEADLESS = {"model": "timm:resnet18", "args": {"num_classes": 0}}


def config(*candidates, **more):
    return validate(BASE | {"candidates": list(candidates)} | more)


def exposed(model=PLAIN, name=None, **keys):
    named = {"name": name} if name else {}
    return {"model": model, "exposure": {"source": "cutpaste"} | keys} | named


def test_names_say_source_and_task():
    candidates = config(PLAIN, exposed(), exposed(task="regression"), exposed(name="mine", epochs=2))["candidates"]
    assert [one["name"] for one in candidates] == [
        *(PLAIN, "mini:vit_s+cutpaste classification", "mini:vit_s+cutpaste regression", "mine")
    ]


def test_the_network_before_is_shared_and_scores_are_a_stage_of_their_own():
    made = study(config({"model": PLAIN, "heads": ["cosine", "knn"]}, exposed(), "descriptor:hog"))
    check(made)
    assert list(made.backbones) == ["mini-vit_s", "descriptor-hog"]
    assert made.heads == {"knn": ["mini-vit_s", "descriptor-hog"], "cosine": ["mini-vit_s-cosine"]}
    assert made.before == {"mini-vit_s-cutpaste-classification": "mini-vit_s"}
    assert made.leaves["before_after"] == {"mini:vit_s+cutpaste classification": [PLAIN, "cutpaste", "classification"]}
    assert [len(tasks) for tasks in made.chunks["digits"].values()] == [10]
    assert [len(tasks) for tasks in made.batches["digits"].values()] == [1] * 10
    turned = study(config(exposed(), PLAIN))
    assert turned.config["figures"]["space"] == PLAIN  # whose features a figure shows
    assert list(turned.backbones) == ["mini-vit_s"], "named after the network before, so that no order embeds it again"


def test_tasks_are_divided_among_jobs():
    made = study(config(PLAIN, exposed(), runtime={"tasks_per_job": 4}))
    assert {chunk: len(tasks) for chunk, tasks in made.chunks["digits"].items()} == {"0": 4, "1": 4, "2": 2}
    assert made.batches == made.chunks


def test_without_exposure_what_is_tracked_is_as_before():
    made = study(config(PLAIN))
    assert "exposure" not in made.config["candidates"][0] and made.leaves["exposures"] == {}
    assert all("exposure" not in one for one in study(config(PLAIN, exposed())).leaves["candidates"].values())


@pytest.mark.parametrize(
    ("candidates", "sections", "sentence"),
    [
        ([PLAIN, exposed(source="defects")], {}, "exposure.source: 'defects' is not among `sources`, known: cutpaste, other_"),
        (
            [PLAIN, exposed(source="other_tasks", task="regression")], {},
            "whose anomalies have no strength that `task: regression` could predict: take diffusion, text_guided, cutpaste",
        ),
        (
            [PLAIN, exposed(task="regression")], {"sources": {"cutpaste": {"area": [0.1, 0.1]}}},
            r"received 'cutpaste', whose anomalies all have the same strength \(\[0.1, 0.1\]\)",
        ),
        (
            [PLAIN, exposed(source="diffusion", task="regression")],
            {"sources": {"diffusion": {"model": "mini:adm_32"}}, "preparation": {"size": 32}},
            "received 'diffusion', whose anomalies have no graded strength, so that `task: regression` has nothing to predict",
        ),
        (["descriptor:hog", exposed("descriptor:hog")], {}, "descriptor:hog: exposure.source: 'cutpaste' cannot train it"),
        (["mini:clip", exposed("mini:clip")], {}, "mini:clip: exposure.source: 'cutpaste' cannot train it, as it has no"),
        (
            [HEADLESS, exposed("timm:resnet18") | HEADLESS], {},
            "timm:resnet18: exposure.source: 'cutpaste' cannot train it, as it has no classification head",
        ),
        ([PLAIN, exposed() | {"head": "cosine"}], {}, "`exposure` goes with the head knn alone: remove `head`, `heads` and"),
        ([PLAIN, exposed()], {"knn": {}}, "knn.distance: received 'squared_l2', but mini:vit_s.cutpaste classification is sc"),
        ([exposed()], {}, "nothing tells what fine-tuning changed: list mini:vit_s without `exposure`"),
        ([PLAIN, exposed() | {"crop": 16}], {}, "nothing tells what fine-tuning changed: list mini:vit_s without `exposure`"),
        ([PLAIN, exposed()], {"figures": {"space": "mini:vit_s+cutpaste classification"}}, "figures.space: .* is no"),
    ],
)  # fmt: skip
def test_mistakes_are_told(candidates, sections, sentence):
    with pytest.raises(InputError, match=sentence):
        config(*candidates, **sections)


def test_mistakes_that_need_the_data_sets_are_told():
    one = {"datasets": {"one": {"kind": "digits", "tasks": ["3"]}, "all": {"kind": "digits"}}}
    with pytest.raises(
        InputError, match=r"exposure.source: 'other_tasks' takes the images of other tasks, but data set 'one' has"
    ):
        check(study(config(PLAIN, exposed(source="other_tasks"), **one)))
    with pytest.raises(
        InputError, match=r"exposure.folds: received 3, but a task of data set 'digits' has 4 seeds, expected at"
    ):
        check(study(config(PLAIN, exposed(folds=3), support={"seeds": 4})))
