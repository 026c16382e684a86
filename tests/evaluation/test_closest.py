"""The closest real anomalies: the table and the scores name the same group where each candidate has its own."""

from dataclasses import replace

import pandas as pd
import pytest
from scored import SPEC, study

from swsa_core.evaluation.closest import Closest, closest_in_table, closest_of_scores
from swsa_core.evaluation.evaluate import evaluate

SIZES = (8, 10, 9, 8)


@pytest.fixture(scope="module")
def made():
    one = study(sizes=SIZES)
    return one, {"vit": one.scores(), "other": study(1, SIZES).scores()}


def table(made, closest="candidate"):
    one, scores = made
    return evaluate(scores, one.index, SPEC, protocols=[], settings=["one_vs_closest"], closest=closest)


@pytest.mark.parametrize("candidate", ["vit", "other"])
@pytest.mark.parametrize("whole_numbers", [False, True])  # without ties and with
def test_table_and_scores_agree(candidate, whole_numbers):
    studies = {name: study(seed, SIZES, whole_numbers=whole_numbers) for seed, name in enumerate(("vit", "other"))}
    one, scores = studies["vit"], {name: of.scores() for name, of in studies.items()}
    found = closest_in_table(table((one, scores)), one.index, SPEC, candidate, set(one.images.image_ids))
    assert found == {task: closest_of_scores(scores[candidate], one.index, SPEC, task) for task in "abcd"}
    for task, closest in found.items():
        assert closest.group != task
        assert closest.image_ids == [f"{closest.group}/test{i}" for i in range(9)]


def test_a_shared_closest_class_is_that_of_the_table(made):
    one, scores = made
    shared = table(made, "shared")
    found = {
        name: closest_in_table(shared, one.index, SPEC, name, set(one.images.image_ids)) for name in ("vit", "other")
    }
    assert found["vit"] == found["other"]
    assert any(closest_of_scores(scores["other"], one.index, SPEC, task) != found["other"][task] for task in "abcd")


def test_images_without_features_are_left_out(made):
    one, _ = made
    rows = pd.DataFrame(
        [["a", "vit", "real", "one_vs_closest", "b"]], columns=["task", "candidate", "validation", "setting", "closest"]
    )
    found = closest_in_table(rows, one.index, SPEC, "vit", set(one.images.image_ids) - {"b/test3"})
    assert found == {"a": Closest("b", [f"b/test{i}" for i in range(9) if i != 3])}


def test_a_task_without_labels_has_no_real_anomalies(made):
    one, scores = made
    unlabelled = one.index[one.index["group"] == "a"]
    assert closest_of_scores(scores["vit"], unlabelled, SPEC, "a") == Closest("", [])
    assert closest_of_scores(scores["vit"], one.index, SPEC | {"min_group_size": 99}, "a") == Closest("", [])


def test_an_image_that_could_not_be_read_is_left_out(made):
    one, scores = made
    before = closest_of_scores(scores["vit"], one.index, SPEC, "b")
    read = scores["vit"].test["image_id"] != before.image_ids[0]
    fewer = replace(scores["vit"], test={name: values[read] for name, values in scores["vit"].test.items()})
    after = closest_of_scores(fewer, one.index, SPEC, "b")
    assert before.image_ids[0] not in after.image_ids
    assert before.group != after.group or after.image_ids == before.image_ids[1:]
