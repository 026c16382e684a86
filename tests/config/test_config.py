"""The config: defaults, one clear sentence per mistake, and a schema in step."""

import copy
import json
import tomllib
from pathlib import Path

import pytest
import yaml

from swsa_core.basics.errors import InputError
from swsa_core.candidates.section import clip_backbone
from swsa_core.config.config import REFERENCE, SCHEMA, reference, schema, validate

ROOT = Path(__file__).parents[2]
MINIMAL = {"datasets": {"d": {"kind": "digits"}}, "sources": {"cutpaste": {}}, "candidates": ["descriptor:hog"]}


def changed(path, value):
    """The minimal config with the key at a dotted path set."""
    config = copy.deepcopy(MINIMAL)
    *steps, last = path.split(".")
    section = config
    for step in steps:
        section = section.setdefault(step, {})
    section[last] = value
    return config


def test_every_key_is_described():
    document = json.loads(SCHEMA.read_text(encoding="utf-8"))
    for name, section in {"config": document, **document["$defs"]}.items():
        for key, value in section["properties"].items():
            assert "description" in value or key == "kind", f"{name}.{key}"


def test_defaults():
    config = validate(MINIMAL)
    assert config["knn"] == {"k": 3, "distance": "squared_l2", "l2_normalize": False}
    assert config["sources"] == {
        "cutpaste": {
            "form": "patch",
            "area": [0.02, 0.15],
            "aspect": [0.3, 3.3],
            "scar_width": [2, 16],
            "scar_length": [10, 25],
            "scar_rotation": [-45, 45],
            "jitter": 0,
        }
    }
    assert config["datasets"]["d"]["support"] == {"seeds": 20}
    assert config["strategies"] == ["largest_model", "random", "swsa_cutpaste"]
    assert config["candidates"][0]["name"] == "descriptor:hog"
    assert validate(config) == config, "a validated config is valid"


def test_support_of_a_dataset_wins():
    config = validate(changed("datasets.d.support", {"seeds": 10}))
    assert config["datasets"]["d"]["support"] == {"seeds": 10}


CLIP = {"model": "open_clip:ViT-B-16-plus-240", "weights": "laion400m_e32"}
PAIRS = [["a photo of a {}", "a photo of something"], ["a dark photo of a {}", "a dark photo of something"]]


def test_defaults_with_clip():
    config = validate(changed("clip", {"model": "mini:clip"}))
    assert config["clip"] == {"model": "mini:clip", "weights": None, "tag": None, "templates": "paper"}
    assert len(config["datasets"]["d"]["templates"]) == 10
    assert config["strategies"] == ["largest_model", "default_prompt", "prompt_ensemble", "random", "swsa_cutpaste"]
    assert validate(config) == config, "a validated config is valid"
    assert validate(MINIMAL)["clip"] is None and validate(MINIMAL)["datasets"]["d"]["templates"] is None


def test_templates_of_a_dataset_win():
    config = changed("clip", CLIP | {"templates": PAIRS})
    config["datasets"] |= {"birds": {"kind": "cub", "root": "x", "templates": "paper"}}
    config["datasets"] |= {"own": {"kind": "folder", "root": "x", "templates": "industrial_something"}}
    found = {name: dataset["templates"] for name, dataset in validate(config)["datasets"].items()}
    assert found["d"] == PAIRS
    assert found["birds"][0] == ["a photo of a {} bird", "a photo of some bird"]
    assert found["own"][0] == ["a photo of a {}", "a photo of something"]


@pytest.mark.parametrize(
    ("clip", "weights", "args"),
    [
        (CLIP, None, {"pretrained": "laion400m_e32"}),
        (CLIP | {"weights": "weights/clip"}, "weights/clip", {}),
        (CLIP | {"weights": "clip.pt"}, "clip.pt", {}),
        ({"model": "mini:clip"}, None, {}),
        ({"model": "open_clip:hf-hub:timm/clip"}, None, {}),
    ],
)
def test_clip_as_a_backbone(clip, weights, args):
    candidate = validate(changed("candidates", [clip["model"]]))["candidates"][0]
    backbone = clip_backbone(validate(changed("clip", clip))["clip"])
    assert backbone == candidate | {"weights": weights, "args": args, "section": "clip"}


