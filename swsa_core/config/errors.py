"""pydantic's validation errors as sentences about the user's config file."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from swsa_core.basics.names import did_you_mean

# Errors whose message says all, without the value received.
_ABSOLUTE = ("extra_forbidden", "missing", "union_tag_not_found", "consistency")


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
    for mistake in mistakes:
        key, received = _locate(config, mistake)
        message = _message(mistake, received, kinds, sections)
        subject = f"{key}: received {received!r}; " if mistake["type"] not in _ABSOLUTE else f"{key}: " if key else ""
        lines.setdefault(subject, []).append(message[0].lower() + message[1:] if subject else message)
    return "\n".join(subject + ", or ".join(messages) for subject, messages in lines.items())


def _locate(config, mistake):
    """(dotted key path, value received) of an error; pydantic's names of union members are no keys of the user's file."""
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
    return ".".join(map(str, path)), value


def _message(mistake, received, kinds, sections):
    match mistake["type"]:
        case "extra_forbidden":
            *steps, key = mistake["loc"]
            section = next((sections[step] for step in reversed(steps) if step in sections), sections["config"])
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
        case _:
            return mistake["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
