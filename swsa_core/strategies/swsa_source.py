"""Selection With Synthetic Anomalies: the candidate that tells the anomalies of one source best (§3)."""

import numpy as np

from swsa_core.strategies.evidence import Case, Evidence, Pick
from swsa_core.strategies.strategy import SUPPORT, Strategy


def pick(evidence: Evidence, case: Case) -> Pick:
    """The candidate with the highest synthetic AUROC, with what is to be said about it."""
    return described(evidence.highest(evidence.synthetic[case.task, case.source, case.protocol]), evidence, case)


def described(found: Pick, evidence: Evidence, case: Case) -> Pick:
    """A pick with its synthetic AUROC by the source of `case`, how sure that is, and what speaks against it.

    It has a warning where its synthetic AUROC is below 0.5, or where those of more than half of the candidates are:
    single weak candidates say little about the anomalies.
    """
    if not found.candidate:
        return found
    synthetic = evidence.synthetic[case.task, case.source, case.protocol]
    own = float(synthetic[evidence.names.index(found.candidate)])
    key = case.task, case.source, case.protocol, found.candidate
    return found._replace(
        source=case.source,
        synthetic_auroc=own,
        sureness=evidence.confidence.get(key, found.sureness),
        saturated=own == 1 and int((synthetic == 1).sum()) > 1,
        warning=_warning(synthetic, own),
    )


def _warning(synthetic: np.ndarray, best: float) -> str:
    """What speaks against the synthetic anomalies, "" for nothing; best: the pick's synthetic AUROC, of those that have one."""
    look = "the synthetic anomalies look more normal than the normal images"
    n_below, n = int((synthetic < 0.5).sum()), int(np.isfinite(synthetic).sum())
    if best < 0.5:
        return f"synthetic AUROC below 0.5 ({best:.3f}): {look}"
    if n_below > n / 2:
        return f"synthetic AUROC below 0.5 of {n_below} of {n} candidates: {look} to them"
    return ""


STRATEGY = Strategy(
    title="SWSA with {}",
    description="the highest synthetic AUROC",
    reference="Fung et al. 2023",
    sees=SUPPORT,
    pick=pick,
    per_source=True,
    stem="swsa",
    per_protocol=True,
    default=True,
    recommends=True,
    proposed=True,
)
