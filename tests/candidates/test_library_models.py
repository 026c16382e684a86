"""Names of models are known from the libraries' files as the libraries themselves list them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from swsa_core.basics.errors import InputError
from swsa_core.candidates import library_models
from swsa_core.candidates.backbone import check_model, most_words
from swsa_core.config.config import clip_backbone

ROOT = Path(__file__).parents[2]
NEEDS_TRANSFORMERS = pytest.mark.skipif(
    library_models.find_spec("transformers") is not None, reason="transformers is there"
)


def clip(model, weights=None, tag=None):
    """The backbone's record of a section `clip`."""
    return clip_backbone({"model": f"open_clip:{model}", "weights": weights, "tag": tag})


def candidate(model, **args):
    return {"name": "x", "model": model, "args": args}


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder in place of every library's; what was read before is forgotten, then and afterwards."""
    readers = (
        library_models.open_clip_configs,
        library_models.open_clip_pretrained,
        library_models.sources,
        library_models.registered,
    )
    for reader in readers:
        reader.cache_clear()
    monkeypatch.setattr(library_models, "_folder", lambda library: tmp_path)
    yield tmp_path
    for reader in readers:
        reader.cache_clear()


def test_torchvision():
    from torchvision import models

    assert library_models.registered("torchvision") == models.list_models(module=models)


def test_timm():
    import timm
    from timm.models import _registry

    assert set(library_models.registered("timm")) == set(timm.list_models())
    tags = {name.partition(".")[2] for name in timm.list_pretrained()}
    for name in [*_registry._model_entrypoints, *(f"resnet18.{tag}" for tag in tags)]:
        library_models.check_timm(name)


def test_open_clip():
    import open_clip

    assert set(library_models.open_clip_configs()) == set(open_clip.list_models())
    pretrained = library_models.open_clip_pretrained()
    assert [(model, tag) for model, tags in pretrained.items() for tag in tags] == open_clip.list_pretrained()
    for model, tags in pretrained.items():
        assert list(tags) == open_clip.list_pretrained_tags_by_model(model)
        assert tags == {tag: open_clip.get_pretrained_cfg(model, tag) for tag in tags}
    for model in open_clip.list_models():
        assert library_models.open_clip_config(model) == open_clip.get_model_config(model)


def test_every_tag_of_open_clip_goes_with_one_activation():
    """All but the models' copies under the other activation are accepted."""
    refused = []
    for model, tags in library_models.open_clip_pretrained().items():
        for tag in tags:
            try:
                library_models.check_open_clip(model, None, tag, for_text=False)
            except InputError as error:
                refused.append(str(error))
    needed = [sentence for sentence in refused if "another activation" not in sentence]
    assert all("`transformers`" in sentence for sentence in needed)
    assert len(refused) < 0.2 * sum(map(len, library_models.open_clip_pretrained().values()))


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (
            clip("ViT-B-16-plus-241", "laion400m_e32"),
            "has no model 'ViT-B-16-plus-241': did you mean 'ViT-B-16-plus-240'",
        ),
        (
            clip("ViT-B-16-plus-240", "laion400m_e33"),
            "no pretrained tag 'laion400m_e33' .* did you mean 'laion400m_e32'",
        ),
        (clip("ViT-B-32", "openai"), "another activation than ViT-B-32 has: take ViT-B-32-quickgelu"),
        (
            clip("ViT-B-32", "absent.ckpt"),
            r"no pretrained tag 'absent\.ckpt' .*a file is given with a /, as \./absent\.ckpt\)",
        ),
        (clip("ViT-B-32", "./absent.ckpt"), r"the weights file 'absent\.ckpt' is not there"),
        (clip("ViT-L-14", __file__), "the pretrained tags of ViT-L-14 want images prepared in different ways"),
        (clip("ViT-L-14", __file__, "laion2b"), "no pretrained tag 'laion2b'"),
        (
            candidate("torchvision:resnet19"),
            "torchvision has no classification model 'resnet19': did you mean 'resnet18'",
        ),
        (candidate("timm:resnet511"), "timm has no model 'resnet511': did you mean"),
        (candidate("timm:resnet511.a1_in1k"), "timm has no model 'resnet511.a1_in1k': did you mean"),
        (candidate("timm:resnet18.a1_in1kk"), "no weights 'a1_in1kk' of resnet18: did you mean 'resnet18.a1_in1k'"),
        (candidate("open_clip:ViT-B-33"), "open_clip has no model 'ViT-B-33'"),
        (
            candidate("open_clip:ViT-B-32"),
            "ViT-B-32 needs args.pretrained, a pretrained tag .*laion400m_e32",
        ),
        (candidate("open_clip:ViT-B-16", pretrained="openai"), "take ViT-B-16-quickgelu"),
        (candidate("open_clip:ViT-S-32-alt"), "no pretrained weights of ViT-S-32-alt: give a file"),
        pytest.param(
            clip("ViT-B-16-SigLIP", "webli"),
            "^clip: the text tower of .* needs .*transformers",
            marks=NEEDS_TRANSFORMERS,
        ),
        pytest.param(
            candidate("open_clip:xlm-roberta-base-ViT-B-32", pretrained="laion5b_s13b_b90k"),
            "text tower of xlm-roberta-base-ViT-B-32 needs",
            marks=NEEDS_TRANSFORMERS,
        ),
    ],
)
def test_names_are_refused_without_their_library(described, message):
    with pytest.raises(InputError, match=message) as error:
        check_model(described)
    assert str(error.value).startswith("clip: " if "section" in described else "candidates.x: ")


