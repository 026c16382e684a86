"""Registries: what the modules of a package declare, by the name of the module."""

from importlib import import_module
from typing import Any


def entries(package: str, attribute: str, *names: str) -> dict[str, Any]:
    """{name: the `attribute` of the module `package`.`name`}, in the order of `names`."""
    return {name: getattr(import_module(f"{package}.{name}"), attribute) for name in names}
