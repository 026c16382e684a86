"""The largest model: what a user takes who trusts in size."""

from swsa_core.strategies.evidence import Case, Evidence, Pick
from swsa_core.strategies.strategy import MODEL, SUPPORT, Strategy


def pick(evidence: Evidence, case: Case) -> Pick:
    """The candidate with the most parameters in its feature extractor."""
    return evidence.highest(evidence.n_parameters)


STRATEGY = Strategy(
    title="largest model",
    description="the backbone with the most parameters",
    reference="Fung et al. 2023",
    sees=SUPPORT,
    pick=pick,
    selections=(MODEL,),
    default=True,
)
