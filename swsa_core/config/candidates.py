"""Candidates with their heads, and the backbones that they share."""

from pathlib import Path
from typing import Any, cast

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean
from swsa_core.basics.section import inconsistent
from swsa_core.candidates import family_of
from swsa_core.candidates.family import CandidateSpec, args_of, model_name
from swsa_core.candidates.licences import allowed, licence_of
from swsa_core.candidates.mistakes import check_model
from swsa_core.candidates.section import Candidate
from swsa_core.detectors import DEFAULT, HEADS
from swsa_core.files.packaged import is_packaged, packaged_file

OF_HEADS = ("name", "head", "known_bad", "licence", "exposure")  # what candidates of one backbone may differ in


def with_heads(given: Candidate) -> list[Candidate]:
    """One candidate for each head that an entry of the config names; raises the error of a validator for what cannot be.

    The head stands after the name, but for the default one, and but where a single one is given with a name.
    """
    heads = given.heads or [given.head or DEFAULT]
    for head in heads:
        if head not in HEADS:
            raise inconsistent(f"{given.model}: there is no head {head!r}, {did_you_mean(head, HEADS)}")
        if HEADS[head].patches and family_of({"name": given.model, "model": given.model}).blank is None:
            raise inconsistent(
                f"{given.model} has no feature maps whose patches the head {head} could compare: remove it"
            )
    if given.exposure:
        return [_exposed(given)]
    if given.layers and not any(HEADS[head].patches for head in heads):
        raise inconsistent(f"{given.model}: layers are those of the head patch: add it to `heads`, or remove the key")
    named = given.name != given.model and not given.heads
    return [
        given.model_copy(
            update={
                "name": given.name if named or head == DEFAULT else f"{given.name} {head}",
                "head": None if head == DEFAULT else head,
                "heads": None,
            }
        )
        for head in heads
    ]


def _exposed(given: Candidate) -> Candidate:
    """A candidate that is fine-tuned, with its name; raises the error of a validator for what cannot be."""
    exposure = given.exposure
    assert exposure is not None
    if given.heads or (given.head or DEFAULT) != DEFAULT or given.layers:
        raise inconsistent(
            f"{given.model}: `exposure` goes with the head {DEFAULT} alone: remove `head`, `heads` and `layers`"
        )
    if not has_head(cast(CandidateSpec, given.model_dump())):
        raise inconsistent(
            f"{given.model}: exposure.source: {exposure.source!r} cannot train it, as it has no classification head in whose "
            "place another is trained: take a classifier of torchvision, timm or mini"
        )
    named = given.name if given.name != given.model else f"{given.model}+{exposure.source} {exposure.task}"
    return given.model_copy(update={"name": named, "head": None})


def has_head(candidate: CandidateSpec) -> bool:
    """Whether a candidate is a classifier, whose features come before a head; no descriptor, nor a tower of a CLIP model."""
    family, model = family_of(candidate), model_name(candidate)
    is_clip = family.texts is not None and family.texts.has(model)
    return family.blank is not None and not is_clip and args_of(candidate).get("num_classes") != 0


def head_of(candidate: CandidateSpec | dict[str, Any]) -> str:
    """The name of a candidate's head."""
    return str(candidate.get("head") or DEFAULT)


def backbones(candidates: list[CandidateSpec]) -> dict[str, CandidateSpec]:
    """{name of each candidate: the backbone that it shares with all that differ in the head alone}.

    A backbone has the name of the first of them, of one with the default head that is not fine-tuned where there is one.
    """
    shared: dict[str, list[CandidateSpec]] = {}
    for one in candidates:
        shared.setdefault(str(_backbone(one)), []).append(one)
    found: dict[str, CandidateSpec] = {}
    for those in shared.values():
        first = next((one for one in those if head_of(one) == DEFAULT and not one.get("exposure")), those[0])
        backbone = {"name": first["name"], **_backbone(first)}
        found |= {one["name"]: cast(CandidateSpec, backbone) for one in those}
    return found


def declared_licences(candidates: list[CandidateSpec]) -> dict[str, str]:
    """{backbone: the licence that its candidates declare}, of those that declare one.

    Raises InputError where candidates of one backbone differ in it, or declare one beside weights whose licence is known.
    """
    declared: dict[str, dict[str, str | None]] = {}
    for name, backbone in backbones(candidates).items() if any(one.get("licence") for one in candidates) else ():
        one = next(one for one in candidates if one["name"] == name)
        declared.setdefault(backbone["name"], {})[name] = licence_of(one) if one.get("licence") else None
    for of in declared.values():
        if len(set(of.values())) > 1:
            listed = ", ".join(f"{name} {licence or 'none'}" for name, licence in of.items())
            raise InputError(
                f"candidates: these have the same weights, but not the same `licence`: {listed}; give all of them the same"
            )
    return {backbone: licence for backbone, of in declared.items() for licence in set(of.values()) if licence}


def at_hand(candidates: list[CandidateSpec]) -> tuple[list[CandidateSpec], dict[str, CandidateSpec]]:
    """(Candidates without the key `optional`, {name of an optional one whose weights are not on this machine: candidate}).

    Raises InputError where none is left.
    """
    plain = [cast(CandidateSpec, {key: value for key, value in one.items() if key != "optional"}) for one in candidates]
    optional = [one["name"] for one in candidates if one.get("optional")]
    missing = {one["name"]: one for one in plain if one["name"] in optional and absent(one)}
    if len(missing) == len(plain):
        listed = ", ".join(f"{name} ({absent(one)})" for name, one in missing.items())
        raise InputError(f"candidates: all are optional, and the weights of none are here: {listed}")
    return [one for one in plain if one["name"] not in missing], missing


def without_left_out(config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str], dict[str, CandidateSpec]]:
    """(The config without some of its candidates, {name of each of them: why, as a clause}, {name: candidate}).

    They are left out because their weights have another licence than `licences`, or are missing: the last ones returned.
    Raises InputError where `figures.space` names one that is left out; where it names none, it is the first one left.
    """
    kept, why = config["candidates"], dict[str, str]()
    if licences := config.get("licences"):
        for candidate in kept:
            if not (candidate.get("optional") and candidate.get("weights")):
                check_model(candidate)  # of a model that is not there no licence is known
        kept, others = allowed(kept, licences)
        why = {name: f"the licence, {licence}, is not among `licences`" for name, licence in others.items()}
    kept, missing = at_hand(kept)
    why |= {name: absent(one) for name, one in missing.items()}
    embedded = [one["name"] for one in kept if not one.get("exposure")]
    space = config["figures"]["space"] or embedded[0]
    if space in why:
        raise InputError(
            f"figures.space: {space!r} is left out: {why[space]}; name another candidate, such as {embedded[0]!r}, or "
            "remove the key"
        )
    return config | {"candidates": kept, "figures": config["figures"] | {"space": space}}, why, missing


def absent(candidate: CandidateSpec) -> str:
    """What of a candidate's weights is not on this machine, as a clause; "" where they are, or it has none."""
    weights = candidate.get("weights")
    if not weights:
        here = family_of(candidate).cached(candidate)
        return "" if here else "the weights are not on this machine (snakemake weights downloads them)"
    if is_packaged(weights):
        try:
            packaged_file(weights)
        except InputError:
            return f"the weights, {weights}, are not installed"
        return ""
    return "" if Path(weights).is_file() else f"the weights, {weights}, are not there"


def _backbone(candidate: CandidateSpec) -> dict[str, Any]:
    return {key: value for key, value in candidate.items() if key not in OF_HEADS}
