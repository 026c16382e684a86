"""What is known of a task before its test images are seen, for detectors that combine candidates."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from swsa_core.detectors.cost import together_mb, together_ms

if TYPE_CHECKING:
    import pandas as pd

MAX_MEMBERS = 3  # of a detector that combines the best candidates, chosen on real images: docs/selection.md


class Budget(NamedTuple):
    """What a recommended detector may be and cost: the section `selection` of the config."""

    max_members: int = MAX_MEMBERS
    """Candidates that it combines at most."""
    max_ms: float = np.inf
    """Milliseconds that one image costs it at most."""
    costs: "pd.DataFrame | None" = None
    """Rows of the c candidates in their order, of `swsa_core.detectors.cost.of_candidates`; needed with a limit, and for
    `cheapest`."""
    max_mb: float = np.inf
    """Megabytes of its networks and banks at most."""
    cheapest: bool = False
    """Whether a close call goes to the cheapest of those that cannot be told apart."""

    def allows(self, columns: Sequence[int]) -> bool:
        """Whether the candidates in these columns, together, keep to the limits."""
        if self.costs is None:
            return True
        rows = self.costs.iloc[list(columns)]
        fast = np.isinf(self.max_ms) or together_ms(rows) <= self.max_ms
        return fast and (np.isinf(self.max_mb) or together_mb(rows) <= self.max_mb)


UNLIMITED = Budget()


class Known(NamedTuple):
    """What is known of a task before its test images, for detectors that combine candidates."""

    backbones: list[str]  # (c,) of the candidates
    synthetic: Mapping[
        str, np.ndarray
    ]  # {source: AUROC (tasks, c)} by the protocol `LEADING`, or else by the first one
    normals: np.ndarray  # (s, c) scores of the support images, each left out of the bank itself
    budget: Budget = UNLIMITED
