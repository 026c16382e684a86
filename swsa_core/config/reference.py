"""The reference of the config: every key with its type, default and description, from the JSON schema as Markdown."""

import json
import re
from typing import NamedTuple

HEADER = "| key | type | default | description |\n|---|---|---|---|"
INTRODUCTION = """# Every key of a config

`config.yaml` is the demo, `my_images.yaml` a template for your own images, and `paper.yaml` the whole study of the paper.
The files in `variants/` change one decision each and come after a complete config:
`--configfile config/paper.yaml config/variants/slerp.yaml`.

Unknown keys are refused before any job runs. Editors that read `config.schema.json` complete the keys and check their
values. In the tables `<name>` stands for a name of your own, `[]` for every entry of a list, and `null` is the default of
a key that may be left out. A section whose default is a dash is filled in from the defaults of its own keys. Where only
some kinds of data sets have a key, the kinds stand behind it in brackets. `make schema` writes this file from the
descriptions in the code.
"""
SIMPLE_TYPES = {
    "integer": "integer",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
    "string": "text",
    "object": "mapping",
}
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
OF_KIND = "What the data set is; it decides which of the other keys there are."


class Key(NamedTuple):
    """One key of the config: its path such as `knn.k`, and three texts in Markdown."""

    path: str
    type: str
    default: str
    description: str


def markdown(schema: dict) -> str:
    """The reference as Markdown text: a table of the keys at the top level, then one for each section.

    schema: the JSON schema of the config, `Config.model_json_schema()`.
    """
    keys = list(_of_section(schema, schema, ""))
    nested: dict[str, list[Key]] = {}
    for key in keys:
        nested.setdefault(re.split(r"[.\[]", key.path)[0], []).append(key)
    blocks = [INTRODUCTION, "## Top level\n", _table(group[0] for group in nested.values())]
    for section, (_, *inner) in nested.items():
        if inner:
            blocks += [f"\n## `{section}`\n", _table(inner)]
    return "\n".join(blocks) + "\n"


def _table(keys):
    return "\n".join(
        [HEADER, *(f"| {_code(key.path)} | {key.type} | {key.default} | {key.description} |" for key in keys)]
    )


def _code(path):
    """A path as code; what stands behind it in brackets, the kinds that have the key, is no code."""
    name, _, kinds = path.partition(" ")
    return f"`{name}` {kinds}".strip()


def _of_section(schema, section, path):
    """The `Key`s of one section and of all that lie in it, in the order of the schema; path: "" or "knn."."""
    for name, value in section["properties"].items():
        yield from _of_key(schema, value, path + name, "", name in section.get("required", ()))


def _of_key(schema, value, path, suffix, required):
    """The `Key` of one value, then those of the sections that it may hold; suffix: the kinds that have it, as " (…)"."""
    default = "required" if required else _default(schema, value)
    yield Key(path + suffix, _type(value), default, _escaped(value.get("description", "")))
    for place, one in _places(value):
        sections = {_label(found): found for found in _sections(schema, one)}
        if len(sections) == 1:
            yield from _of_section(schema, next(iter(sections.values())), f"{path}{place}.")
        else:
            yield from _of_kinds(schema, sections, f"{path}{place}.")


def _places(value):
    """(what is added to the path, schema) of the value itself, of the entries of a list, and of those of a mapping."""
    yield "", value
    for one in value.get("anyOf", [value]):
        if "items" in one:
            yield "[]", one["items"]
        if isinstance(one.get("additionalProperties"), dict):
            yield ".<name>", one["additionalProperties"]


def _sections(schema, value):
    """The sections that a value may be: one or none, or several kinds among which one key decides."""
    options = value.get("oneOf") or value.get("anyOf") or [value]
    return [schema["$defs"][one["$ref"].rpartition("/")[2]] for one in options if "$ref" in one]


def _label(section):
    """How a kind of section calls itself: the one value of a key that has no other, else its title."""
    constants = [value["const"] for value in section["properties"].values() if "const" in value]
    return constants[0] if constants else section["title"]


def _of_kinds(schema, sections, path):
    """The `Key`s of several kinds of one section, {kind: section}: what they share once, then what some of them have."""
    groups = {}  # {(name, its schema as text): kinds that have it}
    for kind, section in sections.items():
        for name, value in section["properties"].items():
            required = name in section.get("required", ())
            if value.get("const") == kind:
                value = {"type": "string", "enum": list(sections), "description": value.get("description", OF_KIND)}
            groups.setdefault((name, json.dumps(value), required), []).append(kind)
    shared_first = sorted(groups.items(), key=lambda group: (OF_KIND not in group[0][1], len(group[1]) < len(sections)))
    for (name, text, required), kinds in shared_first:
        suffix = "" if len(kinds) == len(sections) else f" ({', '.join(kinds)})"
        yield from _of_key(schema, json.loads(text), path + name, suffix, required)


def _type(value):
    """The type of a value in words.

    >>> _type({"type": "integer", "minimum": 1}), _type({"enum": ["a", "b"], "type": "string"})
    ('integer (at least 1)', '`a` or `b`')
    >>> _type({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2})
    'list of 2 × number'
    """
    if "anyOf" in value or "oneOf" in value:
        return _joined([_type(one) for one in value.get("anyOf") or value["oneOf"]])
    if "$ref" in value:
        return "section"
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return _joined([f"`{one}`" for one in value["enum"]])
    if value.get("type") == "array":
        items = _type(value["items"]).replace("list of", "lists of", 1)
        exact = "minItems" in value and value["minItems"] == value.get("maxItems")
        return f"list of {value['minItems']} × {items}" if exact else f"list of {items}"
    if value.get("type") == "object" and isinstance(value.get("additionalProperties"), dict):
        return f"mapping: name → {_type(value['additionalProperties'])}"
    if value.get("format") == "path":
        return "path"
    bounds = [f"{words} {value[key]}" for key, words in BOUNDS.items() if key in value]
    bounds += [f"a multiple of {value['multipleOf']}"] if "multipleOf" in value else []
    return SIMPLE_TYPES.get(value.get("type"), "anything") + (f" ({', '.join(bounds)})" if bounds else "")


def _joined(types):
    """Several types as a list in words; each is named once."""
    *others, last = dict.fromkeys(types)
    return f"{', '.join(others)} or {last}" if others else last


def _default(schema, value):
    """The default as it would stand in a file; of a section that is filled in from its own keys, a dash."""
    default = value.get("default")
    if isinstance(default, dict) and default and _sections(schema, value):
        return "–"
    return f"`{json.dumps(default, ensure_ascii=False)}`".replace('`"', "`").replace('"`', "`")


def _escaped(text):
    """A description on one line of a table: what Markdown would take for a tag or a column stays text."""
    parts = " ".join(text.split()).replace("|", "\\|").split("`")
    return "`".join(part if i % 2 else part.replace("<", "\\<") for i, part in enumerate(parts))
