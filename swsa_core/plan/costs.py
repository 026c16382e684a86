"""What one pass of a network costs, counted on shapes alone without its weights, and how fast this machine does it."""

import time
from pathlib import Path
from typing import Any, NamedTuple

from swsa_core.candidates import family_of
from swsa_core.candidates.backbone import check_model, load_backbone
from swsa_core.candidates.family import CandidateSpec, Network
from swsa_core.embedding.embed import BATCH_SIZE
from swsa_core.files.diffusion_flags import read_diffusers_config

# FLOPs of a batch whose time is measured, where the stage itself would take a larger one.
MOST_WORK = {"cpu": 2e10, "cuda": 2e13}
LEAST_SECONDS = 2  # of a measurement of speed, unless one pass takes longer


class Cost(NamedTuple):
    """Of one image through a backbone: FLOPs (2 per multiply-add), parameters without the head, size of its features."""

    flops: int
    parameters: int
    features: int


class DiffusionCost(NamedTuple):
    """Of one image through a diffusion network: FLOPs of encoder and decoder, parameters, numbers in h."""

    encoder: int
    decoder: int
    parameters: int
    h: int


def backbone_cost(candidate: CandidateSpec) -> Cost:
    """`Cost` of a candidate, or of the CLIP model as `clip_backbone` gives it. A descriptor's FLOPs are not counted."""
    check_model(candidate)
    if family_of(candidate).blank is None:
        return Cost(0, 0, load_backbone(candidate).feature_size)
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    network, images = _backbone(candidate)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        features = network.forward(images)
    named = network.module.named_parameters()
    parameters = sum(value.numel() for name, value in named if not name.startswith(network.head))
    return Cost(counter.get_total_flops(), parameters, features.shape[1])


def diffusion_cost(weights, flags):
    """`DiffusionCost` of the model that `anomalies.diffusion.find_model` found; its weights need not be there."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from swsa_core.diffusion.hspace import decode, encode

    unet, images = _unet(weights, flags)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        h, *rest = encode(unet, images, 500)
        encoder = counter.get_total_flops()
        decode(unet, h, *rest)
    return DiffusionCost(
        encoder,
        counter.get_total_flops() - encoder,
        sum(value.numel() for value in unet.parameters()),
        h.numel(),
    )


def backbone_speed(candidate: CandidateSpec, flops: int, device: str, dtype: Any) -> float:
    """FLOPs a second of a candidate's network on `device`; `flops` of one image, from `backbone_cost`."""
    import torch

    from swsa_core.basics.devices import inference

    network, image = _backbone(candidate)
    _materialise(network.module, device)
    images = torch.rand(_batch(BATCH_SIZE[device.split(":")[0]], flops, device), *image.shape[1:], device=device)
    run = inference(lambda: network.forward(images))
    with torch.autocast(device.split(":")[0], dtype, enabled=dtype != torch.float32):
        return flops * len(images) / _seconds(run, device)


def diffusion_speed(weights, flags, flops, device, dtype):
    """FLOPs a second of a diffusion network on `device`; `flops` of one image, encoder and decoder together."""
    import torch

    from swsa_core.basics.devices import inference
    from swsa_core.diffusion.batches import automatic_batch_size
    from swsa_core.diffusion.hspace import decode, encode

    unet, image = _unet(weights, flags)
    unet = torch.nn.Module.to(_materialise(unet, device), dtype)  # diffusers' own `to` would warn
    images = torch.rand(_batch(automatic_batch_size(unet, image), flops, device), *image.shape[1:], device=device)
    run = inference(lambda: decode(unet, *encode(unet, images, 500)))
    return flops * len(images) / _seconds(run, device)


def _backbone(candidate: CandidateSpec) -> tuple[Network, Any]:
    """(Network without its weights, image (1, 3, crop, crop) on the same device)."""
    import torch

    network = family_of(candidate).blank(candidate)
    network.module.eval().requires_grad_(False)
    crop = candidate["crop"] or network.transform.crop
    return network, torch.zeros(1, 3, crop, crop, device=next(network.module.parameters()).device)


def _unet(weights, flags):
    """(UNet2DModel, image (1, 3, size, size)) on the meta device."""
    import torch
    from diffusers import UNet2DModel

    from swsa_core.diffusion.adm import build_adm

    folder = Path(weights)
    with torch.device("meta"):
        if folder.is_dir():
            unet = UNet2DModel.from_config(read_diffusers_config(folder)[1])
        else:
            unet = build_adm(flags)
        size = unet.config.sample_size
        return unet.eval().requires_grad_(False), torch.zeros(1, 3, size, size)


def _materialise(module, device):
    """`module` on `device` with arbitrary ordinary numbers for weights."""
    import torch

    on_meta = any(value.is_meta for value in module.parameters())
    module = module.to_empty(device=device) if on_meta else module.to(device)
    for value in (*module.parameters(), *module.buffers()) if on_meta else ():
        value.data.uniform_(0.01, 0.05) if value.is_floating_point() else value.data.zero_()
    layout = torch.channels_last if device.startswith("cuda") else torch.contiguous_format
    return torch.nn.Module.to(module, memory_format=layout)


def _batch(size, flops, device):
    return max(1, min(size, int(MOST_WORK[device.split(":")[0]] / flops)))


def _seconds(run, device):
    """Mean seconds of one `run`; the first, which loads libraries and chooses kernels, counts only where it is long."""
    import torch

    def timed():
        start = time.perf_counter()
        run()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    first, seconds = timed(), []
    while first < LEAST_SECONDS and sum(seconds) < LEAST_SECONDS:
        seconds.append(timed())
    return sum(seconds) / len(seconds) if seconds else first
