"""The prompt ensemble: no choice among the prompts but the mean of their texts, which `score_clip` scores beside them."""

from swsa_core.strategies.evidence import as_detector
from swsa_core.strategies.strategy import PROMPT, SUPPORT, Strategy

STRATEGY = Strategy(
    title="prompt ensemble",
    description="the mean text embeddings of all prompts",
    reference="Fung et al. 2023",
    sees=SUPPORT,
    pick=as_detector,
    selections=(PROMPT,),
    default=True,
    picks_one=False,
    is_detector=True,
)
