"""Δh, the direction in h-space that a network reads off h and the timestep (Kwon et al. 2023)."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from swsa_core.diffusion.ddim import Edit
from swsa_core.diffusion.hspace import UNet, embed_timestep


class DeltaH(nn.Module):
    """Asyrp's block for ADM: two 1 x 1 convolutions behind group norm and SiLU, and the timestep between; no residual.

    channels: C of h; embedding: D of the timestep's embedding; groups: of the norms.
    """

    def __init__(self, channels: int, embedding: int, groups: int = 32) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(groups, channels), nn.GroupNorm(groups, channels)
        self.conv1, self.conv2 = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)
        self.timestep = nn.Linear(embedding, channels)

    def forward(self, h: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """Δh (n, C, h, w) of bottlenecks h (n, C, h, w) and the timestep's embedding (1, D) after its activation."""
        x = self.conv1(F.silu(self.norm1(h)))
        x = x + self.timestep(embedding)[:, :, None, None]
        return self.conv2(F.silu(self.norm2(x)))  # (n, C, h, w)


def delta_h_for(unet: UNet, seed: int = 0) -> DeltaH:
    """A `DeltaH` in the widths of a network and on its device, float32, with random weights drawn from `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        block = DeltaH(
            unet.mid_block.resnets[-1].out_channels,
            unet.time_embedding.linear_2.out_features,
            unet.config.norm_num_groups,
        )
    return block.to(unet.conv_in.weight.device)


def as_edit(unet: UNet, delta_h: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Edit:
    """A `DeltaH` as a function of h (n, C, h, w) float32 and the timestep t."""
    return lambda h, t: delta_h(h, embed_timestep(unet, t).float())
