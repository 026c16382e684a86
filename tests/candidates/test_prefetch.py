"""`snakemake weights` leaves nothing for a job to fetch, and says what it did; nothing here needs a network."""

from urllib.error import URLError

import pytest
from workflow import snakemake

from swsa_core.basics.errors import InputError
from swsa_core.candidates.prefetch import fetch, of_libraries
from swsa_core.candidates.section import clip_backbone
from swsa_core.files.downloads import PLACE

SQUEEZENET = {"name": "small", "model": "torchvision:squeezenet1_1", "weights": None, "args": {}}


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """The libraries' caches, empty."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def test_weights_of_libraries_are_those_that_no_file_or_bundle_gives():
    models = [SQUEEZENET, SQUEEZENET | {"weights": "w.pth"}]
    models += [SQUEEZENET | {"model": model} for model in ("mini:resnet_s", "descriptor:hog", "timm:resnet10t")]
    clip = {"model": "open_clip:ViT-B-32", "weights": "laion2b_s34b_b79k", "tag": None}
    models += [clip_backbone(clip), clip_backbone(clip | {"weights": "./w.pt"})]
    models += [clip_backbone({"model": "mini:clip", "weights": None, "tag": None})]
    assert of_libraries(models) == [models[0], models[4], models[5]]


def test_what_is_not_there_is_fetched_and_counted_once(caches, monkeypatch):
    import torch
    import torchvision

    def download(url, path, *_, **__):
        torch.save(torchvision.models.squeezenet1_1().state_dict(), path)

    monkeypatch.setattr("torch.hub.download_url_to_file", download)
    assert fetch(SQUEEZENET) > 4_000_000
    assert fetch(SQUEEZENET) == 0


def test_without_a_network_it_says_what_to_do(caches, monkeypatch):
    def offline(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    with pytest.raises(InputError, match=r"^candidates\.small: torchvision .*no route to host.*file under `weights`"):
        fetch(SQUEEZENET)


def test_the_clip_model_is_loaded_with_both_towers(caches, monkeypatch):
    loaded = []
    monkeypatch.setattr("swsa_core.candidates.prefetch.load_clip", loaded.append)
    clip = clip_backbone({"model": "open_clip:ViT-B-32", "weights": "laion2b_s34b_b79k", "tag": None})
    assert fetch(clip) == 0 and loaded == [clip]


def test_the_target_checks_what_was_put_in_place_by_hand(tmp_path):
    config = {
        "datasets": {"digits": {"kind": "digits", "tasks": ["3"]}},
        "sources": {"diffusion": {"model": "mini:adm_32"}},
        "candidates": ["mini:resnet_s"],
        "preparation": {"size": 32},
    }
    assert "all weights that this config needs are here" in snakemake(tmp_path, config, "weights")
    config |= {"sources": {"diffusion": {}}, "preparation": {"size": 256}}
    junk = tmp_path / PLACE.format(name="adm_imagenet_256")
    junk.parent.mkdir(parents=True)
    junk.write_bytes(b"junk")
    told = snakemake(tmp_path, config, "weights", check=False)
    assert "adm_imagenet_256.pt is not the file of https://" in told and "it has 4 bytes" in told
    assert junk.exists(), "it may be somebody's own"
