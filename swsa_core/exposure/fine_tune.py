"""Fine-tuning of a network on normal images and synthetic anomalies (Fort et al. 2021; Mirzaei et al. 2023; App. A.3).

A linear layer takes the place of the head and predicts whether an image is an anomaly, or how strong. All weights learn.
Afterwards the layer is dropped: what counts are the features before it.
"""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from swsa_core.basics.errors import InputError, is_out_of_memory
from swsa_core.candidates.backbone import Backbone

WEIGHT_DECAY = 0.01


class Examples(NamedTuple):
    """Transformed images (n, crop, crop, 3) uint8, and what is to be predicted (n,): 0 of normal ones, up to 1 of others."""

    images: np.ndarray
    targets: np.ndarray


class Tuned(NamedTuple):
    """What a training did.

    learnt, held_out: the loss of each epoch on the images it learns from, and after it on those that stop it (none: empty).
    best: epoch whose weights were kept. predict: function of n images to the predictions (n,).
    """

    learnt: list[float]
    held_out: list[float]
    best: int
    predict: Callable[[np.ndarray], np.ndarray]


@contextmanager
def fine_tuned(
    backbone: Backbone,
    examples: Examples,
    stopping: Examples,
    exposure: Mapping[str, Any],
    generator: np.random.Generator,
) -> Iterator[Tuned]:
    """A block in which `backbone` is fine-tuned; afterwards it is as before, so that each training begins at the same weights.

    stopping: those by whose loss the best epoch is told, or none. exposure: the config's section. generator: of the order of
    images, nothing else is random: the new layer begins at 0, dropout is off, and batch norms keep their statistics.
    Raises InputError for a loss that is not finite, and for memory too small for a batch.
    """
    network = backbone.network
    if network is None:
        raise InputError(f"{backbone.name}: a descriptor cannot be fine-tuned: take a network")
    before = copy.deepcopy(network.module.state_dict())
    try:
        try:
            tuned = _trained(backbone, examples, stopping, exposure, generator)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise InputError(
                f"{backbone.name}: memory is too small to train on {exposure['batch_size']} images: lower exposure.batch_size"
            ) from error
        yield tuned
    finally:
        network.module.load_state_dict(before)
        network.module.requires_grad_(False)


def _trained(backbone, examples, stopping, exposure, generator):
    """`Tuned`, with the weights of the best epoch in the network."""
    features = _outputs(backbone, examples.images, exposure["batch_size"])
    model, step, predict = learner(backbone, examples, exposure, float(np.sqrt(np.square(features).mean())) or 1.0)
    learnt, held_out = [], []
    best, kept, balance = 0, None, _balanced(stopping.targets) if len(stopping.targets) else None
    for epoch in range(exposure["epochs"]):
        learnt.append(step(generator.permutation(len(examples.targets))))
        if not math.isfinite(learnt[-1]):
            raise InputError(
                f"{backbone.name}: the loss of fine-tuning is {learnt[-1]} in epoch {epoch + 1}: lower exposure.learning_rate, "
                f"which is {exposure['learning_rate']:g}"
            )
        if balance is None:
            best = epoch
            continue
        held_out.append(_loss(predict(stopping.images), stopping.targets, balance, exposure["task"]))
        if held_out[-1] < min(held_out[:-1], default=math.inf):
            best, kept = epoch, copy.deepcopy(model.state_dict())
        elif epoch - best >= exposure["patience"]:
            break
    if kept is not None:
        model.load_state_dict(kept)
    return Tuned(learnt, held_out, best, predict)


def learner(
    backbone: Backbone, examples: Examples, exposure: Mapping[str, Any], scale: float
) -> tuple[Any, Callable[[np.ndarray], float], Callable[[np.ndarray], np.ndarray]]:
    """(network and new layer as one module, function of the order of images that learns from each once and returns their mean
    loss, `predict` of `Tuned`). scale: the size of the features before, which they are divided by."""
    import torch
    from torch import nn

    from swsa_core.basics.devices import exact_float32
    from swsa_core.mini.training import descend

    size, rate, network, run = exposure["batch_size"], exposure["learning_rate"], backbone.network, backbone.run
    assert network is not None and run is not None  # as `fine_tuned` refuses a descriptor
    layer = nn.Linear(backbone.feature_size, 1).to(next(network.module.parameters()).device)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    network.module.requires_grad_(True)
    model = nn.ModuleList([network.module, layer])
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=WEIGHT_DECAY)
    balance = _balanced(examples.targets)

    def forward(images):
        return layer(network.forward(images).float() / scale)[:, 0]  # (n,)

    def step(order):
        total = 0.0
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            with exact_float32():
                predictions = run(forward, examples.images[rows])
                loss = _losses(predictions, examples.targets[rows], balance[rows], exposure["task"]).mean()
                descend(model, [optimizer], loss, rate)
            total += float(loss.detach()) * len(rows)
        return total / len(order)

    return model, step, lambda images: _outputs(backbone, images, size, forward)


def _losses(predictions, targets, balance, task):
    """Loss (n,) of each prediction: cross-entropy of a classification, the square of a regression's error."""
    import torch
    from torch.nn import functional

    targets, balance = (torch.from_numpy(values).to(predictions.device) for values in (targets, balance))
    if task == "classification":
        return balance * functional.binary_cross_entropy_with_logits(predictions.float(), targets, reduction="none")
    return balance * (predictions.float() - targets) ** 2


def _loss(predictions, targets, balance, task):
    import torch

    return float(_losses(torch.from_numpy(predictions), targets, balance, task).mean())


def _balanced(targets):
    """Weights (n,) float32 of mean 1 by which normal images and anomalies count the same together, however many there are."""
    anomalous = targets != 0
    share = anomalous.mean()
    if share in (0, 1):
        return np.ones(len(targets), np.float32)
    return np.where(anomalous, 0.5 / share, 0.5 / (1 - share)).astype(np.float32)


def _outputs(backbone, images, size, forward=None):
    """What a forward pass returns of n images, (n, d) float32, without gradients; of the network's own where none is given."""
    from swsa_core.basics.devices import inference

    run = inference(forward or backbone.network.forward)
    parts = [
        backbone.run(run, images[start : start + size]).float().cpu().numpy() for start in range(0, len(images), size)
    ]
    return np.concatenate(parts)
