"""Candidates that a study takes only where their weights are on this machine; told without a network, as the others are."""

from pathlib import Path

import pytest
from layouts import classes
from workflow import environment, snakemake

from swsa_core.basics.errors import InputError
from swsa_core.candidates import family_of
from swsa_core.config.check import check
from swsa_core.config.config import validate
from swsa_core.config.study import study

RESNET = {"model": "torchvision:resnet18", "optional": True}
CONVNEXT = {"model": "timm:convnext_tiny.in12k_ft_in1k", "optional": True}


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """The libraries' caches, empty, and a folder of images to study."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    classes(tmp_path / "images", ["good"])
    return tmp_path


def config(*candidates, **own):
    return {
        "datasets": {"mine": {"kind": "folder", "root": "images"}},
        "sources": {"cutpaste": {}},
        "candidates": [*candidates, "descriptor:hog"],
        "support": {"seeds": 4},
        "preparation": {"size": 32},
        **own,
    }


def in_torch_hub(caches, name):
    path = caches / "torch" / "hub" / "checkpoints" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def in_hub(caches, model, name):
    folder = caches / "hub" / f"models--{model.replace('/', '--')}"
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "snapshots" / "abc" / name).touch()
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")


@pytest.mark.parametrize(
    ("model", "args", "place"),
    [
        ("torchvision:resnet18", {}, "resnet18-f37072fd.pth"),
        ("torchvision:resnet18", {"weights": "IMAGENET1K_V1"}, "resnet18-f37072fd.pth"),
        ("timm:convnext_tiny.in12k_ft_in1k", {}, ("timm/convnext_tiny.in12k_ft_in1k", "model.safetensors")),
        ("timm:resnet18", {}, ("timm/resnet18.a1_in1k", "pytorch_model.bin")),
        ("timm:hf-hub:somebody/network", {}, ("somebody/network", "model.safetensors")),
        (
            "open_clip:ViT-B-32",
            {"pretrained": "openai"},
            ("timm/vit_base_patch32_clip_224.openai", "open_clip_model.safetensors"),
        ),
        ("open_clip:hf-hub:somebody/clip", {}, ("somebody/clip", "open_clip_pytorch_model.bin")),
    ],
)
def test_what_a_library_has_downloaded_is_found(caches, model, args, place):
    candidate = {"name": model, "model": model, "args": args}
    assert not family_of(candidate).cached(candidate)
    in_torch_hub(caches, place) if isinstance(place, str) else in_hub(caches, *place)
    assert family_of(candidate).cached(candidate)


def test_files_that_its_library_does_not_load_are_no_weights(caches):
    in_hub(caches, "timm/vit_base_patch32_clip_224.openai", "model.safetensors")
    in_hub(caches, "timm/vit_base_patch16_clip_224.openai", "open_clip_model.safetensors")
    in_hub(caches, "somebody/network", "model.safetensors.index.json")
    for model, args in (
        ("open_clip:ViT-B-32", {"pretrained": "openai"}),
        ("timm:vit_base_patch16_clip_224.openai", {}),
        ("timm:hf-hub:somebody/network", {}),
        ("timm:hf-hub:no/such/name", {}),
    ):
        candidate = {"name": model, "model": model, "args": args}
        assert not family_of(candidate).cached(candidate), model


def test_a_revision_is_looked_for(caches):
    in_hub(caches, "somebody/network", "model.safetensors")
    for revision, here in (("main", True), ("abc", True), ("other", False)):
        model = f"timm:hf-hub:somebody/network@{revision}"
        assert family_of({"name": model, "model": model}).cached({"name": model, "model": model}) == here


def test_models_without_weights_to_download_are_always_here():
    for model in ("mini:resnet_s", "descriptor:hog"):
        assert family_of({"name": model, "model": model}).cached({"name": model, "model": model})


def test_torchvision_keeps_its_weights_where_they_are_looked_for(caches):
    import torch

    assert Path(torch.hub.get_dir()) == caches / "torch" / "hub"


def test_a_study_takes_those_that_are_here(caches):
    files = {"there": "here.pth", "gone": "gone.pth", "package": "package:not_installed"}
    (caches / "here.pth").touch()
    given = [{"name": name, "model": "torchvision:resnet18", "weights": path} for name, path in files.items()]
    in_torch_hub(caches, "resnet18-f37072fd.pth")
    found = study(validate(config(RESNET, CONVNEXT, *(one | {"optional": True} for one in given))))
    assert [one["name"] for one in found.candidates.values()] == ["torchvision:resnet18", "there", "descriptor:hog"]
    assert found.left_out == {
        CONVNEXT["model"]: "the weights are not on this machine (snakemake weights downloads them)",
        "gone": "the weights, gone.pth, are not there",
        "package": "the weights, package:not_installed, are not installed",
    }
    assert [one["name"] for one in found.missing.values()] == [CONVNEXT["model"], "gone", "package"]
    here = study(validate(config("torchvision:resnet18")))
    assert found.leaves["candidates"]["torchvision-resnet18"] == here.leaves["candidates"]["torchvision-resnet18"]


def test_all_heads_of_a_backbone_are_left_out_and_fetched_once(caches):
    found = study(validate(config(RESNET | {"heads": ["knn", "patch"]})))
    assert list(found.left_out) == ["torchvision:resnet18", "torchvision:resnet18 patch"]
    assert [one["name"] for one in found.leaves["missing"]] == ["torchvision:resnet18"]


def test_what_the_licences_exclude_is_not_fetched(caches):
    swag = {"model": "torchvision:vit_h_14", "args": {"weights": "IMAGENET1K_SWAG_LINEAR_V1"}, "optional": True}
    found = study(validate(config(swag, RESNET, licences=["bsd-3-clause"])))
    assert list(found.missing) == ["torchvision:resnet18"]
    assert found.left_out["torchvision:vit_h_14"] == "the licence, cc-by-nc-4.0, is not among `licences`"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"model": "torchvision:resnet81"}, "torchvision has no classification model 'resnet81'"),
        ({"model": "torchvision:resnet18", "args": {"weights": "NOPE"}}, "resnet18 has no weights 'NOPE'"),
        ({"model": "timm:convnext_tiny.nobody"}, "timm has no weights 'nobody' of convnext_tiny"),
    ],
)
def test_a_mistake_is_not_taken_for_missing_weights(caches, wrong, told):
    with pytest.raises(InputError, match=told):
        check(study(validate(config(wrong | {"optional": True}))))


def test_without_any_it_says_what_is_missing(caches):
    with pytest.raises(
        InputError, match=r"^candidates: all are optional, and the weights of none are here: .*resnet18"
    ):
        study(validate(config() | {"candidates": [RESNET, CONVNEXT]}))


def test_a_figure_cannot_be_of_one_that_is_left_out(caches):
    with pytest.raises(InputError, match=r"^figures\.space: 'torchvision:resnet18' is left out: the weights are not"):
        study(validate(config(RESNET, figures={"space": "torchvision:resnet18"})))


def test_a_run_says_which_it_goes_without_and_weights_fetches_those_that_it_can(caches, monkeypatch):
    given = config(RESNET, CONVNEXT, results="results")
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HOME": str(caches / "hf")}
    for name, value in nowhere.items():  # where nothing listens
        monkeypatch.setenv(name, value)
    assert environment()["TORCH_HOME"] == str(caches / "torch")
    output = snakemake(caches, given, "--dry-run")
    wanted = "(snakemake weights downloads them): torchvision:resnet18, timm:convnext_tiny.in12k_ft_in1k"
    assert f"Left out, as the weights are not on this machine {wanted}" in output
    told = snakemake(caches, config(RESNET, results="results"), "weights", check=False)
    assert "torchvision:resnet18: candidates.torchvision:resnet18: torchvision cannot" in told.replace("\n", " ")
    assert f"weights of optional candidates could not be fetched: {RESNET['model']}; the reasons" in told
