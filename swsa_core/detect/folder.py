"""A detector as a folder: arrays in safetensors, everything else in JSON, and a card for people. Nothing in it is executed.

    detector.json         members, tasks, what is told of them, and the SHA-256 of the other files
    banks.safetensors     the arrays of the tasks, "<number of the task>/<name of an array>"
    weights/<file>        the weights that the config named as files, where they are safetensors
    README.md             the card

A save over a detector that is there writes its arrays beside the former ones before detector.json names them: whenever it is
killed, the folder holds one detector or the other, whole.

A network whose weights its library or a package brings is named, with the SHA-256 of the weights; it is not copied.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import unique_slugs
from swsa_core.candidates import family_of
from swsa_core.detect.card import card
from swsa_core.detect.detector import Detector, Member, Part
from swsa_core.files.checksums import sidecar
from swsa_core.files.machine import reading
from swsa_core.files.packaged import is_packaged
from swsa_core.files.provenance import file_sha256
from swsa_core.files.text import read_json, replacing, write_bytes, write_json, write_text

FORMAT = 2
INDEX, BANKS, CARD, WEIGHTS = "detector.json", "banks.safetensors", "README.md", "weights"
BESIDE = "banks.new.safetensors"  # where the arrays stand while `BANKS` is replaced
KEYS = {"format", "about", "members", "tasks", "banks", "files"}
ABOUT = {"dataset", "strategy", "versions", "tested"}


def save(detector: Detector, folder: Path | str) -> None:
    """Write a detector to a folder; one that is there is whole until the new one is."""
    folder = Path(folder)
    members = {name: _with_weights(one, folder) for name, one in detector.members.items()}
    arrays = {
        f"{number}/{name}": np.ascontiguousarray(array)
        for number, part in enumerate(detector.parts.values())
        for name, array in _arrays_of(part).items()
    }
    named = _named(folder)
    for banks in [BANKS] if named != BANKS else [BESIDE, BANKS]:
        _write_arrays(folder / banks, arrays)
        write_json(folder / INDEX, _index_of(replace(detector, members=members), folder, banks))
    write_text(folder / CARD, card(detector))
    for path in (folder / BESIDE, sidecar(folder / BESIDE)):
        path.unlink(missing_ok=True)


def _named(folder: Path) -> str | None:
    """The file of arrays that the detector in a folder names; None where there is no detector that can be read."""
    try:
        return read_json(folder / INDEX)["banks"] if (folder / INDEX).is_file() else None
    except (InputError, TypeError, KeyError):
        return None


def _index_of(detector: Detector, folder: Path, banks: str) -> dict[str, Any]:
    """What detector.json says, with the arrays in the file `banks`; the members' weights are where they will be read."""
    given = [str(one.backbone.get("weights")) for one in detector.members.values()]
    used = {weights for weights in given if _is_inside(weights)}
    told = ("name", "members", "drawn", "paths", "digests", "facts")
    return {
        "format": FORMAT,
        "about": detector.about,
        "members": {name: asdict(one) for name, one in detector.members.items()},
        "tasks": [{name: getattr(part, name) for name in told} for part in detector.parts.values()],
        "banks": banks,
        "files": {name: file_sha256(folder / name) for name in [banks, *sorted(used)]},
    }


def load_detector(folder: Path | str, device: str = "auto", trust_code: bool = False) -> Detector:
    """The detector in a folder, whose files are those that it was saved with; its networks are loaded when they are needed.

    device: "auto" (a GPU where there is one), "cpu", "cuda" or "cuda:1". trust_code: whether functions of a user may be run,
    which a detector only names.
    Raises InputError for a folder that is no detector, of another format, or with files that are missing or were changed.
    """
    folder = Path(folder)
    if not (folder / INDEX).is_file():
        raise InputError(
            f"{str(folder)!r} is no detector: expected a folder with {INDEX}, such as <results>/<data set>/detector"
        )
    index = read_json(folder / INDEX)
    _check(index, folder)
    banks = folder / index["banks"]
    with reading(banks, "safetensors"):
        from safetensors.numpy import load_file

        arrays = load_file(banks)
    try:
        members = {name: _from_weights(Member(**one), folder) for name, one in index["members"].items()}
        parts = [_part_of(task, _of_number(arrays, number)) for number, task in enumerate(index["tasks"])]
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise InputError(
            f"{folder / INDEX} does not describe a detector ({error}): put back the file, or make it anew"
        ) from error
    _check_code(members, folder, trust_code)
    return Detector(members, {part.name: part for part in parts}, index["about"], device)