@pytest.mark.parametrize(
    "described",
    [
        clip("ViT-B-16-plus-240", "laion400m_e32"),
        clip("ViT-L-14", __file__, "laion2b_s32b_b82k"),
        clip("hf-hub:someone/model"),
        clip("local-dir:somewhere"),
        candidate("open_clip:ViT-B-16-SigLIP", pretrained="webli"),  # its image tower alone
        candidate("open_clip:hf-hub:someone/model"),
        candidate("timm:hf-hub:someone/model"),
        candidate("timm:vit_base_patch16_224.orig_in21k"),
        candidate("timm:tv_resnet50"),  # an old name
        candidate("torchvision:vit_h_14"),
    ],
    ids=lambda described: described["model"],
)
def test_what_may_work_is_accepted(described):
    check_model(described)


@NEEDS_TRANSFORMERS
def test_models_that_need_transformers_are_those_that_open_clip_cannot_build():
    import open_clip

    for name in open_clip.list_models():
        text = open_clip.get_model_config(name)["text_cfg"]
        if text.get("hf_model_name"):
            with pytest.raises(InputError, match="`transformers`"):
                library_models.check_open_clip(name, "w.pt", None, for_text=False)
    with pytest.raises(RuntimeError, match="transformers"):
        open_clip.create_model(name_of_text_model(), pretrained=None, device="meta")
    with pytest.raises(ModuleNotFoundError, match="transformers"):
        open_clip.get_tokenizer("ViT-B-16-SigLIP")


def name_of_text_model():
    return next(name for name in library_models.open_clip_configs() if name.startswith("roberta"))


def test_words_of_a_text():
    """As many one-token words fit, no more; of tokenizers that count otherwise nothing is said."""
    import open_clip

    most = most_words(clip("ViT-B-16-plus-240", "laion400m_e32"))
    tokenizer = open_clip.get_tokenizer("ViT-B-16-plus-240")
    assert len(tokenizer.encode("bird " * most)) + 2 == tokenizer.context_length == 77
    assert most_words({"model": "mini:clip"}) == 22
    assert most_words(clip("ViT-B-16-SigLIP", "webli")) is None and most_words(clip("hf-hub:someone/model")) is None


@pytest.mark.parametrize(
    "text",
    [
        "_PRETRAINED = build_tables()",
        "TABLES = {}",
        "_PRETRAINED = [",
        "_PRETRAINED = {'ViT-B-32': 3}",
        "import torch\n_PRETRAINED = {'ViT-B-32': torch.load('x')}",
    ],
)
def test_another_open_clip_refuses_nothing_here(elsewhere, text):
    """Where its table of weights is built in another way, tags are left to the library; names of models are still told."""
    assert library_models.open_clip_pretrained() is None, "a library that is not there"
    library_models.open_clip_pretrained.cache_clear()
    (elsewhere / "constants.py").write_text("")
    (elsewhere / "pretrained.py").write_text(text)
    check_model(clip("ViT-B-32", "a_tag"))
    library_models.open_clip_configs.cache_clear()
    (elsewhere / "model_configs").mkdir()
    (elsewhere / "model_configs" / "ViT-B-32.json").write_text('{"embed_dim": 8, "vision_cfg": {}, "text_cfg": {}}')
    check_model(clip("ViT-B-32", "a_tag"))
    with pytest.raises(InputError, match="did you mean 'ViT-B-32'"):
        check_model(clip("ViT-B-33", "a_tag"))


def test_a_library_that_is_not_there_refuses_nothing_here(elsewhere):
    for model in ("torchvision:anything", "timm:anything", "open_clip:anything"):
        check_model(candidate(model))


def test_reading_names_imports_no_library():
    script = """
import json, sys
from swsa_core.candidates import library_models
library_models.registered("torchvision"), library_models.registered("timm")
library_models.open_clip_configs(), library_models.open_clip_pretrained()["ViT-B-32"]
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"torch", "torchvision", "timm", "open_clip", "sklearn", "tqdm"} & set(json.loads(ran.stdout))
