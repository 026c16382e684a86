"""Licences of candidates' weights, as short ids: what libraries and packages say of them, no advice.

An id is that of SPDX in lower case where there is one, as apache-2.0; a library's own name for any other, as dinov3-license.
"""

import re

from swsa_core.basics.errors import InputError
from swsa_core.candidates import family_of
from swsa_core.candidates.family import NO_WEIGHTS, NOT_STATED, CandidateSpec
from swsa_core.files.packaged import is_packaged, packaged_licence

# {id: pattern of how metadata write it}, in lower case.
WRITTEN = {
    "cc-by-nc-sa-4.0": r"cc[ -]by[ -]nc[ -]sa[ -]4",
    "cc-by-nc-4.0": r"cc[ -]by[ -]nc[ -]4|facebookresearch/swag/.*licen[cs]e",
    "cc-by-4.0": r"cc[ -]by[ -]4",
    "apache-2.0": r"apache.*2",
    "bsd-3-clause": r"bsd[ -]3|3-clause bsd|new bsd",
    "mit": r"^(the )?mit\b",
}


def short(text: str | None) -> str:
    """The id of a licence as metadata name it.

    >>> [short(text) for text in ("Apache Software License 2.0", "MIT License", "dinov3-license", "See the file", "unknown")]
    ['apache-2.0', 'mit', 'dinov3-license', 'other', 'not stated']
    """
    text = (text or "").strip().lower()
    if text in ("", "unknown", "none"):
        return NOT_STATED
    if text in (NO_WEIGHTS, NOT_STATED):
        return text
    known = next((name for name, pattern in WRITTEN.items() if re.search(pattern, text)), None)
    return known or (text if re.fullmatch(r"[a-z0-9.+-]+", text) else "other")


def licence_of(candidate: CandidateSpec) -> str:
    """The licence of a candidate's weights as a short id, "no weights" or "not stated"; needs no torch.

    Of a local file of weights it is the one that the candidate declares, whatever the model. Raises InputError where one is
    declared beside weights whose licence is known.
    """
    weights, declared = candidate.get("weights"), candidate.get("licence")
    if weights and not is_packaged(weights):
        return short(declared)
    known = short(packaged_licence(weights) if weights else family_of(candidate).licence_of(candidate))
    if declared and known != NOT_STATED:
        who = f"the package of {weights}" if weights else candidate["model"].partition(":")[0]
        raise InputError(
            f"candidates.{candidate['name']}.licence: received {declared!r}, which is for a local file named under `weights`, "
            f"but {who} says of its weights: {known}; remove the key, or name the file"
        )
    return short(declared) if declared else known


def allowed(candidates: list[CandidateSpec], licences: list[str]) -> tuple[list[CandidateSpec], dict[str, str]]:
    """(Candidates whose licence is one of `licences`, {name of another: its licence}); those without weights always stay.

    Raises InputError where none is left.
    """
    wanted = {NO_WEIGHTS, *map(short, licences)}
    found = {candidate["name"]: licence_of(candidate) for candidate in candidates}
    left_out = {name: licence for name, licence in found.items() if licence not in wanted}
    if len(left_out) == len(candidates):
        listed = ", ".join(f"{name} ({licence})" for name, licence in left_out.items())
        raise InputError(
            f"licences: {', '.join(licences)} leave no candidate: {listed}; add a licence to the list, or another candidate"
        )
    return [candidate for candidate in candidates if candidate["name"] not in left_out], left_out
