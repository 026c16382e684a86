"""What a detector meets in service that its study did not: other ways of reading, machines, files, and folders of strangers."""

import json
import os

import numpy as np
import pytest
from layouts import draw
from PIL import Image

from swsa_core.basics.errors import InputError
from swsa_core.detect import detector as of_detector
from swsa_core.detect import fit, load_detector, save
from swsa_core.detect.__main__ import main as detect
from swsa_core.detect.add import with_normals
from swsa_core.files.reading import Reading, address

COSINE = ({"name": "hog", "model": "descriptor:hog"}, "cosine", {"k": 2})


@pytest.fixture
def paths(tmp_path):
    for i in range(8):
        draw(tmp_path / "normal" / f"{i}.png", seed=i)
    return sorted((tmp_path / "normal").glob("*.png"))


def ten_bits(path, seed):
    """A grey image of ten bits in sixteen, whose values read as sixteen bits are nearly black."""
    path.parent.mkdir(exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 1024, (40, 40))
    Image.fromarray(values.astype(np.uint16)).save(path)
    return path


def test_images_are_read_as_the_normal_ones_were(tmp_path):
    files = [ten_bits(tmp_path / "deep" / f"{i}.png", i) for i in range(9)]
    colours = ({"name": "color", "model": "descriptor:color_histogram"}, "cosine", {"k": 2})
    reading = Reading(bits=10)
    detector = fit([address(file, reading) for file in files[:8]], [colours])
    assert detector.score([files[8]]) == detector.score([address(files[8], reading)])
    assert detector.score([files[8]]) < 0.1, "a normal one, not one that is black"
    whole = fit([address(file, reading) for file in files], [colours])
    added = with_normals(detector, [str(files[8])])
    np.testing.assert_allclose(added.detector.part().normals, whole.part().normals)
    assert added.new == [str(files[8])] and with_normals(added.detector, added.new).known == added.new


def test_features_that_are_not_finite_are_a_reason_and_no_verdict(paths, monkeypatch):
    detector = fit(paths, [COSINE])
    networks = detector.backbones

    def overflow(backbone, images, size, log):
        values = np.ones((len(images), 4), np.float32)
        values[1] = np.inf
        return (values,), size

    monkeypatch.setattr(of_detector, "in_batches", overflow)
    (seen,) = detector.see(paths[:3], ["hog cosine"], networks=networks)
    assert seen.rows == [0, 2] and seen.reasons == ["", "hog gives features of it that are not finite", ""]
    assert all(len(values) == 2 for values in seen.found.values())


def test_what_the_machine_does_to_one_image_is_its_reason(paths, tmp_path, monkeypatch):
    save(fit(paths, [COSINE]), tmp_path / "detector")

    def lost(image):
        if str(image).endswith("1.png"):
            raise PermissionError(13, "Permission denied", str(image))
        return read(image)

    from swsa_core.files import images

    read = images.read_image
    monkeypatch.setattr(images, "read_image", lost)
    asked = [str(tmp_path / "detector"), "-o", str(tmp_path / "a.csv"), str(tmp_path / "normal")]
    assert detect(asked) == 0, "options may stand before the images"
    rows = (tmp_path / "a.csv").read_text().splitlines()
    assert len(rows) == 9 and "1.png cannot be read (Permission denied)" in rows[2] and "not read" in rows[2]


@pytest.mark.parametrize(
    "args", [{"weights_only": False}, {"checkpoint_path": "x.pth"}, {"pretrained_cfg": {"file": "x"}}]
)
def test_a_folder_of_a_stranger_cannot_have_libraries_run_code(paths, tmp_path, args):
    save(fit(paths, [COSINE]), tmp_path / "detector")
    index = tmp_path / "detector" / "detector.json"
    told = json.loads(index.read_text())
    told["members"]["hog cosine"]["backbone"] = {"name": "hog", "model": "open_clip:RN50", "args": args}
    index.write_text(json.dumps(told))
    (index.parent / ".detector.json.sha256").unlink()
    with pytest.raises(InputError, match=f"args.{next(iter(args))} of open_clip:RN50 is not taken"):
        load_detector(index.parent).score(paths[:1])


def test_a_function_that_was_changed_is_refused_before_it_runs(paths, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "mine_of_old.py"
    source.write_text(
        "import numpy as np\n\ndef mean(images):\n    return images.mean(axis=(1, 2)).astype(np.float32)\n"
    )
    save(
        fit(paths, [({"name": "mean", "model": "python:mine_of_old:mean"}, "cosine", {"k": 2})]), tmp_path / "detector"
    )
    source.write_text("raise SystemExit('it ran')\n")
    with pytest.raises(InputError, match="another version of the function python:mine_of_old:mean"):
        load_detector(tmp_path / "detector", trust_code=True).score(paths[:1])


def test_heatmaps_do_not_accept_what_scores_would_refuse(paths, tmp_path):
    save(fit(paths, [({"name": "resnet_s", "model": "mini:resnet_s"}, "cosine", {"k": 2})]), tmp_path / "detector")
    index = tmp_path / "detector" / "detector.json"
    told = json.loads(index.read_text())
    told["about"]["tested"] = dict.fromkeys(told["about"]["tested"], 99.0)
    index.write_text(json.dumps(told))
    (index.parent / ".detector.json.sha256").unlink()
    for options in ([], ["--heatmaps", str(tmp_path / "maps")], []):
        assert detect([str(index.parent), str(paths[0]), "-o", str(tmp_path / "a.csv"), *options]) == 2


def test_weights_of_a_relative_path_stay_where_they_are(paths, tmp_path, monkeypatch):
    """Also where they lie in a folder that is named as the one of a detector."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("weights")
    (tmp_path / "weights" / "net.pth").write_bytes(b"weights")
    made = fit(paths, [COSINE])
    (member,) = made.members.values()
    member.backbone["weights"] = "weights/net.pth"
    save(made, tmp_path / "detector")
    told = json.loads((tmp_path / "detector" / "detector.json").read_text())
    assert told["members"]["hog cosine"]["backbone"]["weights"] == str(tmp_path / "weights" / "net.pth")
    assert set(told["files"]) == {"banks.safetensors"}
