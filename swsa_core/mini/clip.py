"""The mini CLIP: a small open_clip model of drawn letters and digits that knows few words.

Its image tower is a mini classifier with a projection as its head; all else is open_clip's. It reads text as CLIP does,
but has embeddings for the words of clip_words.txt only.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from open_clip import SimpleTokenizer
from open_clip.model import CLIP, set_model_preprocess_cfg
from torch import nn

from swsa_core.basics.errors import InputError
from swsa_core.basics.seeding import rng as named_rng
from swsa_core.datasets import digits
from swsa_core.files.drawings import SIZE
from swsa_core.files.images import prepare, read_image
from swsa_core.files.provenance import file_sha256
from swsa_core.files.weights import MINI_WEIGHTS, load_weights
from swsa_core.mini import CLIP_TOWER, captions, training
from swsa_core.mini.architectures import build
from swsa_core.mini.clip_words import check_words, words
from swsa_core.mini.training import Recipe, Report, Training, as_input, descend, learning_rate, make_optimizers

Tokenizer = Callable[[list[str]], torch.Tensor]
"""n texts -> token ids (n, context length) int64."""

# The tower is the classifier that training starts from; the rest are arguments of open_clip.
CONFIGS: dict[str, dict[str, Any]] = {
    "clip": {
        "tower": CLIP_TOWER,
        "embed_dim": 128,
        "text_cfg": {"context_length": 24, "width": 128, "heads": 4, "layers": 2},
    },
}
RECIPES: dict[str, Recipe] = {
    "clip": {
        "steps": 1600,
        "batch_size": 64,
        "captions_per_image": 2,
        "learning_rate": 1.5e-3,
        "warmup_steps": 200,
        "weight_decay": 0.05,
    },
}
HELD_OUT = 1000
PROMPT = "a photo of a {}"
LARGEST_LOGIT_SCALE = np.log(100)  # as in CLIP


def load_clip(weights: Path | str | None = None) -> tuple[CLIP, Tokenizer]:
    """(the mini CLIP in eval mode, its tokenizer), with the bundled weights or those of a file.

    The model takes images (n, 3, 32, 32) in [-1, 1]; for the tokenizer see `make_tokenizer`.
    Raises InputError when the file does not fit.
    """
    model = build_clip("clip")
    load_weights(model, weights or MINI_WEIGHTS / "clip.safetensors")
    return model.eval(), make_tokenizer(model.context_length)


def build_clip(name: str) -> CLIP:
    """The CLIP `name` of CONFIGS with random weights."""
    config = CONFIGS[name]
    # The vision transformer that open_clip asks for is the smallest, as the tower takes its place.
    vision_cfg = {"image_size": SIZE, "patch_size": SIZE, "layers": 0, "width": 64}
    model = CLIP(config["embed_dim"], vision_cfg, config["text_cfg"] | {"vocab_size": len(vocabulary())})
    model.visual = build(config["tower"])
    model.visual.head = nn.Linear(model.visual.feature_size, config["embed_dim"])
    half = (0.5, 0.5, 0.5)
    preprocessing = {"size": SIZE, "mode": "RGB", "mean": half, "std": half, "interpolation": "bilinear"}
    set_model_preprocess_cfg(model, preprocessing | {"resize_mode": "shortest", "fill_color": 0})
    return model


def train(name: str, out_dir: Path | str, seed: int = 0, recipe: Recipe | None = None, **how: Any) -> Report:
    """Train the CLIP `name`; for files, `how` and errors see `training.train`.

    The image tower starts from the bundled classifier. recipe: like `RECIPES[name]`, the default.
    """
    config, recipe = CONFIGS[name], recipe or RECIPES[name]
    tower = MINI_WEIGHTS / f"{config['tower']}.safetensors"
    tokenize = make_tokenizer(config["text_cfg"]["context_length"])

    def start():
        model = build_clip(name).to(memory_format=torch.channels_last)
        load_weights(model.visual, tower, head=("head.",))
        optimizers = make_optimizers(model, recipe)

        def measure():
            return {
                "n_parameters": sum(parameter.numel() for parameter in model.parameters()),
                "n_tokens": len(vocabulary()),
                "accuracy": zero_shot_accuracy(model, tokenize, *held_out(seed)),
                "held_out": HELD_OUT,
                "accuracy_on_handwritten_digits": zero_shot_accuracy(model, tokenize, *handwritten_digits()),
            }

        return Training(
            state=model,
            optimizers=optimizers,
            step=lambda step: train_step(model, optimizers, tokenize, step, seed, recipe),
            shipped=model,
            weights=model.state_dict,
            measure=measure,
        )

    identity = {"model": name, "config": config, "tower_sha256": file_sha256(tower)}
    return training.train(start, identity, recipe, out_dir, seed, **how)


def train_step(
    model: CLIP, optimizers: list[torch.optim.Optimizer], tokenize: Tokenizer, step: int, seed: int, recipe: Recipe
) -> float:
    """One optimizer step on the images and captions of `step`; returns its loss."""
    images, texts, truth = captions.batch(seed, step, recipe["batch_size"], recipe["captions_per_image"])
    logits, _ = model.train().get_logits(as_input(images), tokenize(texts))  # (batch_size, captions)
    loss = contrastive_loss(logits, torch.from_numpy(truth))
    descend(model, optimizers, loss, learning_rate(step, recipe))
    with torch.no_grad():
        model.logit_scale.clamp_(0, LARGEST_LOGIT_SCALE)
    return loss.item()


def contrastive_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """CLIP's loss (Radford et al. 2021) for images of which several captions are true: each counts as an equally good answer.

    logits: (n, m) of images and captions; truth: (n, m) bool, at least one in each row and column. With one in each it
    is CLIP's own loss; the mean over the right answers is that of Khosla et al. 2020, Eq. 2.
    """
    sides = ((logits, truth.float()), (logits.T, truth.T.float()))
    by_image, by_caption = (F.cross_entropy(scores, right / right.sum(1, keepdim=True)) for scores, right in sides)
    return (by_image + by_caption) / 2


@torch.inference_mode()
def zero_shot_accuracy(
    model: CLIP, tokenize: Tokenizer, images: np.ndarray, labels: np.ndarray, batch_size: int = 250
) -> float:
    """Share of images (n, 32, 32, 3) uint8 of digits `labels` (n,) that are nearest to PROMPT with their own name."""
    model.eval()
    texts = tokenize([PROMPT.format(word) for word in digits.WORDS])
    starts = range(0, len(images), batch_size)
    logits = [model.get_logits(as_input(images[start : start + batch_size]), texts)[0] for start in starts]
    return float((torch.cat(logits).argmax(1).numpy() == labels).mean())


def held_out(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """HELD_OUT drawn digits that no training step with this seed has seen: images and labels, the same number of each digit."""
    rng = named_rng(seed, "captioned digits")
    labels = np.arange(HELD_OUT) % 10
    return np.stack([captions.draw(rng, str(label))[0] for label in labels]), labels


def handwritten_digits() -> tuple[np.ndarray, np.ndarray]:
    """All handwritten digits that scikit-learn ships, enlarged: images (1797, 32, 32, 3) uint8 and labels."""
    rows = digits.rows({})
    images = np.stack([prepare(read_image(row.image_id), SIZE) for row in rows])
    return images, np.array([int(row.label) for row in rows])


def make_tokenizer(context_length: int) -> Tokenizer:
    """CLIP's tokenizer with rows of `vocabulary` for tokens: list of n str -> (n, context_length) int64.

    Raises InputError for a word that is not in clip_words.txt, and for a text that is too long.
    """
    clip = SimpleTokenizer()
    rows = {token: row for row, token in enumerate(vocabulary())}

    def one(text):
        check_words(text, clip.pat.findall(clip.clean_fn(text)))
        ids = [clip.sot_token_id, *clip.encode(text), clip.eot_token_id]
        if len(ids) > context_length:
            raise InputError(
                f"the text {text!r} has {len(ids)} tokens, the mini CLIP takes at most {context_length}: shorten it"
            )
        return torch.tensor([rows[token] for token in ids] + [0] * (context_length - len(ids)))

    def tokenize(texts):
        return torch.stack([one(text) for text in texts])

    return tokenize


@cache
def vocabulary() -> list[int]:
    """CLIP's ids of the tokens that have an embedding, in order: 0, which fills up, first; the end of text last."""
    clip = SimpleTokenizer()
    spelled = {token for word in words() for token in clip.encode(word)}
    return sorted(spelled | {0, clip.sot_token_id, clip.eot_token_id})
