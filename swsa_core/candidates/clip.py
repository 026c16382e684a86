"""Both towers of a CLIP model, and the features of texts. Images are embedded like those of every backbone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from swsa_core.candidates import family_of
from swsa_core.candidates.family import CandidateSpec
from swsa_core.candidates.mistakes import check_model, loading
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


def image_encoder(clip: Clip, device: str) -> Callable[[Any], Any]:
    """A function of images (n, 3, H, W) in [-1, 1], a tensor, to unit vectors (n, d) float32, through which gradients flow.

    Images are squares and are resized to the side that the model takes, as its own preparation does but for rounding.
    """
    import open_clip
    import torch
    from torch.nn import functional as F

    config = open_clip.get_model_preprocess_cfg(clip.module)
    size, mode = config["size"], config["interpolation"]
    side = size[0] if isinstance(size, tuple | list) else size
    mean, std = (torch.tensor(config[name], device=device).view(1, 3, 1, 1) for name in ("mean", "std"))
    module = clip.module.to(device)

    def encode(images):
        if images.shape[-1] != side:
            images = F.interpolate(images, (side, side), mode=mode, align_corners=False, antialias=True)
        return F.normalize(module.encode_image(((images + 1) / 2 - mean) / std), dim=1)

    return encode


def embed_texts(clip: Clip, texts: list[str]) -> np.ndarray:
    """Text features (n, d) float32 of n texts; each different text is embedded once."""
    import torch

    distinct = list(dict.fromkeys(texts))
    row = {text: number for number, text in enumerate(distinct)}
    with torch.inference_mode():
        parts = [
            encode_texts(clip, distinct[start : start + TEXTS]).cpu().numpy()
            for start in range(0, len(distinct), TEXTS)
        ]
    return np.concatenate(parts)[[row[text] for text in texts]]


def encode_texts(clip: Clip, texts: list[str]) -> Any:
    """Text features (n, d) float32 of n texts, a tensor on the device where the model is."""
    device = next(clip.module.parameters()).device
    return clip.module.encode_text(clip.tokenize(texts).to(device)).float()
