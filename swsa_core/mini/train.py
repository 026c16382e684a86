"""Training of the mini classifiers on procedural images, resumable with the same result as an uninterrupted run."""

import math
import os
import platform
import time
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save

from swsa_core.mini.architectures import build, count_parameters
from swsa_core.mini.procedural import batch
from swsa_core.store import write_json

_COMMON = {"batch_size": 64, "weight_decay": 0.05, "label_smoothing": 0.1, "warmup_steps": 200}
RECIPES = {
    "resnet_s": {**_COMMON, "steps": 3000, "learning_rate": 4e-3},
    "resnet_m": {**_COMMON, "steps": 2500, "learning_rate": 2e-3},
    "vit_s": {**_COMMON, "steps": 3000, "learning_rate": 3e-3},
    "vit_m": {**_COMMON, "steps": 2000, "learning_rate": 2e-3},
}
HELD_OUT = 2000


def train(name, out_dir, seed=0, threads=1, log=print, progress=None, recipe=None, checkpoint_every=200):
    """Train the mini model `name`; write `<name>.safetensors` (float16, head included) and `<name>.json` to `out_dir`.

    The images of a step are a function of (seed, step), so a run that goes on from `<name>.checkpoint` ends with the
    same bits as one that was never interrupted. `progress` is called with the number of steps done after each step.
    recipe: a dict like those of `RECIPES`, by default the model's own.
    Returns what the json holds. Raises FloatingPointError when the loss is no longer finite.
    """
    out_dir, recipe = Path(out_dir), recipe or RECIPES[name]
    out_dir.mkdir(parents=True, exist_ok=True)
    checkpoint = out_dir / f"{name}.checkpoint"
    identity = {"model": name, "seed": seed, "recipe": recipe}
    with reproducible(seed, threads):
        model = build(name).to(memory_format=torch.channels_last)
        optimizers = make_optimizers(model, recipe)

        def one_step(step):
            return train_step(model, optimizers, step, seed, recipe)

        losses, seconds = fit(
            model, optimizers, one_step, recipe["steps"], identity, checkpoint, checkpoint_every, log, progress
        )
        model.half()
        weights = {key: value.contiguous() for key, value in model.state_dict().items()}
        model.float()  # of the rounded values: what is measured is what is shipped
        report = identity | {
            "n_parameters": count_parameters(model),
            "accuracy": accuracy(model, *held_out(seed, recipe)),
            "held_out": HELD_OUT,
            "loss": downsampled(losses),
            "seconds": round(seconds),
            "hardware": hardware(threads),
        }
    publish(out_dir / name, weights, report)
    checkpoint.unlink(missing_ok=True)
    return report


def fit(model, optimizers, train_step, steps, identity, checkpoint, checkpoint_every, log=print, progress=None):
    """Call train_step(step) -> loss for every step; returns the loss of each step and the seconds taken.

    Every `checkpoint_every` steps the state of `model` and `optimizers` goes to the file `checkpoint`; one of the same
    identity, {"model": name, ...}, is gone on from.
    """
    name = identity["model"]
    losses, seconds = _resume(checkpoint, identity, steps, model, optimizers, log)
    started = time.monotonic() - seconds
    for step in range(len(losses), steps):
        losses.append(train_step(step))
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(f"{name}: the loss is {losses[-1]} at step {step}; lower its learning_rate")
        if (step + 1) % checkpoint_every == 0:
            state = {"losses": losses, "seconds": time.monotonic() - started, "weights": model.state_dict()}
            state["optimizers"] = [optimizer.state_dict() for optimizer in optimizers]
            _atomically(checkpoint, partial(torch.save, identity | state))
            log(f"{name}: step {step + 1} of {steps}, loss {_mean(losses[-checkpoint_every:]):.3f}")
        if progress:
            progress(step + 1)
    return losses, time.monotonic() - started


def train_step(model, optimizers, step, seed, recipe):
    """One optimizer step on the images of `step`; returns the loss, label-smoothed cross-entropy."""
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        group["lr"] = learning_rate(step, recipe)
    images, labels = batch(seed, step, recipe["batch_size"])
    logits = model.train()(as_input(images))  # (batch_size, classes)
    loss = F.cross_entropy(logits, torch.from_numpy(labels), label_smoothing=recipe["label_smoothing"])
    model.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
    return loss.item()


def learning_rate(step, recipe):
    """Linear warm-up over `warmup_steps`, then half a cosine down to 0 at `steps` (Loshchilov and Hutter 2017)."""
    warmup, steps = recipe["warmup_steps"], recipe["steps"]
    if step < warmup:
        return recipe["learning_rate"] * (step + 1) / warmup
    return recipe["learning_rate"] * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def make_optimizers(model, recipe):
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
    optimizers = [torch.optim.AdamW(groups, lr=rate, fused=True)]
    if hidden:
        optimizers.append(torch.optim.Muon(hidden, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"))
    return optimizers


def held_out(seed, recipe):
    """Images (HELD_OUT, 32, 32, 3) uint8 and labels of the step after the last one, which no training step has seen."""
    return batch(seed, recipe["steps"], HELD_OUT)


@torch.inference_mode()
def accuracy(model, images, labels, batch_size=250):
    """Share of images (n, 32, 32, 3) uint8 whose largest logit is the label's."""
    model.eval()
    starts = range(0, len(images), batch_size)
    predicted = torch.cat([model(as_input(images[start : start + batch_size])).argmax(1) for start in starts])  # (n,)
    return float((predicted.numpy() == labels).mean())


def as_input(images):
    """Images (n, 32, 32, 3) uint8 as a network takes them: (n, 3, 32, 32) float32 in [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def downsampled(losses, points=50):
    """The loss curve as at most `points` rows [steps done, mean loss since the row before]."""
    edges = [round(len(losses) * i / points) for i in range(points + 1)]
    return [[end, round(_mean(losses[start:end]), 4)] for start, end in pairwise(edges) if end > start]


def publish(stem, weights, report):
    """Write `<stem>.safetensors`, a dict of tensors, and `<stem>.json`."""
    _atomically(stem.with_name(stem.name + ".safetensors"), lambda path: path.write_bytes(save(weights)))
    write_json(stem.with_name(stem.name + ".json"), report)


def hardware(threads):
    """What the training ran on, for its record."""
    return f"{os.cpu_count()} CPU cores ({platform.machine()}), {threads} used; torch {torch.__version__}"


def _resume(checkpoint, identity, steps, model, optimizers, log):
    """Load a checkpoint of the same identity, if any; returns the losses and the seconds so far."""
    if checkpoint.exists():
        found = torch.load(checkpoint, weights_only=True)
        if {key: found[key] for key in identity} == identity and len(found["losses"]) <= steps:
            model.load_state_dict(found["weights"])
            for optimizer, state in zip(optimizers, found["optimizers"], strict=True):
                optimizer.load_state_dict(state)
            log(f"{identity['model']}: going on after step {len(found['losses'])} of an interrupted run")
            return found["losses"], found["seconds"]
        log(f"{checkpoint}: discarded, it is of another recipe or seed, or of more steps")
    return [], 0.0


def _atomically(path, save):
    temporary = path.with_name(path.name + ".tmp")
    save(temporary)
    os.replace(temporary, path)


@contextmanager
def reproducible(seed, threads):
    """A block with PyTorch's generator seeded and `threads` threads, both as before afterwards."""
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
