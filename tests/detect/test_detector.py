"""Detectors of every head and kind of network: the scores that are kept are those that are given, and damage is refused."""

import json
import re
import shutil

import numpy as np
import pytest
from layouts import draw
from PIL import Image

from swsa_core.basics.errors import InputError
from swsa_core.candidates import backbone
from swsa_core.detect import fit, load_detector, save
from swsa_core.detect.__main__ import main as detect
from swsa_core.detect.heatmaps import drawer, on_image, scale_of_maps, scaled
from swsa_core.detect.mapping import undrawn
from swsa_core.detectors import HEADS
from swsa_core.files.images import read_image

SETTINGS = {
    "knn": {"knn": {"k": 2, "distance": "squared_l2", "l2_normalize": False}},
    "cosine": {"k": 2},
    "mahalanobis": {},
    "patch": {"bank": 1000, "seed": 0},
}
NETWORKS = ["mini:resnet_s", "mini:vit_s", "descriptor:hog"]


def candidate(model, head):
    return {"name": model.partition(":")[2], "model": model}, head, SETTINGS[head]


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Ten images of one shape and four of another."""
    directory = tmp_path_factory.mktemp("images")
    for name, count in (("circle", 10), ("square", 4)):
        for i in range(count):
            draw(directory / name / f"{i}.png", seed=i)
    return {name: sorted((directory / name).glob("*.png")) for name in ("circle", "square")}


@pytest.fixture(scope="module")
def of_patches(paths, tmp_path_factory):
    """The folder of a detector of two members, one of which compares patches."""
    folder = tmp_path_factory.mktemp("detectors") / "detector"
    members = [candidate("mini:resnet_s", "patch"), candidate("descriptor:hog", "cosine")]
    save(fit(paths["circle"], members, grid=4), folder)
    return folder


WITH_PATCHES = [
    (model, head) for head in HEADS for model in NETWORKS if not HEADS[head].patches or model.startswith("mini:")
]


@pytest.mark.parametrize(("model", "head"), WITH_PATCHES)
def test_a_detector_scores_the_same_when_it_is_read_again(paths, tmp_path, model, head):
    made = fit(paths["circle"], [candidate(model, head)], grid=4)
    save(made, tmp_path / "detector")
    read = load_detector(tmp_path / "detector")
    images = [read_image(path) for path in paths["square"]]
    np.testing.assert_allclose(read.score(images), made.score(paths["square"]), rtol=1e-6)
    normals = made.part().normals
    assert np.ptp(normals) > 0
    for row in (0, 7):  # each is left out of the bank by a loop
        rest = [path for i, path in enumerate(paths["circle"]) if i != row]
        alone = fit(rest, [candidate(model, head)], grid=4).score([paths["circle"][row]])
        np.testing.assert_allclose(alone[0], normals[row], atol=1e-4 * np.ptp(normals), rtol=1e-5)


def test_several_members_share_what_they_can(of_patches, paths):
    detector = load_detector(of_patches)
    assert list(detector.backbones) == ["resnet_s", "hog"]
    scored = detector.look(paths["circle"])
    assert [path.rpartition("/")[2] for path in scored.nearest] == [path.name for path in paths["circle"]]
    assert (scored.p > 0.5).all(), "an image of the bank is more normal than most that are left out"
    assert scored.maps["resnet_s patch"].shape == (10, 16)


def test_an_image_that_cannot_be_read_has_its_reason(of_patches, paths, tmp_path):
    (tmp_path / "no.png").write_bytes(b"nothing")
    detector = load_detector(of_patches)
    scored = detector.look([tmp_path / "no.png", paths["square"][0]])
    assert np.isnan(scored.scores).tolist() == [True, False]
    assert "no.png" in scored.reasons[0] and scored.nearest[0] == ""
    with pytest.raises(InputError, match=r"no\.png"):
        detector.score([tmp_path / "no.png"])
    with pytest.raises(InputError, match="uint8"):
        detector.score([np.zeros((4, 4, 3))])
    assert len(detector.look([]).scores) == 0


@pytest.mark.parametrize("damage", ["bank", "format", "weights", "gone", "outside", "strange weights", "empty"])
def test_a_folder_that_does_not_match_is_refused(of_patches, paths, tmp_path, damage):
    folder = shutil.copytree(of_patches, tmp_path / "detector")
    index = json.loads((folder / "detector.json").read_text())
    network = index["members"]["resnet_s patch"]
    expected = {
        "bank": "is not the one that was saved",
        "gone": "lacks its file banks.safetensors",
        "format": "format 99",
        "outside": "outside of the detector",
        "weights": "weights_sha256",
        "strange weights": "which were not saved",
        "empty": "does not describe a detector",
    }[damage]
    if damage == "bank":
        content = bytearray((folder / "banks.safetensors").read_bytes())
        content[-1] ^= 1
        (folder / "banks.safetensors").write_bytes(content)
    elif damage == "gone":
        (folder / "banks.safetensors").unlink()
    elif damage == "format":
        index["format"] = 99
    elif damage == "outside":
        index["files"]["../../elsewhere"] = "ab"
    elif damage == "weights":
        network["facts"]["weights_sha256"] = "ab" * 32
    elif damage == "strange weights":
        network["backbone"]["weights"] = "weights/../../own.safetensors"
    else:
        index = []
    (folder / "detector.json").write_text(json.dumps(index))
    (folder / ".detector.json.sha256").unlink(missing_ok=True)
    with pytest.raises(InputError, match=expected):
        load_detector(folder).score(paths["square"])


@pytest.mark.parametrize("factor", [1, 1.02])
def test_another_library_that_computes_otherwise_is_refused(of_patches, paths, tmp_path, monkeypatch, factor):
    """Weights and transform are the same, but what the network makes of an image is not: versions that differ are named."""
    folder = shutil.copytree(of_patches, tmp_path / "detector")
    index = json.loads((folder / "detector.json").read_text())
    assert "torch 2" in index["about"]["versions"]
    index["about"]["versions"] = re.sub(r"torch [0-9.]+", "torch 1.0", index["about"]["versions"])
    (folder / "detector.json").write_text(json.dumps(index))
    (folder / ".detector.json.sha256").unlink()
    real = backbone.features_and_patches

    def otherwise(*given):
        features, patches = real(*given)
        return features, (patches * np.float16(factor))

    monkeypatch.setattr(backbone, "features_and_patches", otherwise)
    detector = load_detector(folder)
    if factor != 1:
        with pytest.raises(InputError, match=r"test image the score .* where it was made, with torch 1\.0, here "):
            detector.score(paths["square"])
    else:
        assert len(detector.score(paths["square"])) == 4


def test_pictures_of_where(of_patches, paths, tmp_path):
    """Patches of normal images lie below the level, and a defect stands out where it is."""
    detector = load_detector(of_patches)
    part = detector.part()
    image = read_image(paths["circle"][0])
    side = image.shape[0]
    image[: side // 4, : side // 4] = (255, 0, 255)
    Image.fromarray(image).save(tmp_path / "defect.png")
    scored = detector.look([tmp_path / "defect.png"])
    scale = scale_of_maps(part.maps["resnet_s patch"], 0.2)
    where = scaled(scored.maps["resnet_s patch"][0], scale)
    assert np.unravel_index(where.argmax(), where.shape) in [(0, 0), (0, 1), (1, 0), (1, 1)]
    drawer(detector, part, 0.2, tmp_path / "maps")([str(tmp_path / "defect.png")], scored)
    (picture,) = (tmp_path / "maps").glob("*.png")
    assert read_image(picture).shape == (side, 2 * image.shape[1] + 8, 3)


def test_any_network_gives_maps(paths, tmp_path, capsys):
    """Of two members that compare whole images, one of them a descriptor: scores stay, and a defect stands out where it is."""
    members = [candidate("mini:vit_s", "cosine"), candidate("descriptor:hog", "knn")]
    copies = [shutil.copy(path, tmp_path) for path in paths["circle"]]
    save(fit(copies, members), tmp_path / "detector")
    image = read_image(copies[0])
    image[: image.shape[0] // 4, : image.shape[0] // 4] = (255, 0, 255)
    Image.fromarray(image).save(tmp_path / "defect.png")
    plain = load_detector(tmp_path / "detector").look([tmp_path / "defect.png"])
    assert not plain.maps
    command = [str(tmp_path / "detector"), str(tmp_path / "defect.png"), "-o", str(tmp_path / "s.csv")]
    assert detect([*command, "--heatmaps", str(tmp_path / "maps")]) == 0
    assert "reading the 10 normal images again" in capsys.readouterr().err
    assert len(list((tmp_path / "maps").glob("*.png"))) == 1
    detector = load_detector(tmp_path / "detector")
    scored = detector.look([tmp_path / "defect.png"])
    np.testing.assert_allclose(scored.scores, plain.scores, rtol=1e-5)
    assert list(scored.maps) == detector.part().drawn == ["vit_s map"]
    where = scaled(scored.maps["vit_s map"][0], scale_of_maps(detector.part().maps["vit_s map"], 0.2))
    assert max(np.unravel_index(where.argmax(), where.shape)) < where.shape[0] / 2
    shutil.move(copies[0], tmp_path / "away.png")  # what was kept is enough
    assert detect([*command, "--heatmaps", str(tmp_path / "maps")]) == 0
    assert "again" not in capsys.readouterr().err
    assert list(undrawn(detector).members) == ["vit_s cosine", "hog knn"]


def test_where_there_can_be_no_maps_is_told(paths, tmp_path, capsys):
    save(fit(paths["circle"], [candidate("descriptor:hog", "knn")]), tmp_path / "hog")
    copies = [shutil.copy(path, tmp_path) for path in paths["circle"]]
    save(fit(copies, [candidate("mini:resnet_s", "knn")]), tmp_path / "gone")
    (tmp_path / copies[4]).unlink()
    for folder, expected in (("hog", "has no maps of them"), ("gone", "are needed once more, and one cannot be read")):
        arguments = [str(tmp_path / folder), str(paths["square"][0]), "--heatmaps", str(tmp_path / "maps")]
        assert detect(arguments) == 2
        assert expected in capsys.readouterr().err


@pytest.mark.parametrize(("fit_as", "unseen"), [("pad", 0), ("squash", 0), ("crop", 0.6)])
def test_a_map_lies_where_the_network_looks(fit_as, unseen):
    from swsa_core.candidates.transforms import Transform

    transform = Transform(64, 56).fitted(fit_as)
    square = np.zeros((7, 7))
    square[0 if fit_as != "pad" else 2] = 1
    where = on_image(square, transform, 100, 200)
    assert where.shape == (100, 200)
    assert np.isnan(where).mean() == pytest.approx(unseen, abs=0.03)
    rows = np.where(np.isnan(where), 0, where).sum(axis=1)
    assert rows.argmax() < 30, "the upper rows of what is seen"
