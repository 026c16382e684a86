"""SWSA with all sources at once, by rank aggregation."""

import numpy as np
from numpy.typing import ArrayLike

from swsa_core.strategies.evidence import Case, Evidence, Pick, means
from swsa_core.strategies.strategy import SUPPORT, Strategy


def quality(synthetic: ArrayLike) -> np.ndarray:
    """Minus the mean rank of a candidate over the sources, (c,): Borda's rank aggregation (Goswami et al. 2023, §4).

    synthetic: (sources, c) synthetic AUROCs of one task; rank 1 the highest, ties share a rank. An undefined AUROC gives
    no rank; NaN where a candidate has none at all. Ranks among few are spread as those among all, as a candidate without an
    AUROC by a source, which it was trained on, would else rank low by the longer lists of the others.
    """
    from scipy.stats import rankdata

    synthetic = np.asarray(synthetic, dtype=float)
    known = np.isfinite(synthetic)
    spread = (1 + known.any(axis=0).sum()) / (
        1 + known.sum(axis=1, keepdims=True)
    )  # (sources, 1), 1 of a source of all
    return -means(spread * rankdata(-synthetic, axis=1, nan_policy="omit"))


def pick(evidence: Evidence, case: Case) -> Pick:
    """The candidate with the best mean rank."""
    return evidence.highest(evidence.once(_of_task, case.task, case.protocol))


def _of_task(evidence: Evidence, task: str, protocol: str) -> np.ndarray:
    return quality([evidence.synthetic[task, source, protocol] for source in evidence.sources])


STRATEGY = Strategy(
    title="SWSA with all sources",
    description="the best mean rank of synthetic AUROC over the sources",
    reference="Goswami et al. 2023",
    sees=SUPPORT,
    pick=pick,
    per_protocol=True,
    proposed=True,
)
