"""Every family has every fact, and one that is registered is taken everywhere."""

import json
import subprocess
import sys
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from swsa_core.basics.errors import InputError
from swsa_core.candidates import FAMILIES, family_of
from swsa_core.candidates.backbone import load_backbone
from swsa_core.candidates.clip import embed_texts, load_clip
from swsa_core.candidates.family import Description, Family, Function, Network, Texts, Towers, given_files
from swsa_core.candidates.mini import CLIP_NOTE
from swsa_core.candidates.mistakes import check_model
from swsa_core.candidates.section import clip_backbone
from swsa_core.candidates.transforms import Transform
from swsa_core.config.config import validate
from swsa_core.files.weights import MINI_WEIGHTS
from swsa_core.plan.costs import backbone_cost

ROOT = Path(__file__).parents[2]
# A small model of each family, that needs no download without its weights, and packages whose versions its features depend on.
SMALL = {
    "torchvision": ("torchvision:squeezenet1_1", {}),
    "timm": ("timm:resnet10t", {}),
    "open_clip": ("open_clip:ViT-S-32-alt", {"device": "cpu"}),
    "mini": ("mini:resnet_s", {}),
    "descriptor": ("descriptor:hog", {}),
    "python": ("python:own_functions:means", {}),
}


def candidate(model, **own):
    return {"name": "x", "model": model, "weights": None, "args": {}, "crop": None, **own}


@pytest.fixture(params=FAMILIES)
def entry(request):
    """(name, family, a candidate of it)."""
    return request.param, FAMILIES[request.param], candidate(SMALL[request.param][0])


def test_their_names_are_those_of_their_modules():
    assert list(FAMILIES) == ["torchvision", "timm", "open_clip", "mini", "descriptor", "python"]
    assert list(SMALL) == list(FAMILIES), "a small model of each is tested here"


@pytest.mark.parametrize("of", [Family, Texts])
def test_every_field_says_what_it_is(of):
    source = (ROOT / "swsa_core" / "candidates" / "family.py").read_text(encoding="utf-8")
    body = source[source.index(f"class {of.__name__}:") :].splitlines()
    for field in fields(of):
        line = next(number for number, text in enumerate(body) if text.startswith(f"    {field.name}: "))
        assert body[line + 1].startswith('    """'), field.name


def test_texts_about_a_family_are_for_readers(entry):
    _, family, _ = entry
    assert family.title and family.licence and not family.title.endswith(".")


def test_packages_are_installed_ones(entry):
    _, family, described = entry
    assert family.runs_code or family.packages(described)
    assert all(version(package) for package in family.packages(described))


def test_check_takes_what_is_there_and_refuses_the_rest(entry):
    name, family, described = entry
    weights = __file__ if family.prefetched else None
    check_model(described | {"weights": weights})
    with pytest.raises(InputError, match=r"^candidates\.x: .*zzz"):
        check_model(candidate(f"{name}:zzz"))
    with pytest.raises(InputError, match=r"^candidates\.x: (the weights file 'absent.pt' is not there|.* no weights)"):
        check_model(described | {"weights": "absent.pt"})


def test_load_gives_a_network_or_a_description(entry):
    name, family, described = entry
    if family.prefetched:
        described = described | {"weights": "not read", "args": SMALL[name][1]}
    loaded = family.load(described)
    assert isinstance(loaded, Network if family.blank else Function if family.runs_code else Description)
    assert isinstance(loaded.transform if family.blank else loaded.prepare, Transform)


def test_blank_networks_hold_no_weights_and_cost_something(entry):
    _, family, described = entry
    if family.blank is None:
        assert backbone_cost(described).flops == 0
        return
    described = described | {"weights": __file__ if family.prefetched else None}  # it is not read
    parameters = list(family.blank(described).module.parameters())
    assert all(value.is_meta for value in parameters) == family.prefetched
    assert backbone_cost(described).flops > 0


def test_files_are_those_named_or_bundled(entry):
    _, family, described = entry
    assert all(Path(path).is_file() and Path(path).is_absolute() for path in family.files(described))
    if family.blank is not None:
        assert family.files(described | {"weights": "own.pt"}) == ["own.pt"]
        assert bool(family.files(described)) != family.prefetched, "weights come from a library, or are here"


