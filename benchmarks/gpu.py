"""Throughput of embedding and of diffusion as shares of the device's matrix peak, all in one run, on arbitrary weights.

    python benchmarks/gpu.py                        # on one GPU
    python benchmarks/gpu.py --append               # and its table at the end of benchmarks/RESULTS.md
    python benchmarks/gpu.py --device cpu --tiny    # the same code with small networks, where there is no GPU

Embedding goes from arrays of the host to features on the host in the batches of the stage; reading images is not counted. A
pass of diffusion is encoder and decoder of one image, in the batch that `runtime.batch_size: auto` takes. The peak is that of a
square matrix product in the same precision.
"""

import argparse
import platform
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from diffusion import matrix_peak  # benchmarks/diffusion.py, beside this file

from swsa_core.basics.devices import inference
from swsa_core.basics.speed import materialise, mean_seconds
from swsa_core.candidates import family_of
from swsa_core.candidates.forward_pass import runner, vectors
from swsa_core.diffusion import build_adm
from swsa_core.diffusion.adm import in_precision
from swsa_core.diffusion.batches import decided
from swsa_core.diffusion.cost import diffusion_cost
from swsa_core.diffusion.hspace import decode, encode
from swsa_core.embedding.embed import BATCH_SIZE
from swsa_core.files.diffusion_flags import IMAGENET_256
from swsa_core.files.provenance import library_versions
from swsa_core.plan.costs import backbone_cost

RESULTS = Path(__file__).with_name("RESULTS.md")
LARGE = ("torchvision:resnet50", "torchvision:wide_resnet101_2", "torchvision:vit_l_16", "torchvision:vit_h_14")
SMALL = ("mini:resnet_s", "mini:vit_s")
# ADM's block pattern at 32 px.
SMALL_ADM = IMAGENET_256 | {
    "image_size": 32,
    "num_channels": 32,
    "channel_mult": "1,2",
    "num_head_channels": 32,
    "attention_resolutions": "16",
}
HEAD = [
    "| network | precision | batch | images or passes per second | TFLOP/s | share of the peak |",
    "|---|---|---|---|---|---|",
]


class Measured(NamedTuple):
    """A network's images, or passes, per second in batches of `batch`, and what one of them takes."""

    name: str
    batch: int
    per_second: float
    flops: int


def embedding(model: str, device: str, dtype: torch.dtype) -> Measured:
    """A candidate's features of arrays of the host, on the host."""
    spec = {"name": model, "model": model, "args": {}, "crop": None, "layers": None}
    network = family_of(spec).blank(spec)
    materialise(network.module, device)
    run, forward = runner(network, network.transform, device, dtype), inference(network.forward)
    batch, side = BATCH_SIZE[device.partition(":")[0]], network.transform.crop
    images = np.random.default_rng(0).integers(0, 256, (batch, side, side, 3), dtype=np.uint8)
    seconds = mean_seconds(lambda: vectors(run(forward, images), batch).cpu(), device)
    return Measured(model, batch, batch / seconds, backbone_cost(spec).flops)


def diffusion(flags: dict, device: str, dtype: torch.dtype) -> Measured:
    """Encoder and decoder of a network of these flags."""
    with torch.device(device):
        unet = build_adm(flags).eval().requires_grad_(False)
    layout = torch.channels_last if device.startswith("cuda") else torch.contiguous_format
    unet = torch.nn.Module.to(in_precision(unet, dtype), memory_format=layout)
    side = unet.config.sample_size
    batch = decided(None, unet, torch.empty(1, 3, side, side, device=device)).rows
    images = torch.rand(batch, 3, side, side, device=device) * 2 - 1
    seconds = mean_seconds(inference(lambda: decode(unet, *encode(unet, images, 500))), device)
    cost = diffusion_cost("none.pt", flags)
    return Measured(f"ADM of {cost.parameters:,} parameters", batch, batch / seconds, cost.encoder + cost.decoder)


def row(measured: Measured, dtype: torch.dtype, peak: float) -> str:
    """A line of the table; peak: TFLOP/s of a matrix product in this precision."""
    rate = measured.per_second * measured.flops / 1e12
    precision = str(dtype).removeprefix("torch.")
    return f"| {measured.name} | {precision} | {measured.batch} | {measured.per_second:.4g} | {rate:.3g} | {rate / peak:.0%} |"


def hardware(device: str) -> str:
    """The device and the versions that the figures depend on, in words."""
    if device.startswith("cuda"):
        card = torch.cuda.get_device_properties(device)
        name = f"{card.name} ({card.total_memory / 2**30:.0f} GiB), CUDA {torch.version.cuda}"
    else:
        name = f"CPU ({platform.machine()}), {torch.get_num_threads()} thread(s)"
    return f"{name}; {library_versions('torch', 'torchvision', 'diffusers')}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0", help="cuda:0 and so on, or cpu")
    parser.add_argument("--tiny", action="store_true", help="small networks, to try the benchmark itself")
    parser.add_argument("--threads", type=int, default=2, help="number of CPU threads")
    parser.add_argument("--append", action="store_true", help=f"append the table to {RESULTS.name}")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("torch sees no GPU here: try --device cpu --tiny, or run this on a machine with one")
    models, flags = (SMALL, SMALL_ADM) if options.tiny else (LARGE, IMAGENET_256)
    lines = [f"{date.today()}, {hardware(options.device)}.", "", *HEAD]
    print("\n".join(lines), flush=True)
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        peak = inference(matrix_peak)(options.device, dtype, 256 if options.tiny else 8192)
        found = [f"| matrix product | {str(dtype).removeprefix('torch.')} | | | {peak:.3g} | |"]
        if dtype != torch.float16:  # which embeddings are not computed in
            found += [row(embedding(model, options.device, dtype), dtype, peak) for model in models]
        found.append(row(diffusion(flags, options.device, dtype), dtype, peak))
        print("\n".join(found), flush=True)
        lines += found
    if options.append:
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(
                "\n".join(["", "## Against the matrix peak: `python benchmarks/gpu.py --append`", "", *lines, ""])
            )


if __name__ == "__main__":
    main()
