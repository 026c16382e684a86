"""The default prompt: what a user takes who does not choose."""

from swsa_core.strategies.evidence import Case, Evidence, Pick
from swsa_core.strategies.strategy import PROMPT, SUPPORT, Strategy


def pick(evidence: Evidence, case: Case) -> Pick:
    """The first prompt of the config."""
    return Pick(evidence.names[0])


STRATEGY = Strategy(
    title="default prompt",
    description="the first pair of prompts",
    reference="Fung et al. 2023",
    sees=SUPPORT,
    pick=pick,
    selections=(PROMPT,),
    default=True,
)
