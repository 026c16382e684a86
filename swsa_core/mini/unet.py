"""The mini diffusion model: an ADM-style UNet at 32 px, trained on procedural images, in guided-diffusion's format."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from swsa_core.basics.seeding import rng as named_rng
from swsa_core.diffusion.adm import build_adm, original_parameters
from swsa_core.diffusion.ddim import ALPHA_BAR
from swsa_core.files.diffusion_flags import adm_arguments
from swsa_core.files.drawings import draw, draw_plain
from swsa_core.mini import training
from swsa_core.mini.training import Recipe, Report, Training, as_input, descend

UNet = Any  # a UNet2DModel, which diffusers imports late and so hides from type checkers

# Arguments of guided-diffusion, for `load_adm`: 0.98 million parameters, 0.36 GFLOP an image and pass.
CONFIGS = {
    "adm_32": {
        "image_size": 32,
        "num_channels": 32,
        "num_res_blocks": 1,
        "channel_mult": "1,1,2",
        "num_head_channels": 32,
        "attention_resolutions": "8",
        "resblock_updown": True,
        "use_scale_shift_norm": True,
        "learn_sigma": False,
    },
}
# The rate stays constant after the warm-up and the average is what counts, so a shorter run is a part of a longer one.
RECIPES = {
    "adm_32": {
        "steps": 1750,
        "batch_size": 32,
        "learning_rate": 1.5e-3,
        "warmup_steps": 100,
        "weight_decay": 0.01,
        "average_decay": 0.998,
        "plain_share": 0.5,
        # Weights: see `weighted_error`. First the noise, then rather what the image shows, then that from the bottleneck.
        "stages": [
            {"from": 0, "weights": [1.0, 30.0], "dropped_skips": 0.0},
            {"from": 650, "weights": [0.2, 300.0], "dropped_skips": 0.0},
            {"from": 1050, "weights": [0.2, 300.0], "dropped_skips": 0.5},
        ],
    },
}
HELD_OUT = 500


def train(name: str, out_dir: Path | str, seed: int = 0, recipe: Recipe | None = None, **how: Any) -> Report:
    """Train the diffusion model `name` and ship the average of its weights; for files, `how` and errors see `training.train`.

    recipe: like `RECIPES[name]`, the default. A run also goes on where `steps` was raised since.
    """
    config, recipe = CONFIGS[name], recipe or RECIPES[name]

    def start():
        unet = zero_outputs(build_adm(config))
        average = AveragedModel(unet, avg_fn=moving_average(recipe["average_decay"]), use_buffers=True)
        optimizer = torch.optim.AdamW(
            unet.parameters(), lr=recipe["learning_rate"], weight_decay=recipe["weight_decay"], fused=True
        )

        def measure():
            loss = held_out_loss(average.module, seed, recipe)
            return {
                "n_parameters": sum(parameter.numel() for parameter in unet.parameters()),
                "held_out_loss": loss,
                "held_out": HELD_OUT,
            }

        return Training(
            state=nn.ModuleList([unet, average]),
            optimizers=[optimizer],
            step=lambda step: train_step(unet, average, optimizer, step, seed, recipe),
            shipped=average.module,
            weights=lambda: original_state(average.module, config),
            measure=measure,
        )

    return training.train(start, {"model": name, "config": config}, recipe, out_dir, seed, prolongable=True, **how)


def train_step(
    unet: UNet, average: AveragedModel, optimizer: torch.optim.Optimizer, step: int, seed: int, recipe: Recipe
) -> float:
    """One optimizer step on the images of `step`; returns its loss."""
    now = stage(step, recipe)
    x, timesteps, noise = noised(*batch(seed, step, recipe["batch_size"], recipe["plain_share"]))
    kept = named_rng(seed, "dropped skips", str(step)).random(len(x)) >= now["dropped_skips"]  # (n,)
    with skips_times(unet, torch.from_numpy(kept).float()):
        loss = weighted_error(unet.train(), x, timesteps, noise, *now["weights"])
    descend(unet, [optimizer], loss, recipe["learning_rate"] * min((step + 1) / recipe["warmup_steps"], 1))
    average.update_parameters(unet)
    return loss.item()


def batch(seed: int, step: int, n: int, plain_share: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The batch of one training step, a function of its arguments: images, timesteps and noise.

    Images (n, 32, 32, 3) uint8, a share of them `draw_plain`'s; timesteps (n,) int64, one of each n-th part of the
    schedule; noise (n, 3, 32, 32) float32.
    """
    rng = named_rng(seed, "diffusion batch", str(step))
    images = [draw_plain(rng) if rng.random() < plain_share else draw(rng)[0] for _ in range(n)]
    timesteps = ((np.arange(n) + rng.random(n)) / n * 1000).astype(np.int64)
    return np.stack(images), timesteps, rng.standard_normal((n, 3, 32, 32), dtype=np.float32)


