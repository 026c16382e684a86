"""Licences come from the metadata of libraries and packages, and leave candidates out where a config names those it takes."""

import pytest
from layouts import classes
from workflow import snakemake

from swsa_core.basics.errors import InputError
from swsa_core.candidates import licences
from swsa_core.candidates.licences import allowed, licence_of, short
from swsa_core.config.config import validate
from swsa_core.config.study import study

KNOWN = {
    "torchvision:vit_h_14": "cc-by-nc-4.0",  # its weights are SWAG's
    "torchvision:vit_b_16": "bsd-3-clause",
    "timm:vit_small_patch14_dinov2.lvd142m": "apache-2.0",
    "timm:vit_small_patch14_dinov2": "apache-2.0",
    "timm:vit_small_patch16_dinov3.lvd1689m": "dinov3-license",
    "timm:resnet50.fb_swsl_ig1b_ft_in1k": "cc-by-nc-4.0",
    "timm:resnet50.bamboo": "not stated",
    "timm:hf-hub:someone/model": "not stated",
    "open_clip:ViT-B-32": "not stated",
    "mini:vit_s": "apache-2.0",
    "descriptor:hog": "no weights",
}


def candidate(model, **own):
    return {"name": model, "model": model, "weights": None, "args": {}, **own}


@pytest.mark.parametrize("model", KNOWN)
def test_it_is_what_the_library_says(model):
    assert licence_of(candidate(model)) == KNOWN[model]


def test_it_is_that_of_the_weights_which_are_named():
    assert licence_of(candidate("torchvision:vit_b_16", args={"weights": "IMAGENET1K_SWAG_E2E_V1"})) == "cc-by-nc-4.0"
    assert licence_of(candidate("torchvision:resnet50", args={"weights": "absent"})) == "not stated"
    assert licence_of(candidate("timm:resnet18", weights="own.pt")) == "not stated"


def test_of_a_package_it_is_the_package_s(monkeypatch):
    monkeypatch.setattr(licences, "packaged_licence", lambda weights: "MIT License")
    assert licence_of(candidate("timm:resnet18", weights="package:some_weights")) == "mit"


def test_of_a_file_it_is_the_one_declared(monkeypatch):
    assert licence_of(candidate("timm:resnet18", weights="own.pt", licence="Apache License 2.0")) == "apache-2.0"
    assert licence_of(candidate("torchvision:vit_h_14", weights="own.pt", licence="in-house")) == "in-house"
    assert licence_of(candidate("timm:hf-hub:someone/model", licence="mit")) == "mit", "of which timm says nothing"
    monkeypatch.setattr(licences, "packaged_licence", lambda weights: "MIT License")
    for own, says in (
        (candidate("torchvision:vit_h_14"), "torchvision says of its weights: cc-by-nc-4.0"),
        (candidate("descriptor:hog"), "descriptor says of its weights: no weights"),
        (candidate("timm:resnet18", weights="package:x"), "the package of package:x says of its weights: mit"),
    ):
        with pytest.raises(InputError, match=rf"^candidates\..*\.licence: received 'mit', .* but {says}; remove"):
            licence_of(own | {"licence": "mit"})


@pytest.mark.parametrize(
    ("written", "licence"),
    {
        "Apache License, Version 2.0": "apache-2.0",
        "Apache-2.0": "apache-2.0",
        "CC BY-NC 4.0": "cc-by-nc-4.0",
        "CC-BY-NC-SA-4.0": "cc-by-nc-sa-4.0",
        "https://github.com/facebookresearch/SWAG/blob/main/LICENSE": "cc-by-nc-4.0",
        "BSD 3-Clause License": "bsd-3-clause",
        "The MIT License": "mit",
        "permitted by its author": "other",
        "gemma": "gemma",
        "not stated": "not stated",
        "": "not stated",
        None: "not stated",
    }.items(),
)
def test_short_ids(written, licence):
    assert short(written) == licence and short(licence) == licence


def test_candidates_of_other_licences_are_left_out():
    models = [candidate(model) for model in KNOWN]
    kept, left_out = allowed(models, ["Apache-2.0", "not stated"])
    assert {one["model"] for one in kept} == {
        model for model, licence in KNOWN.items() if licence in ("apache-2.0", "not stated", "no weights")
    }
    assert left_out == {model: KNOWN[model] for model in KNOWN if model not in {one["model"] for one in kept}}


