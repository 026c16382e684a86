"""Both towers of a CLIP model, and the features of texts. Images are embedded like those of every backbone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from swsa_core.candidates import family_of
from swsa_core.candidates.backbone import check_model, loading
from swsa_core.candidates.family import CandidateSpec
from swsa_core.files.provenance import file_sha256, parameters_sha256

TEXTS = 64  # at a time


@dataclass(frozen=True)
class Clip:
    """Both towers of a CLIP model.

    module: open_clip's, in eval mode; tokenize: n texts to token ids (n, context length).
    logit_scale: the factor of the cosines, open_clip's `logit_scale.exp()`.
    weights_sha256: the same as of the model's backbone.
    """

    module: Any
    tokenize: Callable[[list[str]], Any]
    logit_scale: float
    weights_sha256: str


def load_clip(candidate: CandidateSpec) -> Clip:
    """`Clip` of a CLIP model's record (see `section.clip_backbone`), on the CPU in float32.

    Raises InputError for names and weights that do not fit.
    """
    check_model(candidate)
    texts = family_of(candidate).texts
    assert texts is not None  # as the config takes a model that reads texts alone
    with loading(candidate):
        towers = texts.load(candidate)
    module = towers.module.requires_grad_(False).eval()
    return Clip(
        module,
        towers.tokenize,
        logit_scale=module.logit_scale.exp().item(),
        weights_sha256=file_sha256(towers.weights) if towers.weights else parameters_sha256(module.visual),
    )


def embed_texts(clip: Clip, texts: list[str]) -> np.ndarray:
    """Text features (n, d) float32 of n texts; each different text is embedded once."""
    import torch

    distinct = list(dict.fromkeys(texts))
    row = {text: number for number, text in enumerate(distinct)}
    with torch.inference_mode():
        parts = [
            clip.module.encode_text(clip.tokenize(distinct[start : start + TEXTS])).float().numpy()
            for start in range(0, len(distinct), TEXTS)
        ]
    return np.concatenate(parts)[[row[text] for text in texts]]