def test_null_removes_an_entry():
    config = changed("sources.tiny_imagenet", None)
    config["datasets"]["gone"] = None
    assert set(validate(config)["datasets"]) == {"d"}


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("knn.k", 0, r"knn\.k: received 0; expected greater than or equal to 1"),
        ("knn.kk", 1, r"^knn\.kk: unknown key, did you mean 'k'\?$"),
        ("sed", 1, r"sed: unknown key, did you mean 'seed'\?"),
        ("datasets.d.kind", "digitz", r"datasets\.d\.kind: received 'digitz'; did you mean 'digits'\?"),
        ("datasets.d", {"root": "x"}, r"datasets\.d\.kind: this key is required .* one of cub, flowers"),
        ("datasets.d", {"kind": "cub"}, r"datasets\.d\.root: this key is required"),
        ("datasets.d.real_spit", "val", r"datasets\.d\.real_spit: unknown key"),
        ("datasets.d", {"kind": "flowers", "root": "x", "real_spit": "val"}, r"did you mean 'real_split'\?"),
        ("datasets.d.bit_depth", 7, r"^datasets\.d\.bit_depth: received 7; expected greater than or equal to 8$"),
        ("datasets.d.bit_depth", 17, r"^datasets\.d\.bit_depth: received 17; expected less than or equal to 16$"),
        (
            "datasets.d.value_range",
            [1, 0],
            r"^datasets\.d\.value_range: received \[1, 0\]; expected the lower value first",
        ),
        (
            "datasets.d",
            {"kind": "digits", "bit_depth": 10, "value_range": [0, 1]},
            r"datasets\.d: bit_depth: `value_range` says how samples are scaled, too; give one of them",
        ),
        ("datasets.d.include", ["[z-a]"], r"^datasets\.d\.include\.0: received '\[z-a\]'; expected a glob pattern"),
        ("datasets.d.exclude", ["../x"], r"^datasets\.d\.exclude\.0: received '\.\./x'; expected a glob pattern"),
        ("datasets.d.exclude", "*.png", r"^datasets\.d\.exclude: received '\*\.png'; expected a list"),
        (
            "datasets.d",
            {"kind": "folder", "root": "x", "normal_names": []},
            r"^datasets\.d\.normal_names: received \[\]; expected at least one entry",
        ),
        (
            "datasets.d.support",
            {"seeds": 7},
            r"\.seeds: received 7; expected 'auto', or expected a multiple of 2",
        ),
        ("datasets.Tables", {"kind": "digits"}, r"datasets: .*'Tables' cannot name a data set: use lower-case letters"),
        ("datasets.pools", {"kind": "digits"}, r"datasets: .*'pools' cannot name a data set"),
        ("candidates", ["descriptor:hog", "descriptor:hog"], r"duplicate candidate names \['descriptor:hog'\]"),
        ("candidates", ["torchvison:resnet18"], r"candidates\.0: .*family:model, did you mean 'torchvision'\?"),
        ("candidates", ["hog"], r"candidates\.0: received 'hog'; expected family:model"),
        ("candidates", [{"model": "mini:x", "weigths": "f"}], r"candidates\.0\.weigths: .*did you mean 'weights'\?"),
        ("strategies", ["swsa_tiny_imagenet"], r"strategies: 'swsa_tiny_imagenet' needs the source 'tiny_imagenet'"),
        ("strategies", ["largest"], r"strategies: 'largest' is unknown, did you mean 'largest_model'\?"),
        (
            "strategies",
            ["largest_model", "random"],
            r"strategies: received .*, one of swsa_cutpaste, swsa must be among them",
        ),
        ("strategies", ["random", "random", "swsa_cutpaste"], r"strategies: .*\['random'\] stand there more than once"),
        (
            "evaluation.protocols",
            ["paper", "paper"],
            r"evaluation\.protocols: .*\['paper'\] stand there more than once",
        ),
        ("sources", {}, r"sources: none is given; name at least one of diffusion, text_guided, cutpaste"),
        (
            "sources.cutpaste.area",
            [0.5, 0.1],
            r"sources\.cutpaste\.area: received \[0\.5, 0\.1\]; expected 0 < low <= high",
        ),
        ("sources.cutpast", {}, r"sources\.cutpast: unknown key, did you mean 'cutpaste'\?"),
        ("sources.procedural", {"pool": 5}, r"sources\.procedural\.pool: received 5, fewer than the 100 anomalies"),
        ("preparation", "orignal", r"preparation: received 'orignal'; .*expected 'original'"),
        ("evaluation.protocols", ["papre"], r"evaluation\.protocols\.0: received 'papre'; expected 'leave_one_out'"),
        ("evaluation.hardest", [10, 5], r"evaluation\.hardest: received \[10, 5\]; expected a list with 'all'"),
        ("results", "{dataset}", r"results: received '\{dataset\}'; expected a path without braces"),
        ("runtime.device", "gpu", r"runtime\.device: received 'gpu'; expected auto, cpu, cuda"),
        (
            "candidates",
            [{"model": "mini:vit_s", "mean": [0.5] * 3}],
            r"^candidates\.0: mini:vit_s has only one of mean and std: give both",
        ),
        ("clip", {"model": "timm:vit"}, r"^clip\.model: received 'timm:vit'; expected open_clip:<model> or mini:clip$"),
        ("clip", {"model": "open_clip:ViT-B-32"}, r"^clip: open_clip:ViT-B-32 needs `weights`, a pretrained tag"),
        (
            "clip",
            {"model": "mini:clip", "weights": "openai"},
            r"^clip: mini:clip has bundled weights and no tag 'openai'",
        ),
        ("clip", CLIP | {"weights": "{x}.pt"}, r"^clip\.weights: received '\{x\}\.pt'; expected a path without braces"),
        ("clip", CLIP | {"weigths": "x"}, r"^clip\.weigths: unknown key, did you mean 'weights'\?$"),
        ("clip", CLIP | {"templates": "industrail"}, r"^clip\.templates: received 'industrail'.* mean 'industrial' or"),
        ("clip", CLIP | {"templates": None}, r"^clip\.templates: received None; expected 'paper', a bundled set \(cub"),
        ("clip", CLIP | {"templates": []}, r"^clip\.templates: received an empty list; expected at least one pair"),
        ("clip", CLIP | {"templates": ["a {}"]}, r"^clip\.templates: pair 1 is 'a \{\}'; expected two templates"),
        ("clip", CLIP | {"templates": [*PAIRS, ["a {}"]]}, r"^clip\.templates: pair 3 is \['a \{\}'\]; expected two"),
        (
            "clip",
            CLIP | {"templates": [["a", "b"]]},
            r"^clip\.templates: pair 1 has the normal template 'a' with \{\} 0",
        ),
        (
            "clip",
            CLIP | {"templates": [["a {} {}", "b"]]},
            r"'a \{\} \{\}' with \{\} 2 times; expected once, where the class",
        ),
        ("clip", CLIP | {"templates": [["a {}", "{} {}"]]}, r"the anomalous template '\{\} \{\}' with \{\} 2 times"),
        ("clip", CLIP | {"templates": [["a {name}{}", "b"]]}, r"the only braces that it may hold are \{\}$"),
        ("clip", CLIP | {"templates": [["a {}", " "]]}, r"pair 1 has the anomalous template ' '; expected a text$"),
        ("clip", CLIP | {"templates": [["a {}", 3]]}, r"pair 1 has the anomalous template 3; expected a text$"),
        (
            "clip",
            CLIP | {"templates": [["a {}", "a {}"]]},
            r"pair 1 has twice the template 'a \{\}'; expected two different",
        ),
        ("clip", CLIP | {"templates": [*PAIRS, PAIRS[0]]}, r"^clip\.templates: pairs 1 and 3 are both .*: remove one"),
        ("datasets.d.templates", "cub", r"^datasets\.d\.templates: there is no section `clip` whose prompts they are"),
        (
            "strategies",
            ["default_prompt", "swsa_cutpaste"],
            r"^strategies: 'default_prompt' is about prompts: add the section",
        ),
    ],
)
def test_mistakes_are_told_in_a_sentence(path, value, sentence):
    with pytest.raises(InputError, match=sentence):
        validate(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("sources", ["cutpaste"], r"^sources: received \['cutpaste'\]; expected keys below it, `name: value` each$"),
        ("candidates", "descriptor:hog", r"^candidates: received 'descriptor:hog'; expected a list, \[one, another\]$"),
        ("knn", 3, r"^knn: received 3; expected keys below it"),
        ("datasets", "x", r"^datasets: received 'x'; expected keys below it, `name: value` each$"),
        ("datasets", {"d": None}, r"^datasets: received \{'d': None\}; expected at least one entry$"),
        ("seed", "abc", r"^seed: received 'abc'; expected a whole number$"),
        ("results", 3, r"^results: received 3; expected a path$"),
        ("results", "~nobody-here/x", r"^results: received '~nobody-here/x'; expected a path whose ~ stands for"),
        ("figures", {"tsne": {"d": 3}}, r"^figures\.tsne\.d: received 3; expected a text, in quotes$"),
        ("candidates", None, r"^candidates: received None; expected a list"),
        ("preparation", {"size": 3}, r"^preparation\.size: received 3; expected greater than or equal to 16$"),
        ("sources", {"marble": None}, r"^sources\.marble: unknown key, known: hard_pool, (\w+, ){9}… and 2 more$"),
        ("sources", {"cutpast": None, "cutpaste": {}}, r"^sources\.cutpast: unknown key, did you mean 'cutpaste'\?$"),
        ("knn.k", {"a": [{"b": {"c": {"d": [1] * 999}}}]}, r"^knn\.k: received .{,200}; expected a whole number$"),
    ],
)
def test_wrong_types_are_told_without_jargon(path, value, sentence):
    with pytest.raises(InputError, match=sentence):
        validate(changed(path, value))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({1: "x"}, r"^1: the key 1 is not a text: write it in quotes$"),
        ({"datasets": {None: {"kind": "digits"}}}, r"^datasets\.null: the key null is not a text"),
        ({"datasets": {"d": {"kind": "digits", True: 3}}}, r"^datasets\.d\.true: the key true is not a text"),
        (
            {"candidates": [{"model": "descriptor:hog", "args": {1: 2}}]},
            r"^candidates\.0\.args\.1: the key 1 is not a text",
        ),
        ({"knn": {"x\ny": 2}}, r"^knn\.'x\\ny': unknown key"),
        ({"knn.k": 3}, r"^knn\.k: unknown key: write k below knn, as `knn: \{k: value\}`$"),
    ],
)
def test_strange_keys_are_told_with_their_whole_path(change, sentence):
    with pytest.raises(InputError, match=sentence):
        validate(MINIMAL | change)


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (
            "candidates",
            [CLIP["model"]],
            r"^candidates: 'open_clip:ViT-B-16-plus-240' is the CLIP model .* its own `name`$",
        ),
        (
            "candidates",
            [{"model": "mini:x", "name": "prompt_ensemble"}],
            r"'prompt_ensemble' names a combination of candidates",
        ),
        (
            "datasets.d.templates",
            [["a", "b"]],
            r"^datasets\.d\.templates: pair 1 has the normal template 'a' with \{\} 0 times",
        ),
        ("datasets.d.templates", "cup", r"^datasets\.d\.templates: received 'cup'; .*did you mean 'cub'\?$"),
        (
            "strategies",
            ["default_promt", "swsa_cutpaste"],
            r"'default_promt' is unknown, did you mean 'default_prompt'\?",
        ),
        (
            "strategies",
            ["default_prompt"],
            r"received \['default_prompt'\], one of swsa_cutpaste, swsa must be among them",
        ),
    ],
)
def test_mistakes_beside_clip(path, value, sentence):
    with pytest.raises(InputError, match=sentence):
        validate(changed(path, value) | {"clip": CLIP})


