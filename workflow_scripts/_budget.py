"""What the stages evaluate and select share: what a recommended detector may be and cost."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from swsa_core.basics.errors import InputError
from swsa_core.detectors.cost import of_candidates
from swsa_core.evaluation.known import MAX_MEMBERS, Budget
from swsa_core.report.read_tables import read_costs


def budget_of(settings: Mapping[str, Any], costs: Sequence[str], candidates: pd.DataFrame) -> Budget:
    """The `Budget` of the models; costs: paths of costs files, none where nothing depends on them; candidates: those of the
    selection, columns candidate and n_parameters.

    Raises InputError where no candidate keeps to the limits.
    """
    max_members = settings.get("max_members", MAX_MEMBERS)
    if not costs:
        return Budget(max_members)
    n_parameters = candidates.set_index("candidate")["n_parameters"]
    table = of_candidates(read_costs(costs), settings["groups"], settings["exposed"], n_parameters)
    max_ms, max_mb = (settings.get(name, np.inf) for name in ("max_ms", "max_mb"))
    budget = Budget(max_members, max_ms, table, max_mb, settings.get("close_call") == "cheapest")
    if any(budget.allows([column]) for column in range(len(table))):
        return budget
    megabytes = table["weights_mb"] + table["bank_mb"]
    fastest, smallest = (table.loc[values.idxmin()] for values in (table["median_ms"], megabytes))
    if fastest["median_ms"] > max_ms:
        raise InputError(
            f"selection.max_ms: {max_ms:g}, but one image takes {fastest['median_ms']:.1f} ms with the fastest candidate, "
            f"{fastest['candidate']!r}, on this machine ({fastest['device']}): raise the limit or add a faster candidate"
        )
    if megabytes.min() > max_mb:
        raise InputError(
            f"selection.max_mb: {max_mb:g}, but the smallest candidate, {smallest['candidate']!r}, has "
            f"{megabytes.min():.1f} MB of weights and bank: raise the limit or add a smaller candidate"
        )
    raise InputError(
        f"selection: no candidate keeps to both max_ms: {max_ms:g} and max_mb: {max_mb:g}; the fastest, "
        f"{fastest['candidate']!r}, has {megabytes[fastest.name]:.1f} MB, and the smallest, {smallest['candidate']!r}, takes "
        f"{smallest['median_ms']:.1f} ms: raise a limit or add a candidate"
    )