def _arrays_of(part: Part) -> dict[str, np.ndarray]:
    found = {"normals": part.normals} | ({} if part.scale is None else {"scale": part.scale})
    slugs = {name: slug for slug, name in unique_slugs([*part.members, *part.drawn]).items()}
    found |= {f"bank/{slugs[name]}": bank for name, bank in part.banks.items()}
    return found | {f"map/{slugs[name]}": values for name, values in part.maps.items()}


def _part_of(task: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Part:
    names = unique_slugs([*task["members"], *task["drawn"]])
    banks = {name: arrays[f"bank/{slug}"] for slug, name in names.items()}
    maps = {name: arrays[f"map/{slug}"] for slug, name in names.items() if f"map/{slug}" in arrays}
    return Part(
        task["name"],
        task["members"],
        banks,
        arrays.get("scale"),
        task["paths"],
        task["digests"],
        arrays["normals"],
        maps,
        task["drawn"],
        task["facts"],
    )


def _of_number(arrays, number):
    start = f"{number}/"
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}


def _check(index, folder):
    """Raise InputError unless this is a detector of our format, whose files are those that were saved."""
    if not isinstance(index, dict) or not index.keys() >= KEYS:
        raise InputError(f"{folder / INDEX} does not describe a detector: put back the file, or make the detector anew")
    if index["format"] != FORMAT:
        raise InputError(
            f"{str(folder)!r} is a detector of format {index['format']!r}, this version of SWSA reads format {FORMAT}: "
            "install the version that made it, or make the detector anew"
        )
    if not index["about"].keys() >= ABOUT or index["banks"] not in index["files"]:
        raise InputError(
            f"{folder / INDEX} lacks something of {', '.join(sorted(ABOUT))}, or the digest of {index['banks']}: put back the "
            "file, or make the detector anew"
        )
    given = [one["backbone"].get("weights") for one in index["members"].values()]
    if strangers := [weights for weights in given if _is_inside(weights) and weights not in index["files"]]:
        raise InputError(
            f"{folder / INDEX} names the weights {strangers[0]!r}, which were not saved: make the detector anew"
        )
    for name, digest in index["files"].items():
        path = folder / name
        if path.resolve().parent not in (folder.resolve(), (folder / WEIGHTS).resolve()):
            raise InputError(
                f"{folder / INDEX} names the file {name!r} outside of the detector: make the detector anew"
            )
        if not path.is_file():
            raise InputError(f"the detector {str(folder)!r} lacks its file {name}: copy the whole folder again")
        if file_sha256(path) != digest:
            raise InputError(
                f"the file {name} of the detector {str(folder)!r} is not the one that was saved with it: copy "
                "the whole folder again"
            )


def _check_code(members, folder, trusted):
    """Raise InputError where a member is a function of a user, unless those are trusted."""
    named = [one.backbone["model"] for one in members.values() if family_of(one.backbone).runs_code]
    if named and not trusted:
        raise InputError(
            f"the detector {str(folder)!r} runs the function {named[0]} as found here: if you trust that code, ask with "
            "--trust-code, or trust_code=True in Python"
        )


def _with_weights(one: Member, folder: Path) -> Member:
    """The member with its weights in the folder, where they are a file of safetensors."""
    weights = one.backbone.get("weights")
    if not weights or is_packaged(weights):
        return one
    if Path(weights).suffix != ".safetensors":  # absolute, as relative ones are those of the folder
        return replace(one, backbone=one.backbone | {"weights": os.path.abspath(weights)})
    inside = f"{WEIGHTS}/{one.facts['weights_sha256'][:16]}.safetensors"
    if not (folder / inside).is_file() or file_sha256(folder / inside) != one.facts["weights_sha256"]:
        with replacing(folder / inside, Path(weights).stat().st_size) as finished:
            shutil.copyfile(weights, finished)
    backbone = one.backbone.copy()
    backbone["weights"] = inside
    return replace(one, backbone=backbone)


def _from_weights(one: Member, folder: Path) -> Member:
    weights = str(one.backbone.get("weights"))
    if not _is_inside(weights):
        return one
    backbone = one.backbone.copy()
    backbone["weights"] = str(folder / weights)
    return replace(one, backbone=backbone)


def _is_inside(weights):
    return str(weights).startswith(f"{WEIGHTS}/")


def _write_arrays(path, arrays):
    from safetensors.numpy import save

    write_bytes(path, save(arrays))  # not by its save_file, whose files other users cannot read