def noised(
    images: np.ndarray, timesteps: np.ndarray, noise: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """x_t (n, 3, 32, 32) of images (n, 32, 32, 3) uint8 (Ho et al. 2020, Eq. 4); the timesteps and the noise, as tensors."""
    t, added = torch.from_numpy(timesteps), torch.from_numpy(noise)
    alpha_bar = torch.tensor(ALPHA_BAR)[t, None, None, None]  # (n, 1, 1, 1)
    return alpha_bar.sqrt() * as_input(images) + (1 - alpha_bar).sqrt() * added, t, added


def stage(step: int, recipe: Recipe) -> dict[str, Any]:
    """The stage of the recipe that training step `step` belongs to."""
    return next(part for part in reversed(recipe["stages"]) if step >= part["from"])


@contextmanager
def skips_times(unet: UNet, factors: torch.Tensor) -> Iterator[None]:
    """A block in which the skips below full resolution are multiplied by `factors` (n,), one for each image.

    Without skips the decoder must take what the image shows from the bottleneck. A network trained for minutes finds
    the way through the skips first and hardly looks at h, which then would not change what is generated.
    """

    def scaled(block, arguments):
        h, skips, *others = arguments
        return h, tuple(skip * factors[:, None, None, None] for skip in skips), *others

    handles = [block.register_forward_pre_hook(scaled) for block in unet.up_blocks[:-1]]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def weighted_error(
    unet: UNet, x: torch.Tensor, timesteps: torch.Tensor, noise: torch.Tensor, smallest: float, largest: float
) -> torch.Tensor:
    """Mean squared error of the noise that `unet` predicts in x (n, 3, 32, 32), weighted by 1 / SNR(t).

    So weighted it is the error of the predicted image; the weight is cut to smallest .. largest (truncated SNR weights,
    Salimans and Ho 2022). With equal weights, generation stays too coarse at its start in so short a training.
    """
    alpha_bar = torch.tensor(ALPHA_BAR)[timesteps]  # (n,)
    weights = ((1 - alpha_bar) / alpha_bar).clamp(smallest, largest)  # (n,)
    errors = (unet(x, timesteps).sample[:, :3] - noise).square().mean((1, 2, 3))  # (n,)
    return (weights * errors).mean()


@torch.no_grad()
def held_out_loss(unet: UNet, seed: int, recipe: Recipe, batch_size: int = 50) -> float:
    """The loss on HELD_OUT images that no training step with this seed has seen."""
    drawn = noised(*batch(seed, -1, HELD_OUT, recipe["plain_share"]))
    parts = zip(*(values.split(batch_size) for values in drawn), strict=True)
    losses = [weighted_error(unet.eval(), *part, *stage(recipe["steps"], recipe)["weights"]) for part in parts]
    return round(float(torch.stack(losses).mean()), 5)


def moving_average(decay: float) -> Callable[[torch.Tensor, torch.Tensor, Any], torch.Tensor]:
    """An exponential moving average for `AveragedModel` whose decay rises from 0.1 to `decay` over its first updates."""

    def average(averaged, current, n_averaged):
        return averaged.lerp(current, 1 - min(decay, (1 + float(n_averaged)) / (10 + float(n_averaged))))

    return average


def zero_outputs(unet: UNet) -> UNet:
    """`unet` with the last layer of every residual branch and of the whole at zero, as guided-diffusion starts."""
    for name, layer in unet.named_modules():
        if name.endswith(("conv2", "to_out.0", "conv_out")):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
    return unet


def original_state(unet: UNet, config: dict[str, Any]) -> dict[str, torch.Tensor]:
    """State dict of guided-diffusion's UNetModel, the inverse of `adm.convert`, from a `UNet2DModel` of `config`."""
    arguments, state = adm_arguments(config), unet.state_dict()
    parts: dict[str, tuple[tuple[int, ...], list[torch.Tensor]]] = {}
    for name, (key, shape) in original_parameters(unet, arguments).items():  # q, k and v in this order
        parts.setdefault(key, (shape, []))[1].append(state[name])
    return {key: _joined(tensors, arguments).reshape(shape).contiguous() for key, (shape, tensors) in parts.items()}


def _joined(tensors, arguments):
    """One tensor, or q, k and v as rows grouped [head][q, k, v][channel]."""
    if len(tensors) == 1:
        return tensors[0]
    return torch.stack([tensor.unflatten(0, (-1, arguments["head_channels"])) for tensor in tensors], dim=1).flatten(
        0, 2
    )
