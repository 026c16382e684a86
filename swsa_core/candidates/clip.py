"""Both towers of a CLIP model, and the features of texts. Images are embedded like those of every backbone."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.candidates.backbone import check_model
from swsa_core.candidates.networks import create_open_clip, loading
from swsa_core.files.provenance import file_sha256, parameters_sha256
from swsa_core.files.weights import MINI_WEIGHTS, load_weights

TEXTS = 64  # at a time


@dataclass(frozen=True)
class Clip:
    """Both towers of a CLIP model.

    module: open_clip's, in eval mode; tokenize: n texts to token ids (n, context length).
    logit_scale: the factor of the cosines, open_clip's `logit_scale.exp()`.
    weights_sha256: the same as of the model's backbone.
    """

    module: Callable
    tokenize: Callable
    logit_scale: float
    weights_sha256: str


def load_clip(candidate):
    """`Clip` of a backbone's record (see `swsa_core.config.config.clip_backbone`), on the CPU in float32.

    Raises InputError for names and weights that do not fit.
    """
    family, model = check_model(candidate)
    weights = candidate["weights"]
    with loading("clip", family, model):
        if family == "mini":
            from swsa_core.mini import clip as mini_clip

            weights = weights or MINI_WEIGHTS / f"{model}.safetensors"
            module, tokenize = mini_clip.load_clip(weights)
        else:
            module, tokenize = _load_open_clip(model, weights, candidate["args"])
    return Clip(
        module.requires_grad_(False).eval(),
        tokenize,
        logit_scale=module.logit_scale.exp().item(),
        weights_sha256=file_sha256(weights) if weights else parameters_sha256(module.visual),
    )


def _load_open_clip(model, weights, args):
    import open_clip

    module = create_open_clip(model, weights, dict(args))
    if weights:
        load_weights(module, weights)
    return module, _without_cutting(open_clip.get_tokenizer(model))


def _without_cutting(tokenizer):
    """`tokenizer`, an open_clip one, with an InputError for a text that it would cut at its context length."""
    n_tokens = _counter(tokenizer)

    def tokenize(texts):
        for text in texts:
            if (n := n_tokens(text)) > tokenizer.context_length:
                raise InputError(
                    f"clip: the text {text!r} has {n} tokens, the model takes at most {tokenizer.context_length}: shorten it"
                )
        return tokenizer(texts)

    return tokenize


def _counter(tokenizer):
    """Function from a text to the number of its tokens, with those of its beginning and end."""
    from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

    if isinstance(tokenizer, SimpleTokenizer):
        return lambda text: len(tokenizer.encode(text)) + 2
    if isinstance(tokenizer, HFTokenizer) and not tokenizer.tokenizer_mode:
        return lambda text: len(tokenizer.tokenizer(tokenizer.clean_fn(text)).input_ids)
    raise InputError(
        f"the model has the tokenizer {type(tokenizer).__name__}, which would cut long texts in silence: take another model"
    )


def embed_texts(clip, texts):
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
