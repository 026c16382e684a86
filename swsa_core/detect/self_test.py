"""Whether a detector computes here as where it was made: the same weights, transforms and functions, and the same score of a
drawn image, which is kept with the detector.

Digests hold weights and files still; libraries, devices and processors are not the detector's own, so their effect is measured.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.candidates import family_of
from swsa_core.candidates.backbone import Backbone

if TYPE_CHECKING:
    from swsa_core.detect.detector import Detector, Member

# What a score may differ by: of the range of the normal images' scores, and of the score itself. Devices round differently.
TOLERANCES = {"float32": (1e-3, 1e-4), "bfloat16": (0.1, 0.02), "": (1e-3, 1e-4)}


def drawn() -> np.ndarray:
    """The image: ramps, squares and a disc, (240, 320, 3) uint8, by integer arithmetic that no library can change."""
    y, x = np.indices((240, 320))
    squares = (x // 40 + y // 40) % 2 * 128
    image = np.stack([x * 255 // 319, y * 255 // 239, squares + x * y % 127], axis=2).astype(np.uint8)
    image[(x - 200) ** 2 + (y - 90) ** 2 < 2500] = (230, 60, 40)
    return image


def check_code(one: "Member") -> None:
    """Raise InputError where a member is a function of a user whose file is another one now, before it is run."""
    family = family_of(one.backbone)
    if family.runs_code and family.code(one.backbone) != one.facts["weights_sha256"]:
        raise InputError(
            f"the detector was made with another version of the function {one.backbone['model']}: put back the file that it "
            "was made with, or make the detector anew"
        )


def check_same(backbone: Backbone, facts: Mapping[str, Any]) -> None:
    """Raise InputError where a network is not that of the detector's facts: its weights, or what it does with an image."""
    now = backbone.attributes()
    for what, remedy in (("weights_sha256", "put back the weights"), ("transform", "install the versions")):
        if now[what] != facts[what]:
            raise InputError(
                f"the detector was made with {facts['backbone']} of {what} {facts[what]}, and here it has {now[what]}: "
                f"{remedy} that it was made with, or make the detector anew"
            )


def own_scores(detector: "Detector", networks: Mapping[str, Backbone]) -> dict[str, float]:
    """{task: its score of the drawn image}, of one task for each set of members: the others share their networks."""
    first: dict[tuple[str, ...], str] = {}
    for part in detector.parts.values():
        first.setdefault(tuple(part.members), part.name)
    found = {}
    for members, task in first.items():
        part = detector.parts[task]
        (seen,) = detector.see([drawn()], [*members, *part.drawn], networks=networks)
        found[task] = float(detector.scored(part, seen).scores[0])
    return found


def check_scores(detector: "Detector", networks: Mapping[str, Backbone]) -> None:
    """Raise InputError where the drawn image gets other scores than it got where the detector was made."""
    kept = detector.about["tested"]
    for task, score in own_scores(detector, networks).items():
        part, expected = detector.parts[task], kept[task]
        of_members = [TOLERANCES[detector.members[name].facts["precision"]] for name in part.members]
        of_range, of_score = np.max(of_members, axis=0)
        if not abs(score - expected) <= of_range * np.ptp(part.normals) + of_score * abs(expected):
            raise InputError(
                f"the detector gives its test image the score {score:.6g}, and gave it {expected:.6g} where it was made"
                f"{_differences(detector, networks)}: install the versions that it was made with, or make it anew"
            )


def _differences(detector: "Detector", networks: Mapping[str, Backbone]) -> str:
    """Which versions are others, in words."""
    now = _versions("; ".join(one.versions for one in networks.values()))
    made = _versions(detector.about["versions"])
    others = [f"{name} {version}, here {now[name]}" for name, version in made.items() if now.get(name) != version]
    return (
        f", with {'; '.join(others)}" if others else ", with the same versions, on another kind of processor or device"
    )


def _versions(text: str) -> dict[str, str]:
    """{package: version} of what `library_versions` gives, several of them joined by a semicolon.

    >>> _versions("numpy 2.0, torch 2.9; numpy 2.0, scikit-image 0.25")
    {'numpy': '2.0', 'torch': '2.9', 'scikit-image': '0.25'}
    """
    entries = [entry.rpartition(" ") for entry in text.replace(";", ",").split(",") if entry.strip()]
    return {name.strip(): version for name, _, version in entries}
