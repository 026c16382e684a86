"""Zero-shot anomaly detection with CLIP: which of two texts an image is closer to (Radford et al. 2021; §4.3).

Features are the outputs of the two towers, before normalisation. Images are embedded like those of every backbone;
`load_clip` and `embed_texts` do the texts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from swsa_core.backbones import check_model
from swsa_core.detectors.knn import l2_normalized
from swsa_core.errors import InputError
from swsa_core.networks import MINI_WEIGHTS, create_open_clip, load_weights, loading
from swsa_core.provenance import file_sha256, parameters_sha256

TEXTS = 64  # at a time
STEP = 2.0**-32  # of the logits: far below the precision of float32 features, far above the rounding of float64


def anomaly_probability(image_features, text_features, logit_scale):
    """Softmax probability of the anomalous one of two texts, by open_clip's zero-shot formula, (n, p) float64.

    Arguments as of `anomaly_logit`, which gives the same order: the probabilities of many images round to 0 or 1.
    """
    return expit(anomaly_logit(image_features, text_features, logit_scale))


def anomaly_logit(image_features, text_features, logit_scale):
    """Anomaly score: logit of the anomalous text minus that of the normal one, (n, p) float64.

    image_features: (n, d); text_features: (p, 2, d) of p prompts, [normal, anomalous]; logit_scale: factor of the cosines.
    A multiple of 2⁻³²: images with equal features in one call tie, in whatever order a BLAS sums their products. In two calls
    they may come out on two sides of a multiple's boundary, and differ by one step.
    """
    text_features = np.asarray(text_features)
    p, _, d = text_features.shape
    normal, anomalous = l2_normalized(text_features.reshape(2 * p, d)).reshape(p, 2, d).swapaxes(0, 1)
    logits = l2_normalized(image_features) @ (logit_scale * (anomalous - normal)).T
    return np.rint(logits / STEP) * STEP


def ensemble(text_features):
    """Prompt ensemble of Radford et al. (2021): the normalised features of each side averaged over prompts, normalised.

    text_features: (p, 2, d), [normal, anomalous]. Returns (2, d) float64.
    """
    return l2_normalized(np.mean([l2_normalized(pair) for pair in text_features], axis=0))


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
    """`Clip` of a backbone's record (see `swsa_core.config.clip_backbone`), on the CPU in float32.

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
