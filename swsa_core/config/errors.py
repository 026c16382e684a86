"""pydantic's validation errors as sentences about the user's config file."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from swsa_core.basics.errors import CONTROLS
from swsa_core.basics.names import did_you_mean
from swsa_core.basics.wording import shown

# Errors whose message says all, without the value received.
_ABSOLUTE = ("extra_forbidden", "missing", "union_tag_not_found", "consistency")
_YAML = {None: "null", True: "true", False: "false"}  # how a file writes them
_BITS = 64  # of whole numbers; Python writes out none of more than 4,300 digits
_MOST_ENTRIES, _DEEPEST = 100_000, 500


def strange_entries(config: dict[str, Any]) -> str:
    """Lines about the keys of a config that are no texts, and about numbers and texts beyond all sense, at any depth.

    Aliases of YAML make a config endless, or as large as they like, in a few lines; such a one is told before it is unfolded.
    """
    lines: list[str] = []
    waiting: list[tuple[tuple, Any]] = [((), config)]
    entries = 0
    while waiting:
        path, value = waiting.pop()
        entries += 1
        if entries > _MOST_ENTRIES or len(path) > _DEEPEST:
            return (
                f"{_dotted(path[:3])}: with all aliases the config has more than {_MOST_ENTRIES:,} entries, or some more than "
                f"{_DEEPEST} keys deep: write it without aliases"
            )
        lines += _strange(path, value)
        for key, inner in (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        ):
            waiting.append(((*path, key), inner))
            if isinstance(value, dict) and not isinstance(key, str):
                lines.append(f"{_dotted((*path, key))}: the key {_plain(key)} is not a text: write it in quotes")
    return "\n".join(lines)


def _strange(path, value):
    """What is wrong with a number or text whatever its key is, as a list of one line or none."""
    if isinstance(value, int) and value.bit_length() > _BITS:
        return [f"{_dotted(path)}: received a number of {value.bit_length():,} bits; expected at most {_BITS}"]
    if isinstance(value, str) and (found := CONTROLS.search(value.replace("\t", " "))):
        return [f"{_dotted(path)}: received {shown(value)}, with the control character {found[0]!r}: remove it"]
    return []


def _dotted(path: tuple) -> str:
    """A path of keys as the text `datasets.digits.kind`, on one line whatever the keys hold."""
    return ".".join(map(_plain, path))


def _plain(key: Any) -> str:
    """One key as the file writes it; in quotes where it would break the line."""
    if isinstance(key, int) and key.bit_length() > _BITS:
        return f"(a number of {key.bit_length():,} bits)"
    text = _YAML[key] if key is None or isinstance(key, bool) else str(key)
    text = text if len(text) <= 100 else text[:100] + "…"
    return text if text.isprintable() else repr(text)


def sentences(
    config: dict[str, Any],
    mistakes: Iterable[Mapping[str, Any]],
    kinds: Mapping[str, type[BaseModel]],
    sections: Mapping[Any, type[BaseModel]],
) -> str:
    """Lines `key.path: what is wrong`; what the members of a union say about one value shares a line.

    config: the dict that was validated; mistakes: `ValidationError.errors()`; kinds: {kind of data set: its model};
    sections: {step of a location: the model whose keys are allowed there}, with "config" for the top.
    """
    lines: dict[str, list[str]] = {}
    located = [(mistake, *_locate(config, mistake)) for mistake in mistakes]
    for mistake, path, received in located:
        if any(len(other) > len(path) and other[: len(path)] == path for _, other, _ in located if path):
            continue  # what another member of a union says of a section, whose mistake is in one of its keys
        key, message = _dotted(path), _message(mistake, received, kinds, sections)
        absolute = mistake["type"] in _ABSOLUTE
        subject = f"{key}: " if absolute and key else "" if absolute else f"{key}: received {shown(received)}; "
        lines.setdefault(subject, []).append(message[0].lower() + message[1:] if subject else message)
    return "\n".join(subject + ", or ".join(messages) for subject, messages in lines.items())


def _locate(config, mistake):
    """(path of keys, value received) of an error; pydantic's names of union members are no keys of the user's file."""
    path, value = [], config
    for step in mistake["loc"]:
        if isinstance(value, dict | list) and (step in value if isinstance(value, dict) else isinstance(step, int)):
            value = value[step]
            path.append(step)
    if mistake["type"] == "missing":
        path.append(mistake["loc"][-1])
    elif mistake["type"].startswith("union_tag"):
        path.append("kind")
        value = value.get("kind") if isinstance(value, dict) else value
    return tuple(path), value


def _message(mistake, received, kinds, sections):
    match mistake["type"]:
        case "extra_forbidden":
            *steps, key = mistake["loc"]
            section = next((sections[step] for step in reversed(steps) if step in sections), sections["config"])
            outer, _, inner = key.partition(".")
            if inner and outer in section.model_fields:
                return f"unknown key: write {inner} below {outer}, as `{outer}: {{{inner}: value}}`"
            return f"unknown key, {did_you_mean(key, section.model_fields)}"
        case "missing":
            return "this key is required and not there"
        case "union_tag_not_found":
            return f"this key is required and not there, one of {', '.join(kinds)}"
        case "union_tag_invalid":
            return did_you_mean(received, kinds)
        case "dict_type" | "model_type" | "model_attributes_type":
            return "expected keys below it, `name: value` each"
        case "list_type":
            return "expected a list, [one, another]"
        case "too_short":
            return f"expected at least {mistake['ctx']['min_length']} entries".replace("1 entries", "one entry")
        case "string_type":
            return "expected a text" + (", in quotes" if isinstance(received, int | float) else "")
        case "path_type":
            return "expected a path"
        case "int_parsing" | "int_from_float" | "int_type":
            return "expected a whole number"
        case "float_parsing" | "float_type":
            return "expected a number"
        case "bool_parsing" | "bool_type":
            return "expected true or false"
        case _:
            return mistake["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
