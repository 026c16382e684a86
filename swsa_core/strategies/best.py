"""The upper bound: the best candidate by the test labels."""

from swsa_core.strategies.evidence import Case, Evidence, Pick
from swsa_core.strategies.strategy import LABELS, Strategy


def pick(evidence: Evidence, case: Case) -> Pick:
    """The candidate with the highest real AUROC; none for a task without real labels."""
    return evidence.highest(evidence.real[case.task, case.setting])


STRATEGY = Strategy(
    title="best possible",
    description="the upper bound of any pick",
    reference="",
    sees=LABELS,
    pick=pick,
)
