"""Features by functions of the user's own: taken as they are, or refused in one sentence that names the function."""

import numpy as np
import pytest
from own_functions import means

from swsa_core.basics.errors import InputError
from swsa_core.candidates.backbone import load_backbone
from swsa_core.candidates.mistakes import check_model
from swsa_core.config.config import validate
from swsa_core.config.study import study
from swsa_core.detect import fit, load_detector, save
from swsa_core.files.functions import digest_of

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 40, 30, 3), np.uint8)
KNN = {"knn": {"k": 2, "distance": "l2", "l2_normalize": False}}


def candidate(function="means", **own):
    return {"name": "mine", "model": f"python:own_functions:{function}", "weights": None, "args": {}, **own}


def test_features_are_what_the_function_returns():
    backbone = load_backbone(candidate(crop=24, resize=24, fit="squash"))
    batch = np.stack([backbone.transform(image) for image in IMAGES])
    assert batch.shape == (5, 24, 24, 3)
    np.testing.assert_array_equal(backbone.features(batch), means(batch).astype(np.float32))
    assert backbone.feature_size == 6 and backbone.device == ""
    assert backbone.weights_sha256 == digest_of("own_functions:means")


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("one_too_few", r"own_functions:one_too_few returned float64 of shape \(0, 6\) for 1 images"),
        ("flat", r"returned float64 of shape \(1,\) for 1 images, expected numbers of shape \(1, d\)"),
        ("words", "returned <U1 of shape"),
        ("not_finite", "returned features that are not finite, first for image 0 of 1"),
        ("fails", "own_functions:fails fails for 1 images of shape .*KeyError"),
        ("nothing", "has no function 'nothing'"),
    ],
)
def test_other_returns_are_refused(function, told):
    with pytest.raises(InputError, match=f"^candidates.mine: .*{told}"):
        load_backbone(candidate(function))


def test_as_many_features_for_all():
    with pytest.raises(InputError, match="returned 5 features for an image and 1 for another"):
        load_backbone(candidate("other_sizes")).features(IMAGES)


def test_a_function_may_write_into_its_images():
    batch = IMAGES.copy()
    assert not load_backbone(candidate("overwriting")).features(batch).any()
    np.testing.assert_array_equal(batch, IMAGES)


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({"weights": "x"}, "no weights"),
        ({"args": {"a": 1}}, "remove `args`"),
        ({"model": "python:means"}, "expected module:function"),
        ({"model": "python:not_there:f"}, "no module 'not_there'"),
    ],
)
def test_what_a_function_has_no_use_for_is_refused(own, told):
    with pytest.raises(InputError, match=told):
        check_model(candidate() | own)


def test_an_edit_of_the_file_is_tracked_and_other_candidates_are_as_they_were(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = {
        "datasets": {"digits": {"kind": "digits"}},
        "sources": {"cutpaste": {}, "function": {"function": "edited_here:spots"}},
        "candidates": ["python:edited_here:features", "descriptor:hog"],
    }

    def leaves(text):
        (tmp_path / "edited_here.py").write_text(text)
        return study(validate(config)).leaves

    before, after = leaves("a = 1\n"), leaves("a = 2\n")
    mine, hog = before["candidates"]
    paste, own = before["sources"]
    assert before["candidates"][mine] != after["candidates"][mine]
    assert before["candidates"][hog] == after["candidates"][hog] and "code_sha256" not in after["candidates"][hog]
    assert before["sources"][own] != after["sources"][own]
    assert before["sources"][paste] == after["sources"][paste] == before["config"]["sources"][paste]


def test_a_detector_runs_it_only_where_it_is_trusted(tmp_path):
    made = fit(list(IMAGES), [(candidate(), "knn", KNN)])
    save(made, tmp_path)
    with pytest.raises(InputError, match=r"runs the function python:own_functions:means.*--trust-code"):
        load_detector(tmp_path)
    read = load_detector(tmp_path, trust_code=True)
    np.testing.assert_allclose(read.score(list(IMAGES)), made.score(list(IMAGES)))
