"""The reference of the config: every key of every section stands in it once."""

import doctest

from swsa_core.config import reference
from swsa_core.config.reference import markdown

SCHEMA = {
    "properties": {
        "things": {"type": "object", "additionalProperties": {"oneOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]}},
        "list": {"type": "array", "items": {"$ref": "#/$defs/C"}, "description": "What\n<it> is | was, `<x>`."},
        "one": {"anyOf": [{"$ref": "#/$defs/C"}, {"type": "null"}], "default": None},
    },
    "required": ["things"],
    "$defs": {
        "A": {"title": "A", "properties": {"kind": {"const": "a"}, "x": {"type": "integer"}, "y": {"type": "null"}}},
        "B": {"title": "B", "properties": {"kind": {"const": "b"}, "x": {"type": "integer"}, "z": {"type": "null"}}},
        "C": {"title": "C", "properties": {"size": {"type": "integer", "minimum": 1, "default": 2}}},
    },
}


def rows(text):
    """The cells of all rows of the tables, {key: (type, default, description)}."""
    cells = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    assert len({key for key, *_ in cells}) == len(cells), "a key stands there twice"
    return {key: rest for key, *rest in cells}


def test_examples_in_docstrings():
    assert doctest.testmod(reference).failed == 0


def test_sections_lists_names_and_kinds_are_all_told():
    found = rows(markdown(SCHEMA))
    assert list(found) == [
        *("`things`", "`list`", "`one`"),
        *("`things.<name>.kind`", "`things.<name>.x`", "`things.<name>.y` (a)", "`things.<name>.z` (b)"),
        *("`list[].size`", "`one.size`"),
    ]
    assert found["`things`"][:2] == ["mapping: name → section", "required"]
    assert found["`things.<name>.kind`"][0] == "`a` or `b`"
    assert found["`one.size`"][:2] == ["integer (at least 1)", "`2`"]


def test_markdown_takes_nothing_of_a_description_for_its_own():
    assert r"What \<it> is \| was, `<x>`." in markdown(SCHEMA)