def test_home_directory_is_expanded():
    config = validate(changed("results", "~/results") | {"datasets": {"d": {"kind": "folder", "root": "~/images"}}})
    assert config["results"] == str(Path.home() / "results")
    assert config["datasets"]["d"]["root"] == str(Path.home() / "images")


def test_every_mistake_is_told():
    config = changed("knn.k", 0)
    config["sed"] = 1
    with pytest.raises(InputError) as error:
        validate(config)
    assert len(str(error.value).splitlines()) == 2


def test_a_variant_alone_is_refused():
    with pytest.raises(
        InputError, match=r"lacks datasets, sources, candidates.*--configfile <complete>.yaml <changes>"
    ):
        validate({"knn": {"k": 5}})


@pytest.mark.parametrize("path", [ROOT / "config.yaml", *(ROOT / "config").glob("*.yaml")], ids=lambda path: path.name)
def test_shipped_configs_are_valid(path):
    validate(yaml.safe_load(path.read_text()))


def test_schema_and_reference_are_in_step():
    assert SCHEMA.read_text(encoding="utf-8") == schema(), "run `make schema`"
    assert REFERENCE.read_text(encoding="utf-8") == reference(), "run `make schema`"


def test_lock_and_environment_are_in_step():
    """Every direct dependency has one version, the lock's, in the conda environment too."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    environment = yaml.safe_load((ROOT / "envs" / "swsa.yaml").read_text())
    python = next(
        entry for entry in environment["dependencies"] if isinstance(entry, str) and entry.startswith("python=")
    )
    marker = {"python_full_version": python.removeprefix("python=") + ".0", "sys_platform": "linux"}
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [Requirement(line.rstrip(" \\")) for line in lines if line[:1].isalnum()]
    locked = {
        canonicalize_name(pin.name): str(pin.specifier)
        for pin in pins
        if pin.marker is None or pin.marker.evaluate(marker)
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    installed = {canonicalize_name(Requirement(line).name): str(Requirement(line).specifier) for line in pip}
    assert installed == {name: locked[name] for name in direct - {"snakemake"}}
    for line in project["dependencies"]:
        requirement = Requirement(line)
        version = locked[canonicalize_name(requirement.name)].removeprefix("==")
        assert version in requirement.specifier, f"the lock's {version} is outside {line}"


def test_links_in_the_documents_resolve():
    import re

    others = [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "config" / "README.md",
        ROOT / "models" / "mini" / "README.md",
    ]
    for document in [*others, *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            assert link.startswith("https://") or (document.parent / link).exists(), f"{document.name}: {link}"


def test_the_modules_that_the_documents_run_can_be_run():
    import re

    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for document in documents:
        for name in re.findall(r"python3? -m (swsa_core[\w.]*\w)", document.read_text(encoding="utf-8")):
            assert runs(name), f"{document.name}: python -m {name} runs nothing"
    assert runs("swsa_core.config") and not runs("swsa_core.config.config") and not runs("swsa_core.nowhere")


def runs(module):
    """Whether `python -m module` does something: a package with a `__main__`, or a module that asks whether it is run."""
    path = ROOT.joinpath(*module.split("."))
    if path.is_dir():
        return (path / "__main__.py").is_file()
    file = path.with_suffix(".py")
    return file.is_file() and '__name__ == "__main__"' in file.read_text(encoding="utf-8")


def test_the_tests_that_the_documents_name_exist():
    import re

    named = re.findall(r"`([\w/]+\.py)::(\w+)`", (ROOT / "docs" / "reliability.md").read_text())
    assert len(named) > 50
    for file, test in named:
        assert f"def {test}(" in (ROOT / "tests" / file).read_text(), f"{file}::{test}"


def test_strategies_beyond_the_paper_have_to_be_asked_for():
    assert "hits" not in validate(MINIMAL)["strategies"]
    asked = ["swsa_cutpaste", "swsa_combined", "fixed_best_cutpaste", "hits"]
    assert validate(MINIMAL | {"strategies": asked})["strategies"] == asked
    with pytest.raises(InputError, match="swsa_cutpaste, swsa must be among them"):
        validate(MINIMAL | {"strategies": ["swsa_combined"]})
    with pytest.raises(InputError, match="needs the source 'diffusion'"):
        validate(MINIMAL | {"strategies": ["swsa_cutpaste", "fixed_best_diffusion"]})


def test_figures_name_what_the_config_has():
    figures = validate(MINIMAL | {"figures": {"tsne": {"d": "3", "gone": None}}})["figures"]
    assert figures["tsne"] == {"d": "3"}
    assert figures["space"] is None, "the first candidate, of those that `licences` leave"
    with pytest.raises(InputError, match=r"figures\.space: .*'descriptor:hogg'.*did you mean 'descriptor:hog'"):
        validate(MINIMAL | {"figures": {"space": "descriptor:hogg"}})
    with pytest.raises(InputError, match=r"figures\.tsne.*'other'"):
        validate(MINIMAL | {"figures": {"tsne": {"other": "3"}}})
    with pytest.raises(InputError, match=r"figures\.contact_sheets.*diffusion"):
        validate(MINIMAL | {"figures": {"contact_sheets": {"d": ["3"]}}})


def test_a_file_of_clip_weights_may_say_of_which_tag_it_is_a_copy():
    clip = {"model": "open_clip:ViT-L-14", "weights": "w.safetensors", "tag": "laion2b_s32b_b82k"}
    record = clip_backbone(validate(MINIMAL | {"clip": clip})["clip"])
    assert (record["weights"], record["args"]) == ("w.safetensors", {"pretrained": "laion2b_s32b_b82k"})
    for wrong in ({"model": "mini:clip"}, {"weights": "openai"}):
        with pytest.raises(InputError, match="goes with a file of open_clip weights"):
            validate(MINIMAL | {"clip": clip | wrong})


@pytest.mark.parametrize("name", ["rank_ensemble", "prompt_ensemble"])
def test_a_candidate_is_not_named_like_a_combination_of_candidates(name):
    with pytest.raises(InputError, match=f"candidates: '{name}' names a combination of candidates"):
        validate(MINIMAL | {"candidates": [{"name": name, "model": "descriptor:hog"}]})


def test_a_class_name_is_a_text():
    def of(value):
        return validate(changed("datasets.mine", {"kind": "folder", "root": "x", "class_name": value}))["datasets"][
            "mine"
        ]

    assert of(" red bolt ")["class_name"] == "red bolt"
    assert of(None)["class_name"] is None
    for empty in ("", "   "):
        with pytest.raises(
            InputError, match=rf"^datasets\.mine\.class_name: received '{empty}'; expected a text that is not blank$"
        ):
            of(empty)
