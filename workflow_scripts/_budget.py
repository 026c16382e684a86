"""What the stages evaluate and select share: what a recommended detector may be and cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from swsa_core.basics.errors import InputError
from swsa_core.detectors.cost import of_candidates
from swsa_core.evaluation.known import MAX_MEMBERS, Budget
from swsa_core.report.read import read_costs


def budget_of(settings: Mapping[str, Any], costs: Sequence[str], selection: str) -> Budget:
    """The `Budget` of one selection; costs: paths of costs files, none without a limit. Prompts share one model: none either.

    Raises InputError where no candidate keeps to the limit.
    """
    max_members = settings.get("max_members", MAX_MEMBERS)
    if selection != "model" or not costs:
        return Budget(max_members)
    table, max_ms = of_candidates(read_costs(costs), settings["groups"], settings["exposed"]), settings["max_ms"]
    fastest = table.loc[table["median_ms"].idxmin()]
    if fastest["median_ms"] > max_ms:
        raise InputError(
            f"selection.max_ms: {max_ms:g}, but one image takes {fastest['median_ms']:.1f} ms with the fastest candidate, "
            f"{fastest['candidate']!r}, on this machine ({fastest['device']}): raise the limit or add a faster candidate"
        )
    return Budget(max_members, max_ms, table)
