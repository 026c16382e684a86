"""What is known of a task before its test images are seen, for detectors that combine candidates."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from swsa_core.detectors.cost import together_ms

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
    """Rows of the c candidates in their order, columns network, median_ms and head_ms; needed where max_ms is finite."""

    def allows(self, columns: Sequence[int]) -> bool:
        """Whether the candidates in these columns, together, cost at most max_ms."""
        return self.costs is None or together_ms(self.costs.iloc[list(columns)]) <= self.max_ms


UNLIMITED = Budget()


class Known(NamedTuple):
    """What is known of a task before its test images, for detectors that combine candidates."""

    backbones: list[str]  # (c,) of the candidates
    synthetic: Mapping[
        str, np.ndarray
    ]  # {source: AUROC (tasks, c)} by the protocol `LEADING`, or else by the first one
    normals: np.ndarray  # (s, c) scores of the support images, each left out of the bank itself
    budget: Budget = UNLIMITED
