"""Test images that are copies of training images: found by their features and confirmed, and left out where that is wanted."""

import numpy as np
import pandas as pd
import pytest
import scored
from sklearn.metrics import roc_auc_score

from swsa_core.basics.errors import InputError
from swsa_core.detectors.scores import Features
from swsa_core.evaluation.consensus import qualities
from swsa_core.evaluation.evaluate import evaluate
from swsa_core.evaluation.leaks import check_no_leaks, leaks, left_out, without_normals


def leaked(noise=0.0):
    """A study in which a/test0 is a/train0, b/test3 is a/train0 too, and a/test5 is b/train1."""
    study = scored.study(sizes=(12, 12), d=20)
    features, ids = study.images.features.copy(), list(study.images.image_ids)
    for test, train in COPIES:
        features[ids.index(test)] = features[ids.index(train)] + noise
    study.images = Features(features, study.images.image_ids)
    return study


COPIES = [("a/test0", "a/train0"), ("b/test3", "a/train0"), ("a/test5", "b/train1")]


def found(study, same=lambda *pair: "same" if pair in COPIES else ""):
    return leaks(study.images, study.index, study.supports, scored.SPEC, same)


@pytest.mark.parametrize("noise", [0.0, 1e-5])
def test_each_task_knows_its_leaks(noise):
    asked = []
    table = found(leaked(noise), lambda *pair: asked.append(pair) or ("same" if pair in COPIES else ""))
    assert list(table.itertuples(index=False, name=None)) == [
        ("a", "a", True, "a/test0", "a/train0"),
        ("a", "b", False, "b/test3", "a/train0"),
        ("b", "a", False, "a/test5", "b/train1"),
    ]
    assert set(COPIES) <= set(asked) and len(set(asked)) == len(asked) <= 18, (
        "a comparison per test image, not per pair"
    )


def test_what_is_close_and_another_picture_is_no_leak():
    assert found(leaked(), lambda *pair: "same" if pair == COPIES[1] else "").image_id.tolist() == ["b/test3"]
    assert len(found(scored.study(sizes=(12, 12), d=20))) == 0


def test_near_copies_count_for_normal_images_alone():
    near = found(leaked(), lambda *pair: "near" if pair in COPIES else "")
    assert near.image_id.tolist() == ["a/test0"]


def test_a_test_image_that_equals_a_copy_left_out_of_the_support_is_a_leak():
    study = leaked()
    for support in study.supports:
        if "a/train0" in (bank := support["seed_ids"] + support["held_out_ids"]):
            support["copies"] = [{"image_id": next(one for one in bank if one != "a/train0"), "copies": ["a/train0"]}]
            for ids in (support["seed_ids"], support["held_out_ids"]):
                ids[:] = [image_id for image_id in ids if image_id != "a/train0"]
    assert found(study).image_id.tolist() == ["a/test0", "b/test3", "a/test5"]


def test_without_the_leaks_the_auroc_is_that_of_the_other_images():
    study = leaked()
    table, scores = found(study), {"one": study.scores()}
    dropped = left_out(table)
    options = {"protocols": ["leave_one_out"], "settings": ["one_vs_rest"]}
    rows = evaluate(scores, study.index, scored.SPEC, **options, left_out=dropped)
    test = dict(zip(scores["one"].test["image_id"], scores["one"].test["scores"], strict=True))
    for t, task in enumerate("ab"):
        ids = [image_id for image_id in test if image_id not in dropped[task]]
        expected = roc_auc_score([not image_id.startswith(task) for image_id in ids], [test[one][t] for one in ids])
        row = rows[(rows.task == task) & (rows.validation == "real")].iloc[0]
        assert row.auroc == pytest.approx(expected, abs=1e-12)
        assert row.n_normal + row.n_anomalous == len(ids)
    pd.testing.assert_frame_equal(
        rows[rows.validation != "real"].reset_index(drop=True),
        evaluate(scores, study.index, scored.SPEC, **options).query("validation != 'real'").reset_index(drop=True),
    )
    counts = qualities(
        scores, study.index, scored.SPEC, {"n": lambda columns: np.full(columns.shape[1], len(columns))}, dropped
    )
    assert counts.quality.tolist() == [16, 17]


def test_tasks_whose_normal_test_images_are_all_leaks_are_told():
    study = leaked()
    table = found(study)
    assert without_normals(table, study.index, scored.SPEC) == {}
    normals = study.index.query("split == 'test' and group == 'a'").image_id
    rows = [("a", "a", True, image_id, "a/train0") for image_id in normals]
    every = pd.DataFrame(rows, columns=table.columns)
    assert without_normals(every, study.index, scored.SPEC) == {"a": len(normals)}
    assert without_normals(every[1:], study.index, scored.SPEC) == {}
    options = {"protocols": ["leave_one_out"], "settings": ["one_vs_rest"], "left_out": left_out(every)}
    rows = evaluate({"one": study.scores()}, study.index, scored.SPEC, **options)
    assert set(rows[rows.validation == "real"].task) == {"b"}


def test_an_error_names_the_first_and_how_many():
    told = r"^datasets\.mine\.on_leak: error, but test image 'a/test0' of group 'a' .* 'a/train0' of task 'a'; .* first of 3 "
    with pytest.raises(InputError, match=told):
        check_no_leaks(found(leaked()), "mine")
    check_no_leaks(found(scored.study(sizes=(12, 12), d=20)), "mine")
