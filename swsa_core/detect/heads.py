"""How members of a detector score: the heads that candidates have, and prompts of CLIP, which no candidate names as its head.

A prompt compares an image with two texts, not with the normal images. So nothing is left out where those are scored, and
none of them is nearest; they set the alarm level alone.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from swsa_core.candidates.clip import Clip, embed_texts
from swsa_core.candidates.prompts import prompts
from swsa_core.detectors import HEADS
from swsa_core.detectors.scores import Answer

PROMPT = "prompt"


class Comparing(Protocol):
    """What is asked of a head, as of `swsa_core.detectors.head.Head`."""

    @property
    def title(self) -> str: ...
    @property
    def patches(self) -> bool: ...
    @property
    def against(self) -> Any: ...
    @property
    def keep(self) -> Any: ...


class _Prompt:
    """The logit of the anomalous text minus that of the normal one (Radford et al. 2021); the bank (2, d) are the texts.

    Settings of `against`: the model's logit_scale, and the templates that the texts were made of.
    """

    title = "CLIP prompt"
    patches = False

    @staticmethod
    def against(
        queries: np.ndarray,
        bank: np.ndarray,
        own: np.ndarray | None = None,
        *,
        logit_scale: float,
        templates: Sequence[Sequence[str]],
    ) -> Answer:
        """Scores of features (n, d); own has no part in them."""
        from swsa_core.detectors.clip import anomaly_logit

        return Answer(anomaly_logit(queries, bank[None], logit_scale)[:, 0])

    @staticmethod
    def keep(bank: np.ndarray, dataset: str, task: str, **settings: Any) -> np.ndarray:
        """The texts, all of them."""
        return bank


COMPARING: dict[str, Comparing] = {**HEADS, PROMPT: _Prompt()}


def text_bank(clip: Clip, templates: Sequence[Sequence[str]], class_name: str) -> np.ndarray:
    """The normal and the anomalous text of a class (2, d), by one pair of templates, or by the ensemble of several."""
    from swsa_core.detectors.clip import ensemble

    pairs = prompts(templates, class_name)
    features = embed_texts(clip, [text for pair in pairs for text in pair]).reshape(len(pairs), 2, -1)
    return features[0] if len(pairs) == 1 else ensemble(list(features))


def holds_images(head: str, grid: int, bank: np.ndarray) -> bool:
    """Whether a member's bank is all that its network gave of the normal images; grid: as of `Member`."""
    return head != PROMPT and (not grid or bank.shape[1] == grid**2)
