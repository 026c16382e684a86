"""Deterministic DDIM (Song et al. 2021, eta = 0) as InjectFusion runs it: inversion, reconstruction, asymmetric step.

`x` is float32 whatever the network's precision; the schedule is computed in float64. Nothing is clipped.
diffusers' schedulers are not used: they take other timesteps, and one step cannot hold two noise predictions.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

import numpy as np
import torch

from swsa_core.basics.devices import inference
from swsa_core.diffusion.batches import BatchSize, counted, in_batches
from swsa_core.diffusion.hspace import UNet, decode, encode

Edit = Callable[[torch.Tensor, int], torch.Tensor]  # edit(h, t): the bottleneck h at timestep t, edited

# Products of 1 - beta_t, t = 0 .. 999; the appended 1 is the clean image's, reached as index -1.
ALPHA_BAR = np.append(np.cumprod(1 - np.linspace(1e-4, 0.02, 1000)), 1.0).tolist()


class Inversion(NamedTuple):
    """Images inverted by DDIM: their noise, and the bottlenecks on the way there."""

    x_T: torch.Tensor  # (n, 3, H, W) float32
    h: torch.Tensor  # (steps - 1, n, C, h, w) float32; h[k] belongs to timesteps[k]
    timesteps: list[int]  # increasing, `steps` many; the last has no h

    def pick(self, rows: slice | Sequence[int]) -> "Inversion":
        """The inversion of some of the images: a slice or row numbers."""
        return self._replace(x_T=self.x_T[rows], h=self.h[:, rows])


def timesteps(steps: int) -> list[int]:
    """The `steps` timesteps from 0 to 999, both included, truncated as the official code does.

    >>> timesteps(5)
    [0, 249, 499, 749, 999]
    """
    if steps < 2:
        raise ValueError(f"expected at least 2 diffusion steps, received {steps}")
    return [int(s + 1e-6) for s in np.linspace(0, 1, steps) * 999]


def reverse_steps(steps: int) -> list[tuple[int, int]]:
    """Pairs (t, next t) of generation, from (999, ...) to (0, -1)."""
    sequence = timesteps(steps)
    return list(pairwise([*reversed(sequence), -1]))


def ddim_step(
    x: torch.Tensor,
    eps: torch.Tensor,
    t: int,
    t_next: int,
    eps_edited: torch.Tensor | None = None,
    dt_lambda: float = 1.0,
) -> torch.Tensor:
    """x at `t_next` (n, 3, H, W) from x at `t`: Eq. 2, x' = sqrt(a') P_t(eps_edited) + sqrt(1 - a') eps.

    eps_edited: the prediction under an edited h that enters P_t, the predicted image; None: eps itself (plain DDIM).
    dt_lambda: factor of the second term, D_t, where t >= 950 (Jeong et al. 2024).
    """
    a_next = ALPHA_BAR[t_next]
    direction = sqrt(1 - a_next) * (dt_lambda if t >= 950 else 1.0)
    return sqrt(a_next) * predicted_image(x, eps if eps_edited is None else eps_edited, t) + direction * eps


def predicted_image(x: torch.Tensor, eps: torch.Tensor, t: int) -> torch.Tensor:
    """P_t, the clean image (n, 3, H, W) that x at `t` and the noise eps in it make."""
    a = ALPHA_BAR[t]
    return (x - sqrt(1 - a) * eps) / sqrt(a)


def asymmetric_step(
    unet: UNet, x: torch.Tensor, t: int, t_next: int, edit: Edit | None = None, dt_lambda: float = 1.0
) -> torch.Tensor:
    """x at `t_next` with `edit(h, t)` in place of the bottleneck h (n, C, h, w) of x (n, 3, H, W); None: a plain step.

    The edited h may have a multiple of n rows, n-row blocks that all continue x; so has the result.
    Encoder and mid block run once, both decoder passes in one batch.
    """
    h, skips, embedding = encode(unet, x, t)
    if edit is None:
        return ddim_step(x, decode(unet, h, skips, embedding), t, t_next, dt_lambda=dt_lambda)
    edited = edit(h.float(), t).to(h.dtype)
    if t_next < 0:  # the plain prediction has weight zero
        return ddim_step(x, decode(unet, edited, skips, embedding), t, t_next)
    eps, eps_edited = decode(unet, torch.cat([h, edited]), skips, embedding).split([len(h), len(edited)])
    return ddim_step(x, eps, t, t_next, eps_edited, dt_lambda)


@inference
def invert(
    unet: UNet,
    images: torch.Tensor,
    steps: int,
    batch_size: int | BatchSize | None = None,
    progress: Callable[[float], None] | None = None,
) -> Inversion:
    """DDIM inversion of images (n, 3, H, W) in [-1, 1]: an `Inversion`, with h from the same `steps` - 1 network calls.

    The prediction is taken at the current, less noisy step, and an image counts as x at timestep 0 (Jeong et al. 2024).
    progress: called with the number of images done, see `counted`. Raises FloatingPointError for an overflow.
    """
    sequence = timesteps(steps)
    images = on_device(unet, images)

    def run(rows):
        x, hs = images[rows], []
        for t, t_next in counted(list(pairwise(sequence)), rows, progress):
            h, skips, embedding = encode(unet, x, t)
            x = ddim_step(x, decode(unet, h, skips, embedding), t, t_next)
            hs.append(h.float())
        return x, torch.stack(hs)  # (b, 3, H, W), (steps - 1, b, C, h, w)

    x, h = zip(*in_batches(run, unet, images, batch_size), strict=True)
    return Inversion(finite(unet, torch.cat(x)), torch.cat(h, dim=1), sequence)


@inference
def reconstruct(
    unet: UNet,
    x_T: torch.Tensor,
    steps: int,
    batch_size: int | BatchSize | None = None,
    progress: Callable[[float], None] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Plain DDIM generation from x_T (n, 3, H, W): images (n, 3, H, W), and h (steps, n, C, h, w) in decreasing t.

    progress: as in `invert`. Raises FloatingPointError for an overflow.
    """
    x_T = on_device(unet, x_T)

    def run(rows):
        x, hs = x_T[rows], []
        for t, t_next in counted(reverse_steps(steps), rows, progress):
            h, skips, embedding = encode(unet, x, t)
            x = ddim_step(x, decode(unet, h, skips, embedding), t, t_next)
            hs.append(h.float())
        return x, torch.stack(hs)

    x, h = zip(*in_batches(run, unet, x_T, batch_size), strict=True)
    return finite(unet, torch.cat(x)), torch.cat(h, dim=1)


def finite(unet: UNet, x: torch.Tensor) -> torch.Tensor:
    """x itself, made by `unet`. Raises FloatingPointError where it holds a number that is not finite."""
    if not x.isfinite().all():
        raise FloatingPointError(f"the network's values overflow in {unet.conv_in.weight.dtype}: use float32")
    return x


def on_device(unet: UNet, images: torch.Tensor) -> torch.Tensor:
    """`images` (n, 3, H, W) float32 on the network's device. Raises ValueError for another shape or integer pixels."""
    images = torch.as_tensor(images)
    if images.ndim != 4 or images.shape[1] != 3 or not len(images) or not images.is_floating_point():
        raise ValueError(
            f"expected a batch of float images (n, 3, H, W), received {tuple(images.shape)} of {images.dtype}"
        )
    return images.to(unet.conv_in.weight.device, torch.float32)


def inversion_on_device(unet: UNet, inversion: Inversion) -> Inversion:
    """`inversion` on the network's device."""
    x_T = on_device(unet, inversion.x_T)
    return inversion._replace(x_T=x_T, h=inversion.h.to(x_T))