def test_no_candidate_left_is_a_sentence():
    with pytest.raises(
        InputError, match=r"^licences: mit leave no candidate: mini:vit_s \(apache-2.0\); add a licence"
    ):
        allowed([candidate("mini:vit_s")], ["mit"])


def config(**own):
    return {
        "datasets": {"mine": {"kind": "classes", "root": "images"}},
        "support": {"seeds": 2},
        "sources": {"cutpaste": {}},
        "candidates": ["torchvision:vit_h_14", "mini:vit_s", "descriptor:hog"],
        "preparation": {"size": 32},
        **own,
    }


def test_a_study_is_without_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    classes(tmp_path / "images", ["red"])
    every = study(validate(config()))
    assert every.left_out == {} and "licences" not in every.leaves["config"]
    some = study(validate(config(licences=["apache-2.0"])))
    assert some.left_out == {"torchvision:vit_h_14": "the licence, cc-by-nc-4.0, is not among `licences`"}
    assert list(some.candidates) == ["mini-vit_s", "descriptor-hog"] and some.space == "mini-vit_s"
    assert [one["name"] for one in some.leaves["config"]["candidates"]] == ["mini:vit_s", "descriptor:hog"]


def test_a_candidate_that_a_figure_names_is_not_replaced_in_silence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    classes(tmp_path / "images", ["red"])
    named = config(licences=["apache-2.0"], figures={"space": "torchvision:vit_h_14"})
    with pytest.raises(
        InputError,
        match=r"^figures\.space: 'torchvision:vit_h_14' is left out: the licence, cc-by-nc-4\.0, .* such as 'mini:vit_s'",
    ):
        study(validate(named))
    assert study(validate(named | {"licences": ["cc-by-nc-4.0"]})).space == "torchvision-vit_h_14"
    assert study(validate(config())).space == "torchvision-vit_h_14"


def test_a_declared_licence_filters_and_makes_no_embedding_anew(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    classes(tmp_path / "images", ["red"])
    (tmp_path / "own.pt").write_bytes(b"x")
    own = {"name": "mine", "model": "timm:resnet18", "weights": "own.pt", "heads": ["knn", "cosine"]}
    plain, declared = (
        study(validate(config(candidates=[own | given, "descriptor:hog"]))) for given in ({}, {"licence": "Apache 2.0"})
    )
    assert plain.leaves["declared"] is None and declared.leaves["declared"] == {"mine": "apache-2.0"}
    assert plain.leaves["candidates"] == declared.leaves["candidates"], "what embeddings track"
    assert "licence" not in plain.leaves["config"]["candidates"][0]
    filtered = {
        given: study(validate(config(licences=["apache-2.0"], candidates=[own | dict(given), "descriptor:hog"])))
        for given in ((), (("licence", "apache-2.0"),))
    }
    assert [list(one.candidates) for one in filtered.values()] == [
        ["descriptor-hog"],
        ["mine", "mine-cosine", "descriptor-hog"],
    ]
    two = [{**own, "licence": "mit"}, {**own, "name": "other", "heads": ["mahalanobis"]}]
    with pytest.raises(
        InputError, match=r"^candidates: these have the same weights.*: mine mit, mine cosine mit, other"
    ):
        study(validate(config(candidates=two)))


def test_a_model_that_is_not_there_is_no_question_of_licences():
    with pytest.raises(InputError, match=r"^candidates\.torchvision:resnet51: torchvision has no"):
        study(validate(config(candidates=["torchvision:resnet51", "descriptor:hog"], licences=["mit"])))


def test_the_start_says_which_are_left_out(tmp_path):
    classes(tmp_path / "images", ["red"])
    given = config(licences=["apache-2.0"], results="results")
    output = snakemake(tmp_path, given, "--dry-run")
    assert "Left out, as the licence, cc-by-nc-4.0, is not among `licences`: torchvision:vit_h_14" in output
    assert "vit_h_14" not in output.replace("`licences`: torchvision:vit_h_14", "")
