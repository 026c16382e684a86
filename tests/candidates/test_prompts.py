"""Prompts: the bundled sets, what templates may be, and texts of a class."""

import csv
import re
from pathlib import Path

import pytest

from swsa_core import datasets
from swsa_core.basics.errors import InputError
from swsa_core.candidates import prompts
from swsa_core.candidates.prompts import texts_of_classes
from swsa_core.config.config import validate
from swsa_core.mini.clip_words import check_prompts

SHARED = Path(__file__).parents[3] / "shared"


def test_the_bundled_sets():
    assert {kind.prompts for kind in datasets.KINDS.values()} <= set(prompts.SETS)
    for name in prompts.SETS:
        pairs = prompts.read_set(name)
        prompts.check_templates(pairs)
        assert len(pairs) == 10 and len(set(prompts.prompt_names(pairs))) == 10
        assert pairs == prompts.resolve(name, "cub")
    assert prompts.resolve("paper", datasets.KINDS["visa"].prompts)[0] == [
        "a photo of a {}",
        "a photo of a {} with defect",
    ]
    assert prompts.resolve([("a {}", "b")], "industrial") == [["a {}", "b"]]


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is absent")
def test_the_sets_are_the_papers():
    """App. A; the rows "bright" and "close-up" of the flowers, which it runs into one, from A.4 of the earlier version."""

    def listed(file, heading):
        block = next((SHARED / "paper").glob(f"{file}_*.txt")).read_text().split(heading)[1]
        return [list(pair) for pair in re.findall(r"\['(.*?)', '(.*?)'\]", re.split("```|%", block)[0])]

    assert prompts.read_set("cub") == listed("001", "% CLIP Templates for CUB")
    assert prompts.read_set("flowers") == listed("000", "% CLIP Templates for Flowers")
    assert prompts.read_set("industrial_something") == listed("000", "% CLIP Templates for MVTec")
    for ours, earlier in zip(prompts.read_set("industrial"), prompts.read_set("industrial_something"), strict=True):
        assert ours == [earlier[0], earlier[0].replace("{}", "{} with defect")]


def test_texts_of_a_class_and_names_of_prompts():
    templates = [["a photo of a {}", "a photo of a {} with defect"], ["a {}", "no {}"], ["a {}", "a bird"]]
    name = datasets.class_name("visa", "pcb1")
    assert prompts.prompts(templates, name)[0] == [
        "a photo of a printed circuit board",
        "a photo of a printed circuit board with defect",
    ]
    assert prompts.prompt_names(templates) == ["a photo of a {}", "a {} / no {}", "a {} / a bird"]


def test_template_files_are_plain():
    for path in prompts.FOLDER.glob("*.csv"):
        with open(path, encoding="utf-8", newline="") as file:
            assert next(csv.reader(file)) == ["normal", "anomalous"]
        assert path.read_bytes().endswith(b"\n") and b"\r" not in path.read_bytes()


@pytest.fixture
def bundled(tmp_path, monkeypatch):
    """Function that writes a bundled set `cub` and returns its file."""
    for path in prompts.FOLDER.glob("*.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(prompts, "FOLDER", tmp_path)

    def write(text):
        (tmp_path / "cub.csv").write_bytes(text)
        return tmp_path / "cub.csv"

    return write


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the first line is ''; expected 'normal,anomalous'"),
        (b"a {},a thing\n", "the first line is 'a {},a thing'; expected 'normal,anomalous'"),
        (b"normal,anomalous\n", "received an empty list; expected at least one pair"),
        (b"normal,anomalous\na {},b\na {}\n", "pair 2 is ['a {}']; expected two templates"),
        (b"normal,anomalous\na {},b,c\n", "pair 1 is ['a {}', 'b', 'c']; expected two templates"),
        (b"normal,anomalous\na {},\n", "pair 1 has the anomalous template ''; expected a text"),
        (b"normal,anomalous\na bird,b\n", "pair 1 has the normal template 'a bird' with {} 0 times"),
        (b"normal,anomalous\na {},\xff\n", "'utf-8' codec can't decode"),
    ],
)
def test_a_damaged_set_is_told_with_its_file(bundled, text, message):
    path = bundled(text)
    with pytest.raises(InputError, match=re.escape(f"{path}: {message}")):
        prompts.read_set("cub")
    config = {"datasets": {"d": {"kind": "digits"}}, "sources": {"cutpaste": {}}, "candidates": ["descriptor:hog"]}
    for templates in ({"templates": "cub"}, {}):
        with pytest.raises(InputError, match=rf"^clip(\.templates)?: {re.escape(f'{path}: {message}')}"):
            validate(config | {"clip": {"model": "mini:clip", **templates}})


def test_empty_lines_of_a_set_do_not_count(bundled):
    bundled(b"normal,anomalous\na {},b\n\nthe {},b\n")
    assert prompts.read_set("cub") == [["a {}", "b"], ["the {}", "b"]]


@pytest.mark.parametrize(
    ("templates", "message"),
    [
        (
            [["a {}", "a three"], ["A  {}", "a  Three"]],
            r"^pairs 1 and 2 are both \['a \{\}', 'a three'\] as CLIP reads",
        ),
        ([["a {}", " A\t{}"]], "^pair 1 has twice the template"),
    ],
)
def test_templates_that_clip_reads_alike_are_one(templates, message):
    with pytest.raises(ValueError, match=message):
        prompts.check_templates(templates)
    prompts.check_templates([["a {}", "a three"], ["a {}.", "a three"]])


def test_clip_reads_texts_in_lower_case_and_with_single_spaces():
    open_clip = pytest.importorskip("open_clip")
    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    for text in ("A photo\tof  a Three ", "\u00a0a\u2003photo"):
        assert tokenizer.encode(text) == tokenizer.encode(prompts.as_read(text))


def test_a_class_name_that_makes_both_sides_equal_is_refused():
    templates = [["a photo of a {}", "a photo of some bird"], ["a {}", "a Three"]]
    prompts.check_texts(templates, ["two", "threes"])
    with pytest.raises(
        InputError, match=r"^templates: of the pair \['a \{\}', 'a Three'\] the class name 'THREE' makes"
    ):
        prompts.check_texts(templates, ["two", "THREE"])


def test_a_text_of_too_many_words_is_refused():
    templates = [["a {} here", "b"]]
    prompts.check_texts(templates, ["big bird"], most_words=4)
    with pytest.raises(
        InputError, match="'a big red bird here' has 5 words, the CLIP model takes at most 4: shorten it"
    ):
        prompts.check_texts(templates, ["big bird", "big red bird"], most_words=4)


def test_the_key_of_an_unknown_class_name_is_told():
    key = "datasets.mine.class_name"
    with pytest.raises(
        InputError, match=r"the word 'gizmo' of .* words of .*clip_words\.txt in datasets\.mine\.class_name,"
    ):
        check_prompts(texts_of_classes([["a photo of a {}", "b"]], ["Gizmo"]), key)
    for templates, names, told in (([["a gizmo {}", "b"]], ["zero"], key), ([["a {}", "b"]], ["gizmo"], None)):
        with pytest.raises(InputError, match="the word 'gizmo'") as error:
            check_prompts(texts_of_classes(templates, names), told)
        assert "class_name" not in str(error.value)
