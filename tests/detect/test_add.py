"""Normal images that are added: the detector becomes that of all of them, and is whole whenever it is stopped."""

import shutil
from functools import partial

import numpy as np
import pytest
from layouts import draw

from swsa_core.basics.errors import InputError
from swsa_core.detect import fit, folder, load_detector, save
from swsa_core.detect.__main__ import main as detect
from swsa_core.detect.add import with_normals
from swsa_core.detect.heads import PROMPT

KNN = {"knn": {"k": 2, "distance": "squared_l2", "l2_normalize": False}}
MEMBERS = {
    "patches, all kept": [("mini:resnet_s", "patch", {"bank": 1000, "seed": 0})],
    "patches, some kept": [("mini:resnet_s", "patch", {"bank": 60, "seed": 0}), ("descriptor:hog", "knn", KNN)],
    "features": [("mini:vit_s", "mahalanobis", {}), ("mini:vit_s", "cosine", {"k": 2})],
}

TEXTS = [("mini:clip", PROMPT, {"templates": [["a photo of a small {}", "a photo of some digit"]]})]
READ_AGAIN = ("patches, some kept", "texts")


def candidates(members):
    return [({"name": model.partition(":")[2], "model": model}, head, settings) for model, head, settings in members]


@pytest.fixture
def paths(tmp_path):
    found = [tmp_path / f"{number}.png" for number in range(12)]
    for number, path in enumerate(found):
        draw(path, seed=number)
    return found


@pytest.mark.parametrize(
    "members",
    [*MEMBERS, pytest.param("texts", marks=pytest.mark.study)],  # which imports another library
)
def test_it_becomes_the_detector_of_all_images(paths, tmp_path, members):
    candidates_of_test = candidates(MEMBERS.get(members, TEXTS))
    save(fit(paths[:8], candidates_of_test, grid=4, class_name="seven"), tmp_path / "detector")
    if members not in READ_AGAIN:
        shutil.move(paths[0], tmp_path / "away.png")  # the bank alone is enough
    added = with_normals(load_detector(tmp_path / "detector"), list(map(str, paths[8:])))
    assert added.new == list(map(str, paths[8:])) and not added.known
    save(added.detector, tmp_path / "detector")
    if members not in READ_AGAIN:
        shutil.move(tmp_path / "away.png", paths[0])
    extended, fresh = (
        load_detector(tmp_path / "detector").part(),
        fit(paths, candidates_of_test, grid=4, class_name="seven").part(),
    )
    assert extended.paths == fresh.paths and extended.digests == fresh.digests
    for name in fresh.members:
        np.testing.assert_allclose(
            extended.banks[name], fresh.banks[name], rtol=1e-3 if "patch" in name else 1e-5, atol=1e-5
        )
    span = np.ptp(fresh.normals)
    np.testing.assert_allclose(extended.normals, fresh.normals, rtol=0, atol=1e-4 * span)
    if fresh.scale is not None:
        np.testing.assert_allclose(extended.scale, fresh.scale, rtol=1e-4)


def test_an_image_that_is_there_is_told(paths, tmp_path, capsys):
    """Under whatever name: one of the bank, and one that is given twice."""
    save(fit(paths[:8], candidates(MEMBERS["features"])), tmp_path / "detector")
    shutil.copy(paths[3], tmp_path / "copy.png")
    shutil.copy(paths[9], tmp_path / "twice.png")
    given = [tmp_path / "copy.png", paths[9], tmp_path / "twice.png"]
    assert detect([str(tmp_path / "detector"), "--add-normals", *map(str, given)]) == 0
    told = capsys.readouterr().err
    assert "copy.png is among" in told and "twice.png is among" in told and "1 normal image added" in told
    detector = load_detector(tmp_path / "detector")
    assert len(detector.part().normals) == 9
    assert "9 normal images, 1 of them added since" in (tmp_path / "detector" / "README.md").read_text()
    assert sorted(path.name for path in (tmp_path / "detector").glob("[!.]*")) == [
        *("README.md", "banks.safetensors", "detector.json")
    ]
    assert detect([str(tmp_path / "detector"), "--add-normals", str(paths[9])]) == 0
    assert "nothing is added" in capsys.readouterr().err


@pytest.mark.parametrize("gone", ["removed", "another", "new one unreadable"])
def test_images_that_cannot_be_used_change_nothing(paths, tmp_path, gone):
    save(fit(paths[:8], candidates(MEMBERS["patches, some kept"]), grid=4), tmp_path / "detector")
    if gone == "removed":
        paths[2].unlink()
    elif gone == "another":
        draw(paths[2], seed=99)
    else:
        paths[9].write_bytes(b"nothing")
    expected = {"removed": "cannot be read", "another": "is another image", "new one unreadable": "9.png"}[gone]
    with pytest.raises(InputError, match=expected):
        with_normals(load_detector(tmp_path / "detector"), [str(paths[8]), str(paths[9])])


def stopping_at(patched, number):
    """Every write to a detector's folder from the given one on ends as by Ctrl-C."""
    done = []

    def stopping(real, *given):
        done.append(real)
        if len(done) > number:
            raise KeyboardInterrupt
        return real(*given)

    for name in ("_write_arrays", "write_json", "write_text"):
        patched.setattr(folder, name, partial(stopping, getattr(folder, name)))


def test_whenever_it_is_killed_the_folder_holds_one_detector(paths, tmp_path, monkeypatch):
    original = fit(paths[:8], candidates(MEMBERS["features"]))
    extended = with_normals(original, list(map(str, paths[8:]))).detector
    seen = []
    for number in range(5):
        save(original, tmp_path / "detector")
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            stopping_at(patched, number)
            save(extended, tmp_path / "detector")
        found = load_detector(tmp_path / "detector").part()
        assert len(found.banks["vit_s cosine"]) == len(found.normals)
        seen.append(len(found.normals))
        save(extended, tmp_path / "detector")  # which goes on from whatever is there
        assert len(load_detector(tmp_path / "detector").part().normals) == 12
        shutil.rmtree(tmp_path / "detector")
    assert seen == [8, 8, 12, 12, 12]
