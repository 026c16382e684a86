"""The registry of kinds: every fact of every kind, and a new kind that is known wherever the registry is asked."""

import ast
import importlib.util
import inspect
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import layouts
import pytest
from literals import elsewhere

from swsa_core import datasets
from swsa_core.basics.errors import InputError
from swsa_core.basics.section import PositiveInt
from swsa_core.candidates import prompts
from swsa_core.datasets import KINDS, mvtec_ad
from swsa_core.datasets.fetch import publications
from swsa_core.datasets.kind import Kind, PublishedSize, below_root
from swsa_core.datasets.rows import Row, choose
from swsa_core.datasets.section import Dataset, Licensed, Official
from swsa_core.files.downloads import License, Publication
from swsa_core.paper.printed import printed
from swsa_core.plan.sizes import official_size

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "swsa_core"


def takes(*names):
    """Check of a function's parameters."""
    return lambda function: tuple(inspect.signature(function).parameters) == names


def or_none(check):
    return lambda value: value is None or check(value)


def is_text(value):
    return isinstance(value, str) and bool(value.strip()) and value == value.strip()


CHECKS = {
    "section": lambda value: issubclass(value, Dataset) and value is not Dataset,
    "title": is_text,
    "anomalies": lambda value: value in ("classes", "defects"),
    "layout": lambda value: is_text(value) and not value.endswith("."),
    "prompts": lambda value: value in prompts.SETS,
    "tasks": takes("spec"),
    "inputs": takes("spec", "task"),
    "rows": takes("spec", "names"),
    "class_name": takes("name"),
    "unused": or_none(takes("spec", "image_ids")),
    "reading": lambda value: isinstance(value, float) and 0 <= value < 1,
    "in_paper": lambda value: isinstance(value, bool),
    "publication": or_none(lambda value: isinstance(value, Publication)),
    "published_size": or_none(takes("spec")),
    "textures": lambda value: isinstance(value, tuple) and all(map(is_text, value)),
    "mini_clip": lambda value: isinstance(value, bool),
    "class_name_key": or_none(is_text),
    "support_sizes": or_none(takes("spec", "tasks")),
    "draw_train": or_none(takes("spec", "rows", "generator")),
    "path": takes("spec", "image_id"),
}


@pytest.fixture(params=KINDS)
def name(request):
    return request.param


def test_every_fact_is_checked_here():
    assert list(CHECKS) == [field.name for field in fields(Kind)]


@pytest.mark.parametrize("fact", CHECKS)
def test_every_kind_has_every_fact(name, fact):
    value = getattr(KINDS[name], fact)
    assert CHECKS[fact](value), f"{fact} of {name}: {value!r}"


def test_every_fact_is_documented():
    body = next(node for node in ast.parse(inspect.getsource(Kind)).body if isinstance(node, ast.ClassDef)).body
    for fact, text in pairwise(body):
        if isinstance(fact, ast.AnnAssign):
            assert isinstance(text, ast.Expr) and ast.literal_eval(text.value).endswith("."), ast.unparse(fact)


def test_titles_are_different():
    assert len({kind.title for kind in KINDS.values()}) == len(KINDS)


def test_a_section_is_chosen_by_the_kind_s_name_and_documents_its_keys(name):
    keys = KINDS[name].section.model_fields
    assert keys["kind"].annotation == Literal[name]
    assert all(is_text(key.description) for other, key in keys.items() if other != "kind")
    assert KINDS[name].class_name_key is None or KINDS[name].class_name_key in keys


def test_a_published_kind_has_a_size_and_the_keys_of_fetching(name):
    kind = KINDS[name]
    assert (kind.publication is None) == (kind.published_size is None)
    assert issubclass(kind.section, Official) == (kind.publication is not None)
    assert issubclass(kind.section, Licensed) == (kind.licence is not None)
    assert kind.licence is None or (isinstance(kind.licence, License) and all(map(is_text, kind.licence)))
    assert publications().get(name) == kind.publication
    if kind.publication:
        assert kind.title == kind.publication.title
        for split in ("test", "val"):
            size = kind.published_size(layouts.spec(name, "x", real_split=split))
            assert isinstance(size, PublishedSize) and min(size) > 0
            assert all(isinstance(count, int) for count in size)
            assert official_size(layouts.spec(name, "x", real_split=split))[1:] == size[1:]


def test_the_kinds_in_the_paper_are_those_of_its_tables():
    in_paper = {name for name, kind in KINDS.items() if kind.in_paper}
    for table in ("table1", "table2", "table3"):
        assert set(printed(table)["kind"]) <= in_paper
    assert set(printed("table1")["kind"]) == in_paper


def test_textures_are_official_products():
    assert set(KINDS["mvtec_ad"].textures) < set(mvtec_ad.CATEGORIES)
    assert [name for name, kind in KINDS.items() if kind.textures] == ["mvtec_ad"]


