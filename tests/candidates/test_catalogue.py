"""Names of models are known as the libraries themselves list them, without importing them, once for each version."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from swsa_core.basics.errors import InputError
from swsa_core.candidates import catalogue as catalogue_module
from swsa_core.candidates import family_of, open_clip, timm, torchvision
from swsa_core.candidates.catalogue import catalogue, folder
from swsa_core.candidates.mistakes import check_model
from swsa_core.candidates.section import clip_backbone

ROOT = Path(__file__).parents[2]
NEEDS_TRANSFORMERS = pytest.mark.skipif(find_spec("transformers") is not None, reason="transformers is there")


def clip(model, weights=None, tag=None):
    """The backbone's record of a section `clip`."""
    return clip_backbone({"model": f"open_clip:{model}", "weights": weights, "tag": tag})


def candidate(model, **args):
    return {"name": "x", "model": model, "args": args}


def most_words(described):
    return family_of(described).texts.most_words(described)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache that is empty; what was read before is forgotten, then and afterwards."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    catalogue.cache_clear()
    yield tmp_path / "cache"
    catalogue.cache_clear()


@pytest.fixture
def runs(cache, monkeypatch):
    """Names of the functions that were run in a process of their own; each gives a list of one name."""
    ran = []
    monkeypatch.setattr(catalogue_module, "_run", lambda listed: ran.append(listed.__name__) or ["a name"])
    return ran


def listed():
    raise AssertionError("only its name is asked for")


def test_a_library_is_listed_once_for_each_version(runs, cache, monkeypatch):
    assert catalogue("timm", listed) == ["a name"] and runs == ["listed"]
    catalogue.cache_clear()  # as in another process
    assert catalogue("timm", listed) == ["a name"] and runs == ["listed"]
    (kept,) = (path for path in cache.rglob("*") if path.is_file())
    monkeypatch.setattr(catalogue_module, "version", lambda package: "999")
    catalogue.cache_clear()
    assert catalogue("timm", listed) == ["a name"] and runs == ["listed"] * 2
    assert kept.with_name("timm-999.json").is_file()


def test_a_damaged_listing_is_made_again(runs):
    catalogue("timm", listed)
    (kept,) = folder().iterdir()
    kept.write_text('["a na')
    catalogue.cache_clear()
    assert catalogue("timm", listed) == ["a name"] and json.loads(kept.read_text()) == ["a name"]


def test_without_a_cache_the_listing_is_for_this_run(runs, cache):
    cache.write_text("a file where the folder would be")
    for _ in range(2):
        assert catalogue("timm", listed) == ["a name"]
    assert runs == ["listed"] and cache.is_file()


@pytest.mark.parametrize(("given", "below"), [("/a/cache", "/a/cache"), ("", "~/.cache"), ("relative", "~/.cache")])
def test_place_of_the_cache(given, below, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert folder().is_relative_to(Path(below).expanduser())


def test_a_user_without_a_home_keeps_no_listing(runs, monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # what it does where nothing says where home is
    monkeypatch.chdir(tmp_path)
    assert catalogue("timm", listed) == ["a name"] and folder() is None and not list(tmp_path.iterdir())


def test_of_a_library_that_fails_nothing_is_known(cache):
    assert catalogue("timm", listed) is None  # this module cannot be imported by its name there
    assert not cache.exists()


def test_a_library_that_is_not_there_refuses_nothing_here(cache, monkeypatch):
    def version(package):
        raise catalogue_module.PackageNotFoundError(package)

    monkeypatch.setattr(catalogue_module, "version", version)
    for model in ("torchvision:anything", "timm:anything", "open_clip:anything"):
        check_model(candidate(model))
    assert most_words(clip("anything")) is None


def test_torchvision():
    from torchvision import models

    assert list(catalogue("torchvision", torchvision.listed)) == models.list_models(module=models)


def test_timm():
    import timm as library
    from timm.models import _registry

    known = catalogue("timm", timm.listed)
    assert known["models"] == library.list_models()
    assert {*known["models"], *known["old"]} == set(_registry._model_entrypoints)
    for name in [*_registry._model_entrypoints, *library.list_pretrained()]:
        check_model(candidate(f"timm:{name}"))


def test_open_clip():
    import open_clip as library

    known = catalogue("open_clip_torch", open_clip.listed)
    assert list(known) == library.list_models()
    pairs = {(model, tag) for model, of_model in known.items() for tag in of_model["tags"]}
    assert pairs == set(library.list_pretrained())
    for model, of_model in known.items():
        assert of_model["config"] == library.get_model_config(model)
        theirs = {tag: library.get_pretrained_cfg(model, tag) for tag in library.list_pretrained_tags_by_model(model)}
        assert of_model["tags"] == json.loads(json.dumps(theirs))


def test_every_tag_of_open_clip_goes_with_one_activation():
    """All but the models' copies under the other activation are accepted."""
    refused, known = [], catalogue("open_clip_torch", open_clip.listed)
    for model, of_model in known.items():
        for tag in of_model["tags"]:
            try:
                check_model(candidate(f"open_clip:{model}", pretrained=tag))
            except InputError as error:
                refused.append(str(error))
    needed = [sentence for sentence in refused if "another activation" not in sentence]
    assert all("`transformers`" in sentence for sentence in needed)
    assert len(refused) < 0.2 * sum(len(of_model["tags"]) for of_model in known.values())


def test_an_unknown_name_lists_ten_at_most():
    for model in ("torchvision:zzz", "timm:zzz", "timm:zzz.a_tag", "open_clip:zzz"):
        with pytest.raises(InputError, match=r"known: ([^,]+, ){10}… and [\d,]+ more$"):
            check_model(candidate(model))


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
    import open_clip as library

    for name in library.list_models():
        if library.get_model_config(name)["text_cfg"].get("hf_model_name"):
            with pytest.raises(InputError, match="`transformers`"):
                check_model(candidate(f"open_clip:{name}") | {"weights": __file__})
    with pytest.raises(RuntimeError, match="transformers"):
        library.create_model("roberta-ViT-B-32", pretrained=None, device="meta")
    with pytest.raises(ModuleNotFoundError, match="transformers"):
        library.get_tokenizer("ViT-B-16-SigLIP")


def test_words_of_a_text():
    """As many one-token words fit, no more; of tokenizers that count otherwise nothing is said."""
    import open_clip as library

    most = most_words(clip("ViT-B-16-plus-240", "laion400m_e32"))
    tokenizer = library.get_tokenizer("ViT-B-16-plus-240")
    assert len(tokenizer.encode("bird " * most)) + 2 == tokenizer.context_length == 77
    assert most_words({"model": "mini:clip"}) == 22
    assert most_words(clip("ViT-B-16-SigLIP", "webli")) is None and most_words(clip("hf-hub:someone/model")) is None


def test_listing_imports_no_library_here(cache):
    script = """
import json, sys
from swsa_core.candidates import open_clip, timm, torchvision
from swsa_core.candidates.catalogue import catalogue
for package, listed in ("torchvision", torchvision.listed), ("timm", timm.listed), ("open_clip_torch", open_clip.listed):
    assert len(catalogue(package, listed)) >= 3
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"torch", "torchvision", "timm", "open_clip", "sklearn", "tqdm"} & set(json.loads(ran.stdout))
    assert len(list(folder().iterdir())) == 3
