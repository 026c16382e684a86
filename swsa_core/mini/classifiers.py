"""Training of the mini classifiers on procedural images."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from swsa_core.files.drawings import batch
from swsa_core.mini import training
from swsa_core.mini.architectures import build, count_parameters
from swsa_core.mini.training import Recipe, Report, Training, as_input, descend, learning_rate, make_optimizers

_COMMON = {"batch_size": 64, "weight_decay": 0.05, "label_smoothing": 0.1, "warmup_steps": 200}
RECIPES = {
    "resnet_s": {**_COMMON, "steps": 3000, "learning_rate": 4e-3},
    "resnet_m": {**_COMMON, "steps": 2500, "learning_rate": 2e-3},
    "vit_s": {**_COMMON, "steps": 3000, "learning_rate": 3e-3},
    "vit_m": {**_COMMON, "steps": 2000, "learning_rate": 2e-3},
}
HELD_OUT = 2000


def train(
    name: str, out_dir: Path | str, seed: int = 0, recipe: Recipe | None = None, checkpoint_every: int = 200, **how: Any
) -> Report:
    """Train the classifier `name`, head included; for files, `how` and errors see `training.train`.

    recipe: a dict like those of `RECIPES`, by default the model's own.
    """
    recipe = recipe or RECIPES[name]

    def start():
        model = build(name).to(memory_format=torch.channels_last)
        optimizers = make_optimizers(model, recipe)

        def measure():
            accurate = accuracy(model, *held_out(seed, recipe))
            return {"n_parameters": count_parameters(model), "accuracy": accurate, "held_out": HELD_OUT}

        return Training(
            state=model,
            optimizers=optimizers,
            step=lambda step: train_step(model, optimizers, step, seed, recipe),
            shipped=model,
            weights=model.state_dict,
            measure=measure,
        )

    return training.train(start, {"model": name}, recipe, out_dir, seed, checkpoint_every=checkpoint_every, **how)


def train_step(
    model: nn.Module, optimizers: list[torch.optim.Optimizer], step: int, seed: int, recipe: Recipe
) -> float:
    """One optimizer step on the images of `step`; returns the loss, label-smoothed cross-entropy."""
    images, labels = batch(seed, step, recipe["batch_size"])
    logits = model.train()(as_input(images))  # (batch_size, classes)
    loss = F.cross_entropy(logits, torch.from_numpy(labels), label_smoothing=recipe["label_smoothing"])
    descend(model, optimizers, loss, learning_rate(step, recipe))
    return loss.item()


def held_out(seed: int, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Images (HELD_OUT, 32, 32, 3) uint8 and labels of the step after the last one, which no training step has seen."""
    return batch(seed, recipe["steps"], HELD_OUT)


@torch.inference_mode()
def accuracy(model: nn.Module, images: np.ndarray, labels: np.ndarray, batch_size: int = 250) -> float:
    """Share of images (n, 32, 32, 3) uint8 whose largest logit is the label's."""
    model.eval()
    starts = range(0, len(images), batch_size)
    predicted = torch.cat([model(as_input(images[start : start + batch_size])).argmax(1) for start in starts])  # (n,)
    return float((predicted.numpy() == labels).mean())