def test_a_kind_imports_its_heavy_libraries_inside_functions(name):
    tree = ast.parse((LIBRARY / "datasets" / f"{name}.py").read_text(encoding="utf-8"))
    tops = {each.name for node in tree.body if isinstance(node, ast.Import) for each in node.names}
    tops |= {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    heavy = {"scipy", "sklearn", "torch", "torchvision", "matplotlib", "pandas", "h5py"}
    assert not {top.split(".")[0] for top in tops} & heavy


def test_no_code_but_its_own_names_a_kind():
    """ "classes" is the word for a kind of anomalies too."""
    named = set(KINDS) - {"classes"}
    found = [f"{place}: {text!r}" for _, place, text in elsewhere("datasets", KINDS) if text in named]
    assert not found, found


# A new kind


class Tiles(Dataset):
    kind: Literal["tiles"]
    size: PositiveInt = 3
    """Training images of each colour."""
    label: str | None = None
    """Name in prompts."""


def tiles_rows(spec, names=None):
    return [
        Row(f"{colour}{number}.png", colour, split, colour)
        for colour in ("pale_red", "blue")
        for split, numbers in (("train", range(spec["size"] + 1)), ("test", range(90, 92)))
        for number in numbers
        if names is None or colour in names
    ]


def draw_one(spec, rows, generator):
    """One of the training images is drawn, and the others are test images."""
    drawn = f"blue{generator().integers(spec['size'] + 1)}.png"
    return [row if row.image_id == drawn else row._replace(split="test") for row in rows]


TILES = Kind(
    section=Tiles,
    title="tiles",
    anomalies="classes",
    layout="a directory of coloured tiles",
    prompts="general",
    tasks=lambda spec: choose(spec, ["pale_red", "blue"]),
    inputs=lambda spec, task=None: [spec["root"]],
    rows=tiles_rows,
    class_name=lambda name: name.replace("_", " "),
    class_name_key="label",
)
CONFIG = {
    "datasets": {"mine": {"kind": "tiles", "root": "x"}},
    "sources": {"cutpaste": {}},
    "candidates": ["descriptor:hog"],
    "clip": {"model": "mini:clip"},
}


@pytest.fixture
def validate(monkeypatch):
    """`validate` of a config module that was imported with the new kind among the others."""
    monkeypatch.setitem(KINDS, "tiles", TILES)
    spec = importlib.util.find_spec("swsa_core.config.config")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.validate


def changed(**keys):
    return CONFIG | {"datasets": {"mine": CONFIG["datasets"]["mine"] | keys}}


def test_the_config_takes_a_new_kind(validate):
    spec = validate(CONFIG)["datasets"]["mine"]
    assert (spec["kind"], spec["size"], spec["root"]) == ("tiles", 3, "x")
    assert spec["templates"] == prompts.read_set("general")
    for keys, message in (
        ({"size": 0}, r"^datasets\.mine\.size: received 0; expected greater than or equal to 1"),
        ({"sise": 2}, r"^datasets\.mine\.sise: unknown key, did you mean 'size'"),
        ({"kind": "tile"}, r"^datasets\.mine\.kind: received 'tile'; .*'tiles'"),
        ({"templates": "generall"}, r"^datasets\.mine\.templates: received 'generall'; .* did you mean 'general'"),
        ({"templates": []}, r"^datasets\.mine\.templates: received an empty list; expected at least one pair"),
    ):
        with pytest.raises(InputError, match=message):
            validate(changed(**keys))


def test_tasks_index_and_names_of_a_new_kind(validate):
    spec = validate(CONFIG)["datasets"]["mine"]
    assert datasets.tasks(spec) == ["pale_red", "blue"] and datasets.inputs(spec, "blue") == ["x"]
    index = datasets.index(spec)
    assert list(index.columns) == datasets.INDEX.columns and len(index) == 12
    assert index["path"].tolist() == [below_root(spec, image_id) for image_id in index["image_id"]]
    assert datasets.support_sizes(spec) == {"pale_red": 4, "blue": 4}
    assert datasets.support_images(spec, "blue") == ["blue0.png", "blue1.png", "blue2.png", "blue3.png"]
    rows, groups, normal = datasets.real_validation(index, spec, "blue")
    assert (len(rows), normal, sorted(set(groups))) == (4, "blue", ["blue", "pale_red"])
    assert datasets.class_name("tiles", "pale_red") == datasets.name_in_prompts(spec, "pale_red") == "pale red"
    labelled = validate(changed(label="floor"))["datasets"]["mine"]
    assert datasets.name_in_prompts(labelled, "pale_red") == "floor"


def test_prompts_of_a_new_kind(validate):
    spec = validate(CONFIG)["datasets"]["mine"]
    made = prompts.prompts(spec["templates"], datasets.name_in_prompts(spec, "pale_red"))
    assert made == prompts.prompts(prompts.read_set("general"), "pale red")


def test_what_only_some_kinds_do_is_asked_of_a_new_kind_too(validate, monkeypatch):
    kind = replace(
        TILES,
        anomalies="defects",
        tasks=lambda spec: ["blue"],
        path=lambda spec, image_id: f"tiles:{image_id}",
        draw_train=draw_one,
        support_sizes=lambda spec, tasks: dict.fromkeys(tasks, 1),
    )
    monkeypatch.setitem(KINDS, "tiles", kind)
    spec = validate(CONFIG)["datasets"]["mine"]
    assert datasets.support_sizes(spec) == {"blue": 1}
    assert datasets.paths(spec, ["a"]) == {"a": "tiles:a"}
    found = {seed: datasets.support_images(spec, "blue", seed, "mine") for seed in range(20)}
    assert all(len(images) == 1 for images in found.values()) and len(set(map(tuple, found.values()))) > 1
    for seed, images in found.items():
        index = datasets.index(spec, seed, "mine")
        assert index["image_id"][index["split"] == "train"].tolist() == images
        assert index["path"].str.startswith("tiles:blue").all()
