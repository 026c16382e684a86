"""What one pass of a diffusion network costs, counted on shapes alone without its weights, and how fast it runs here."""

from pathlib import Path
from typing import Any, NamedTuple

from swsa_core.basics.speed import batch_of, materialise, mean_seconds
from swsa_core.files.diffusion_flags import read_diffusers_config


class DiffusionCost(NamedTuple):
    """Cost of one image through a diffusion network: FLOPs of encoder and decoder, parameters, numbers in h."""

    encoder: int
    decoder: int
    parameters: int
    h: int


def diffusion_cost(weights: str, flags: dict | None) -> DiffusionCost:
    """`DiffusionCost` of the model that `anomalies.diffusion_model.find_model` found; its weights need not be there."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from swsa_core.diffusion.hspace import decode, encode

    unet, images = _unet(weights, flags)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        h, skips, embedding = encode(unet, images, 500)
        encoder = counter.get_total_flops()
        decode(unet, h, skips, embedding)
    return DiffusionCost(
        encoder,
        counter.get_total_flops() - encoder,
        sum(value.numel() for value in unet.parameters()),
        h.numel(),
    )


def diffusion_speed(weights: str, flags: dict | None, flops: int, device: str, dtype: Any) -> float:
    """FLOPs per second of a diffusion network on `device`; `flops` of one image, encoder and decoder together."""
    import torch

    from swsa_core.basics.devices import inference
    from swsa_core.diffusion.adm import in_precision
    from swsa_core.diffusion.batches import decided
    from swsa_core.diffusion.hspace import decode, encode

    unet, image = _unet(weights, flags)
    unet = in_precision(materialise(unet, device), dtype)
    images = torch.rand(batch_of(decided(None, unet, image).rows, flops, device), *image.shape[1:], device=device)
    run = inference(lambda: decode(unet, *encode(unet, images, 500)))
    return flops * len(images) / mean_seconds(run, device)


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
