"""Training that the mini models share: resumable with the same result as an uninterrupted run."""

import math
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from swsa_core.files.text import replacing, write_bytes, write_json

Recipe = dict[str, Any]  # of one model, as the tables RECIPES have it
Report = dict[str, Any]  # what the json beside the weights records


class Training(NamedTuple):
    """A model about to be trained.

    state: networks that a checkpoint holds, as one module; step(i) takes optimizer step i and returns its loss;
    shipped: the network whose weights are published; weights() returns them under the names they are published with;
    measure() returns what the record says of the shipped network.
    """

    state: nn.Module
    optimizers: list[torch.optim.Optimizer]
    step: Callable[[int], float]
    shipped: nn.Module
    weights: Callable[[], dict[str, torch.Tensor]]
    measure: Callable[[], Report]


def train(
    start: Callable[[], Training],
    identity: dict[str, Any],
    recipe: Recipe,
    out_dir: Path | str,
    seed: int = 0,
    threads: int = 1,
    log: Callable[[str], None] = print,
    progress: Callable[[int], None] | None = None,
    checkpoint_every: int = 100,
    prolongable: bool = False,
) -> Report:
    """Train the `Training` that start() makes; write `<model>.safetensors` (float16) and `<model>.json` to `out_dir`.

    identity: {"model": name, ...}, recorded with seed and recipe. A run goes on from a `<model>.checkpoint` of the same; as a
    step must be a function of (seed, step), it ends with the same bits as one that was never interrupted.
    prolongable: a step does not depend on the number of steps, so a checkpoint of a shorter recipe serves too.
    `progress` is called with the number of steps done after each step.
    Returns what the json holds. Raises FloatingPointError when the loss is no longer finite.
    """
    out_dir, name = Path(out_dir), identity["model"]
    out_dir.mkdir(parents=True, exist_ok=True)
    checkpoint = out_dir / f"{name}.checkpoint"
    identity = identity | {"seed": seed}
    agreed = {key: value for key, value in recipe.items() if not (prolongable and key == "steps")}
    with reproducible(seed, threads):
        training = start()
        losses, seconds = fit(
            training, recipe["steps"], identity | {"recipe": agreed}, checkpoint, checkpoint_every, log, progress
        )
        training.shipped.half()
        weights = {key: value.contiguous() for key, value in training.weights().items()}
        training.shipped.float()  # of the rounded values: what is measured is what is shipped
        report = identity | {
            "recipe": recipe,
            **training.measure(),
            "loss": downsampled(losses),
            "seconds": round(seconds),
            "hardware": hardware(threads),
        }
    publish(out_dir / name, weights, report)
    checkpoint.unlink(missing_ok=True)
    return report


def fit(
    training: Training,
    steps: int,
    identity: dict[str, Any],
    checkpoint: Path,
    checkpoint_every: int,
    log: Callable[[str], None] = print,
    progress: Callable[[int], None] | None = None,
) -> tuple[list[float], float]:
    """Take the steps of a `Training`; returns the loss of each step and the seconds taken.

    Every `checkpoint_every` steps its state goes to the file `checkpoint`; one of the same identity is gone on from.
    """
    name = identity["model"]
    losses, seconds = _resume(checkpoint, identity, steps, training, log)
    started = time.monotonic() - seconds
    for step in range(len(losses), steps):
        losses.append(training.step(step))
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(f"{name}: the loss is {losses[-1]} at step {step}; lower its learning_rate")
        if (step + 1) % checkpoint_every == 0:
            state = {"losses": losses, "seconds": time.monotonic() - started, "weights": training.state.state_dict()}
            state["optimizers"] = [optimizer.state_dict() for optimizer in training.optimizers]
            with replacing(checkpoint, checksum=False) as finished:
                torch.save(identity | state, finished)
            log(f"{name}: step {step + 1} of {steps}, loss {_mean(losses[-checkpoint_every:]):.3f}")
        if progress:
            progress(step + 1)
    return losses, time.monotonic() - started


def descend(model: nn.Module, optimizers: list[torch.optim.Optimizer], loss: torch.Tensor, rate: float) -> None:
    """One step of the optimizers at learning rate `rate` down the gradient of `loss`, clipped to norm 1."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
    model.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()


def learning_rate(step: int, recipe: Recipe) -> float:
    """Linear warm-up over `warmup_steps`, then half a cosine down to 0 at `steps` (Loshchilov and Hutter 2017)."""
    warmup, steps = recipe["warmup_steps"], recipe["steps"]
    if step < warmup:
        return recipe["learning_rate"] * (step + 1) / warmup
    return recipe["learning_rate"] * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def make_optimizers(model: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """AdamW without decay of norms and biases; Muon (Jordan et al. 2024) for the matrices of transformer blocks.

    The loss that vit_s has after 900 steps of AdamW alone (2.6, rates 1e-3 and 3e-3 tried) comes after 480 with Muon.
    """
    hidden = [p for name, p in model.named_parameters() if name.startswith("blocks.") and p.ndim == 2]
    others = [p for name, p in model.named_parameters() if not (name.startswith("blocks.") and p.ndim == 2)]
    decay, rate = recipe["weight_decay"], recipe["learning_rate"]
    groups = [
        {"params": [p for p in others if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=rate, fused=True)]
    if hidden:
        optimizers.append(torch.optim.Muon(hidden, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"))
    return optimizers


def as_input(images: np.ndarray) -> torch.Tensor:
    """Images (n, 32, 32, 3) uint8 as a network takes them: (n, 3, 32, 32) float32 in [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def downsampled(losses: list[float], points: int = 50) -> list[list[float]]:
    """The loss curve as at most `points` rows [steps done, mean loss since the row before]."""
    edges = [round(len(losses) * i / points) for i in range(points + 1)]
    return [[end, round(_mean(losses[start:end]), 4)] for start, end in pairwise(edges) if end > start]


def publish(stem: Path, weights: dict[str, torch.Tensor], report: Report) -> None:
    """Write `<stem>.safetensors`, a dict of tensors, and `<stem>.json`: weights to come, not results, without checksums."""
    write_bytes(stem.with_name(stem.name + ".safetensors"), save(weights), checksum=False)
    write_json(stem.with_name(stem.name + ".json"), report, checksum=False)


def hardware(threads: int) -> str:
    """What the training ran on, for its record."""
    return f"{os.cpu_count()} CPU cores ({platform.machine()}), {threads} used; torch {torch.__version__}"


def _resume(checkpoint, identity, steps, training, log):
    """Load a checkpoint of the same identity, if any; returns the losses and the seconds so far."""
    if checkpoint.exists():
        found = torch.load(checkpoint, weights_only=True)
        if {key: found[key] for key in identity} == identity and len(found["losses"]) <= steps:
            training.state.load_state_dict(found["weights"])
            for optimizer, state in zip(training.optimizers, found["optimizers"], strict=True):
                optimizer.load_state_dict(state)
            log(f"{identity['model']}: going on after step {len(found['losses'])} of an interrupted run")
            return found["losses"], found["seconds"]
        log(f"{checkpoint}: discarded, it is of another recipe or seed, or of more steps")
    return [], 0.0


@contextmanager
def reproducible(seed: int, threads: int) -> Iterator[None]:
    """A block with PyTorch's generator seeded and `threads` threads; both are restored afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before)


def _mean(values):
    return sum(values) / len(values)
