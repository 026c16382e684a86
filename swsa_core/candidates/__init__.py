"""Candidates: what turns an image into features, or a text into them. FAMILIES: those that `family:model` may begin with."""

from swsa_core.basics.registry import entries
from swsa_core.candidates.family import CandidateSpec, Family

FAMILIES: dict[str, Family] = entries(
    "swsa_core.candidates", "FAMILY", "torchvision", "timm", "open_clip", "mini", "descriptor", "python"
)


def family_of(candidate: CandidateSpec) -> Family:
    """The family of a candidate whose `model` was checked, by the config or by `mistakes.check_model`."""
    return FAMILIES[candidate["model"].partition(":")[0]]


def is_known_bad(candidate: CandidateSpec) -> bool:
    """Whether a candidate is a bad detector, as its family or the config says."""
    model = candidate["model"].partition(":")[2]
    return candidate.get("known_bad", False) or model in family_of(candidate).known_bad
