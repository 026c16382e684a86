"""Every registered source, and every fact about it."""

import ast
from dataclasses import fields

import numpy as np
import pytest
from workflow import ROOT

from swsa_core.anomalies import SOURCES
from swsa_core.anomalies.source import Made, Network, OfPool, Pool, Reconstruction, Source, Stream, Task, Training
from swsa_core.basics.section import Section
from swsa_core.config.config import validate
from swsa_core.files.downloads import Publication
from swsa_core.report.style import COLOURS

every_source = pytest.mark.parametrize("name", SOURCES)
MINIMAL = {
    "model": "mini:adm_32",
    "steps": 2,
    "of": "procedural",
    "clip": {"model": "mini:clip"},
    "file": "truth.csv",
    "function": "own_functions:spotted",
}  # what a section needs beside its defaults, as far as it has such keys
ROOTS = {"root": "somewhere"}


def section_of(name):
    """The section of a source with its defaults, as the validated config has it."""
    given = {key: value for key, value in (MINIMAL | ROOTS).items() if key in SOURCES[name].section.model_fields}
    config = {
        "datasets": {"digits": {"kind": "digits"}},
        "support": {"seeds": 4},
        "sources": {name: given} | ({"procedural": {"pool": 10}} if "of" in given else {}),
        "candidates": ["descriptor:hog"],
        "preparation": {"size": 32},
    }
    return validate(config)["sources"][name]


@every_source
def test_every_fact_has_its_type(name):
    source = SOURCES[name]
    assert {field.name for field in fields(Source)} == set(vars(source))
    assert issubclass(source.section, Section) and source.section is not Section
    assert all(key.description for key in source.section.model_fields.values())
    for text in (source.title, source.about):
        assert text.strip() == text != ""
    assert source.about.endswith(".")
    for text in (source.note, source.reference, source.licence):
        assert isinstance(text, str)
    assert isinstance(source.version, int) and source.version >= 1
    assert isinstance(source.seconds_per_pixel, float) and source.seconds_per_pixel >= 0
    assert isinstance(source.network, Network | None)
    assert isinstance(source.reconstruct, Reconstruction | None)
    assert isinstance(source.training, Training | None) and isinstance(source.strength, str)
    assert source.stream or not (source.reconstruct or source.training)
    assert isinstance(source.publication, Publication | None)
    assert isinstance(source.in_paper, bool) and isinstance(source.fixed_size, bool)
    assert source.gpu == (source.network is not None)


@every_source
def test_the_documentation_has_it_and_its_reference(name):
    page = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
    table, literature = page.split("## Literature")
    assert f"| `{name}` |" in table
    if reference := SOURCES[name].reference:
        author, year = reference.split()[0], reference.split()[-1]
        assert reference in table
        assert any(author in entry and year in entry for entry in literature.split("\n* "))


@every_source
def test_a_source_makes_streams_or_samples(name):
    source = SOURCES[name]
    assert [source.make, source.stream, source.pool, source.of_pool, source.others].count(None) == 4
    assert source.generated == (source.make is not None or source.stream is not None)
    assert isinstance(source.pool, Pool | None) and isinstance(source.of_pool, OfPool | None)
    assert source.parents in ((1, 2) if source.generated else (0,))
    assert not source.pairs or source.parents == 2
    assert source.generated or not (source.network or source.fixed_size)


def test_looks_differ_and_are_no_candidate_s():
    looks = [source.look for source in SOURCES.values()]
    assert len({colour for colour, _ in looks}) == len(looks) == len({marker for _, marker in looks})
    assert not {colour for colour, _ in looks} & set(COLOURS)
    assert len({source.title for source in SOURCES.values()}) == len(SOURCES)


@every_source
def test_pools_say_what_they_depend_on(name, tmp_path):
    source = SOURCES[name]
    if not source.pool:
        return
    section = section_of(name)
    if not {"root", "file"} & set(section):  # which are not there
        assert source.pool.inputs(section) == []
        images = source.pool.images(section | {"pool": 3}, 0)
        assert list(images.columns) == ["image_id", "path"] and len(images) == 3 == images.image_id.nunique()


@every_source
def test_generated_anomalies_have_parents_among_the_seeds(name):
    source, section = SOURCES[name], section_of(name)
    if not source.generated or source.training:  # which needs files that other stages make: test_text_guided.py
        return
    seeds = {f"{i}.png": np.random.default_rng(i).integers(0, 256, (32, 32, 3), dtype=np.uint8) for i in range(4)}
    task = Task("d", "t", seeds, {"size": 32}, 0, "float32", {"device": "cpu", "batch_size": "auto", "compile": False})
    if source.make:
        made = source.make(task, section, np.random.default_rng(0))
        assert isinstance(made, Made)
        images, parents = made.images, made.parents
        assert all(len(column) == len(images) for column in made.columns.values())
    else:
        stream = source.stream(task, section)
        assert isinstance(stream, Stream) and stream.device == "cpu"
        images, parents = [image for block in stream.images(0) for image in block], stream.parents
        again = [image for block in stream.images(2) for image in block]  # from a whole style on, as a resumed job does
        np.testing.assert_array_equal(again, images[2:])
    assert parents.shape == (4, source.parents) and set(parents.ravel()) <= set(seeds)
    assert len(images) == 4 and all(image.dtype == np.uint8 and image.shape == (32, 32, 3) for image in images)


@every_source
def test_reconstructions_are_of_each_seed_image_once_and_resemble_it(name):
    source, section = SOURCES[name], section_of(name)
    if not source.reconstruct:
        return
    seeds = {f"{i}.png": np.full((32, 32, 3), 60 * i, dtype=np.uint8) for i in range(3)}
    runtime = {"device": "cpu", "batch_size": 1, "compile": False}
    stream = source.reconstruct.stream(
        Task("d", "t", seeds, {"size": 32}, 0, "float32", runtime), section | {"steps": 20}
    )
    assert stream.parents.tolist() == [[image_id] for image_id in seeds] and stream.unit[1] == 1
    images = np.concatenate(list(stream.images(0)))
    assert images.shape == (3, 32, 32, 3) and images.dtype == np.uint8
    np.testing.assert_array_equal(np.concatenate(list(stream.images(1))), images[1:])
    distances = np.abs(images[:, None].astype(int) - np.stack(list(seeds.values()))).mean((2, 3, 4))  # (3, 3)
    assert distances.argmin(axis=1).tolist() == [0, 1, 2]


@every_source
def test_the_module_imports_no_heavy_library_at_its_top(name):
    tree = ast.parse((ROOT / "swsa_core" / "anomalies" / f"{name}.py").read_text(encoding="utf-8"))
    top = {part.split(".")[0] for node in tree.body for part in _imported(node)}
    assert not top & {"torch", "torchvision", "diffusers", "scipy", "sklearn", "matplotlib"}


def _imported(node):
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) else []
