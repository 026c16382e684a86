"""Training of a Δh towards a text: Asyrp's procedure (Kwon et al. 2023) with the directional loss of App. A.2.

A step of the optimiser is one timestep of one image. Its gradient goes through one pass of the decoder, to h alone, as x is
detached at every timestep: memory does not grow with their number. The unedited way of an image, which the loss compares the
edited one with, does not depend on Δh and is an input.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch.nn import functional as F

from swsa_core.basics.devices import exact_float32, inference
from swsa_core.diffusion.batches import BatchSize, counted, in_batches
from swsa_core.diffusion.ddim import ALPHA_BAR, ddim_step, finite, on_device, predicted_image, reverse_steps
from swsa_core.diffusion.delta_h import DeltaH
from swsa_core.diffusion.hspace import UNet, at_least_float32, decode, encode

Encoder = Callable[[torch.Tensor], torch.Tensor]
"""E_I, images (n, 3, H, W) in [-1, 1] to unit vectors (n, d), through which gradients flow."""


class Way(NamedTuple):
    """One image and its unedited generation."""

    image: torch.Tensor  # (1, 3, H, W) in [-1, 1]
    x_T: torch.Tensor  # (1, 3, H, W)
    predicted: torch.Tensor  # (k, 3, H, W): P_t at the k timesteps of `edited_steps`


class Target(NamedTuple):
    """What a Δh is trained for.

    encoder: E_I. text: E_T(y_aux), a unit vector (d,). l1_weight: of the distance to the unedited images. steps, t_edit: of
    generation, and the lowest timestep that is edited.
    """

    encoder: Encoder
    text: torch.Tensor
    l1_weight: float
    steps: int
    t_edit: int


def edited_steps(steps: int, t_edit: int) -> list[tuple[int, int]]:
    """Pairs (t, next t) of generation at which h is edited, decreasing.

    >>> edited_steps(5, 500)
    [(999, 749), (749, 499)]
    """
    return [(t, t_next) for t, t_next in reverse_steps(steps) if t >= t_edit]


@inference
def unedited(
    unet: UNet,
    x_T: torch.Tensor,
    steps: int,
    t_edit: int,
    batch_size: int | BatchSize | None = None,
    progress: Callable[[float], None] | None = None,
) -> torch.Tensor:
    """P_t (n, k, 3, H, W) float32 of plain generation from x_T (n, 3, H, W), at the k timesteps of `edited_steps`."""
    x_T = on_device(unet, x_T)

    def run(rows):
        x, found = x_T[rows], []
        for t, t_next in counted(edited_steps(steps, t_edit), rows, progress):
            eps = decode(unet, *encode(unet, x, t))
            found.append(predicted_image(x, eps, t))
            x = ddim_step(x, eps, t, t_next)
        return torch.stack(found, dim=1)  # (b, k, 3, H, W)

    return finite(unet, torch.cat(list(in_batches(run, unet, x_T, batch_size))))


def direction_loss(edited: torch.Tensor, source: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """L'_dir (n,), 1 - cos(E_I(edited) - E_I(source), E_T(text) - E_I(source)), of unit vectors (n, d), (n, d) and (d,)."""
    return 1 - F.cosine_similarity(edited - source, text - source)


def loss_of(edited: torch.Tensor, predicted: torch.Tensor, source: torch.Tensor, target: Target) -> torch.Tensor:
    """L'_dir + l1_weight * L1, a number, of P_t edited and unedited (n, 3, H, W); source: E_I of the images (n, d)."""
    directional = direction_loss(target.encoder(edited), source, target.text)
    return (directional + target.l1_weight * (edited - predicted).abs().mean((1, 2, 3))).mean()


def edited_image(unet: UNet, delta_h: DeltaH, x: torch.Tensor, t: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(P_t with Δh added to h, which a gradient to Δh leads back from; the plain eps), both (n, 3, H, W), of x at t."""
    with torch.no_grad():
        h, skips, embedding = encode(unet, x, t)
        eps = decode(unet, h, skips, embedding)
    h = at_least_float32(h)
    edited = (h + delta_h(h, at_least_float32(embedding))).to(skips[-1].dtype)
    return predicted_image(x, decode(unet, edited, skips, embedding), t), eps


@exact_float32()
def train_on(unet: UNet, delta_h: DeltaH, optimizer: torch.optim.Optimizer, way: Way, target: Target) -> float:
    """One step of the optimiser at each edited timestep of one image; returns their mean loss.

    Raises FloatingPointError at a loss that is not finite, before it changes Δh.
    """
    with torch.no_grad():
        source = target.encoder(way.image)
    x, losses = way.x_T, []
    for (t, t_next), predicted in zip(edited_steps(target.steps, target.t_edit), way.predicted, strict=True):
        edited, eps = edited_image(unet, delta_h, x, t)
        loss = loss_of(edited, predicted[None], source, target)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(f"the loss is {losses[-1]}")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        x = math.sqrt(ALPHA_BAR[t_next]) * edited.detach() + math.sqrt(1 - ALPHA_BAR[t_next]) * eps
    return sum(losses) / len(losses)


def fit(
    unet: UNet,
    delta_h: DeltaH,
    optimizer: torch.optim.Optimizer,
    way: Callable[[int], Way],
    orders: Sequence[Sequence[int]],
    target: Target,
    losses: list[float],
) -> Iterator[list[float]]:
    """Train Δh on images in turn; yields the losses so far after each image.

    way: function of an image's number. orders: of each epoch, the numbers of the images as they come. losses: of the images
    that Δh and the optimiser have seen in an earlier run, in that order.
    """
    coming = [image for order in orders for image in order]
    for image in coming[len(losses) :]:
        losses = [*losses, train_on(unet, delta_h, optimizer, way(image), target)]
        yield losses
