"""Δh, the direction in h-space that a network reads off h and the timestep (Kwon et al. 2023)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn
from torch.nn import functional as F

from swsa_core.diffusion.ddim import Edit
from swsa_core.diffusion.hspace import UNet, embed_timestep
from swsa_core.files import checksums
from swsa_core.files.provenance import tensors_sha256
from swsa_core.files.text import write_bytes
from swsa_core.files.weights import load_weights


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


def write_delta_h(path: Path | str, delta_h: DeltaH, made: Any, checksum: bool = True) -> None:
    """Write a `DeltaH` as safetensors, whole or not at all; made: what the file says of it, JSON-serialisable.

    checksum: False for what is no result.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in delta_h.state_dict().items()}
    # one entry alone: safetensors writes several in any order, and the same file would differ from run to run
    write_bytes(path, save(state, {"made": json.dumps(made, sort_keys=True)}), checksum)


def read_delta_h(path: Path | str, unet: UNet) -> DeltaH:
    """The `DeltaH` of a file, for the h of `unet`. Raises InputError where it is damaged or of another network."""
    checksums.verify(path)
    delta_h = delta_h_for(unet)
    load_weights(delta_h, path)
    return delta_h.requires_grad_(False).eval()


def keep(path: Path | str, delta_h: DeltaH, identity: str, losses: list[float]) -> None:
    """Write the state of a training that may be killed: plain gradient descent has none beside Δh and the images it saw."""
    made = {"identity": identity, "losses": losses, "sha256": tensors_sha256(delta_h.state_dict())}
    write_delta_h(path, delta_h, made, checksum=False)


def resume(path: Path, delta_h: DeltaH, identity: str, log: Callable[[str], None] = print) -> list[float]:
    """Load what `keep` wrote of the same identity into `delta_h`; returns the losses so far, [] where there is none."""
    if not path.exists():
        return []
    try:
        with safe_open(path, "pt") as file:
            found = json.loads((file.metadata() or {})["made"])
        state = load_file(path)
        if found["identity"] == identity and found["sha256"] == tensors_sha256(state):
            delta_h.load_state_dict(state)
            log(f"{path}: going on after {len(found['losses'])} images of an interrupted run")
            return found["losses"]
    except (SafetensorError, KeyError, TypeError, ValueError):  # also of an older version
        pass
    log(f"{path}: discarded, it is damaged or was begun with other inputs or settings")
    return []