def test_files_of_a_model_in_a_folder(tmp_path):
    for name in ("open_clip_config.json", "open_clip_model.safetensors", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    described = candidate(f"open_clip:local-dir:{tmp_path}")
    expected = [str(tmp_path / name) for name in ("open_clip_config.json", "open_clip_model.safetensors")]
    assert given_files(described) == expected
    assert given_files(described | {"weights": "own.pt"}) == ["own.pt", *expected]
    assert given_files(candidate("timm:hf-hub:someone/model")) == []


def test_networks_take_a_gpu_and_descriptors_none(entry):
    _, family, _ = entry
    assert family.gpu == (family.blank is not None)


def test_notes_are_about_the_bundled_clip_model_alone(entry):
    _, family, described = entry
    assert family.note(described, False) == ""
    clip = clip_backbone({"model": "mini:clip", "weights": None, "tag": None})
    assert [family_of(clip).note(clip, known) for known in (False, True)] == [CLIP_NOTE, ""]
    assert family_of(clip).note(clip | {"weights": "own.pt"}, False) == ""


def test_texts(entry):
    _, family, described = entry
    if family.texts is None:
        return
    assert family.texts.form.partition(":")[0] == described["model"].partition(":")[0]
    assert not family.texts.has("")
    assert family.texts.tagged == family.prefetched
    assert family.texts.check_prompts({"3": ["a photo of a three"]}, None) is None


def test_words_that_the_mini_clip_does_not_know_are_told():
    texts = {"zeppelin": ["a photo of a zeppelin"]}
    assert FAMILIES["open_clip"].texts.check_prompts(texts, "a.key") is None
    with pytest.raises(InputError, match=r"does not know the word 'zeppelin'.*in a\.key"):
        FAMILIES["mini"].texts.check_prompts(texts, "a.key")


def test_bundled_files_are_inputs_by_the_path_that_the_rules_have():
    assert family_of(candidate("mini:vit_s")).files(candidate("mini:vit_s")) == [
        str(MINI_WEIGHTS / "vit_s.safetensors")
    ]


def brightness(image, power=1):
    """Mean brightness, (1,)."""
    return np.array([image.mean() ** power], np.float32)


def check_brightness(described):
    if described["model"] != "brightness:mean":
        raise InputError(f"there is no {described['model']!r}")


@pytest.fixture
def brightness_family(monkeypatch):
    """A family that is registered for a test."""
    texts = Texts(
        form="brightness:mean",
        has=lambda model: model == "mean",
        tagged=False,
        load=lambda described: towers(),
        most_words=lambda described: 5,
    )
    family = Family(
        title="mean brightness",
        licence="none",
        packages=lambda described: ("scipy",),
        check=check_brightness,
        load=lambda described: Description(Transform(8, 8), "brightness", brightness, described["args"]),
        blank=None,
        gpu=False,
        texts=texts,
    )
    monkeypatch.setitem(FAMILIES, "brightness", family)
    return family


def towers():
    """A text of n letters has the features (n, n)."""
    import torch

    module = torch.nn.Module()
    module.visual = torch.nn.Linear(1, 1)
    module.logit_scale = torch.tensor(0.0)
    module.encode_text = lambda lengths: torch.stack([lengths, lengths], dim=1)
    return Towers(module, lambda texts: torch.tensor([float(len(text)) for text in texts]), None)


CONFIG = {"datasets": {"d": {"kind": "digits"}}, "sources": {"cutpaste": {}}}


def test_a_family_that_is_registered_is_taken_everywhere(brightness_family):
    config = validate(CONFIG | {"candidates": [{"model": "brightness:mean", "args": {"power": 2}}]})
    (described,) = config["candidates"]
    check_model(described)
    assert family_of(described) is brightness_family
    backbone = load_backbone(described)
    image = np.full((10, 12, 3), 3, np.uint8)
    np.testing.assert_array_equal(backbone.features(backbone.transform(image)[None]), [[9.0]])
    assert "scipy" in backbone.versions and "brightness, power 2" in str(backbone.transform)
    assert backbone_cost(described)[:3] == (0, 0, 1)
    with pytest.raises(InputError, match=r"^candidates\.x: there is no 'brightness:median'"):
        check_model(candidate("brightness:median"))
    with pytest.raises(InputError, match=r"expected family:model, did you mean 'brightness'\?"):
        validate(CONFIG | {"candidates": ["brightnes:mean"]})


def test_its_clip_models_are_taken_too(brightness_family):
    config = validate(CONFIG | {"candidates": ["descriptor:hog"], "clip": {"model": "brightness:mean"}})
    described = clip_backbone(config["clip"])
    np.testing.assert_array_equal(embed_texts(load_clip(described), ["abc", "a"]), [[3, 3], [1, 1]])
    with pytest.raises(InputError, match="expected open_clip:<model> or mini:clip or brightness:mean"):
        validate(CONFIG | {"candidates": ["descriptor:hog"], "clip": {"model": "brightness:median"}})
    with pytest.raises(InputError, match="brightness:mean has bundled weights and no tag 'openai'"):
        validate(CONFIG | {"candidates": ["descriptor:hog"], "clip": {"model": "brightness:mean", "weights": "openai"}})


def test_the_registry_is_light():
    code = "import sys, json, swsa_core.candidates; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    libraries = {"torch", "torchvision", "timm", "open_clip", "skimage", "scipy", "sklearn", "matplotlib"}
    assert not libraries & set(json.loads(done.stdout))
