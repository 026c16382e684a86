"""DiffStyle three ways, on random weights: the plain way, the original repository's way, and ours.

    python benchmarks/diffusion.py                   # a mid-size network on the CPU, or ADM-256 where there is a GPU
    python benchmarks/diffusion.py --grid 10 --profile

Prints seconds, ratios, network passes and the largest difference between the outputs; on a GPU also a full grid of
ours alone, with TFLOP/s as a share of the card's measured matrix peak. Model building is not counted.
"""

import argparse
import time
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from swsa_core.basics.devices import inference
from swsa_core.diffusion import build_adm, diffstyle, invert, timesteps
from swsa_core.diffusion.ddim import ddim_step, reverse_steps
from swsa_core.diffusion.hspace import compile_network, decode, encode
from swsa_core.files.diffusion_flags import IMAGENET_256

GAMMA = 0.7
# The block pattern of ADM-256 at 64 px: 8.7 M parameters.
MID_SIZE = IMAGENET_256 | {
    "image_size": 64,
    "num_channels": 32,
    "channel_mult": "1,1,2,2,4,4",
    "num_head_channels": 32,
    "attention_resolutions": "8,4,2",
}


@contextmanager
def hooked(module, hook):
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@inference
def plain_way(unet, style, content, steps):
    """Two full hooked network calls a step, inversion anew for every pair, batch 1: (n_style, n_content, 3, H, W)."""
    h = {}  # the mid block's output, by timestep

    def eps(x, t, hook):
        with hooked(unet.mid_block, hook):
            return unet(x.to(unet.dtype), t).sample[:, :3].float()

    def inverted(x):
        sequence = timesteps(steps)
        for t, t_next in pairwise(sequence):
            x = ddim_step(x, eps(x, t, lambda module, inputs, out, t=t: h.update({t: out})), t, t_next)
        h[sequence[-1]] = h[sequence[-2]]
        return x

    def pair(style, content):
        inverted(content)
        target = dict(h)
        x = inverted(style)
        for t, t_next in reverse_steps(steps):
            plain = eps(x, t, lambda *_: None)
            edited = eps(x, t, lambda module, inputs, out, t=t: (1 - GAMMA) * out + GAMMA * target[t])
            x = ddim_step(x, plain, t, t_next, edited)
        return x

    return torch.stack([torch.cat([pair(s, c) for c in content.split(1)]) for s in style.split(1)])


@inference
def original_way(unet, style, content, steps):
    """As the InjectFusion repository: inversion once an image, encoder shared by two decoder passes, batch 1."""
    styles, contents = ([invert(unet, x, steps) for x in images.split(1)] for images in (style, content))

    def pair(style, content):
        x = style.x_T
        for t, t_next in reverse_steps(steps):
            h, skips, embedding = encode(unet, x, t)
            target = content.h[min(timesteps(steps).index(t), steps - 2)]
            edited = decode(unet, ((1 - GAMMA) * h.float() + GAMMA * target).to(h.dtype), skips, embedding)
            x = ddim_step(x, decode(unet, h, skips, embedding), t, t_next, edited)
        return x

    return torch.stack([torch.cat([pair(s, c) for c in contents]) for s in styles])


def our_way(unet, style, content, steps):
    """Inversion of all images together, then `diffstyle`, both with automatic batches."""
    both, n = invert(unet, torch.cat([style, content]), steps), len(style)
    return diffstyle(unet, both.pick(slice(n)), both.pick(slice(n, None)), gamma=GAMMA)


class Run(NamedTuple):
    """A way's result and cost; passes are counted in images."""

    images: torch.Tensor
    seconds: float
    cpu_seconds: float  # of all threads: where other programs run, nearer to the work than the wall's
    encoder: int
    decoder: int


@contextmanager
def counted(unet):
    """A block whose passes through encoder and decoder are counted, in images: [encoder, decoder]."""
    counts, compiled = [0, 0], getattr(unet, "compiled", None)

    def hook(part):
        def count(module, inputs, out):
            if not torch.compiler.is_compiling():
                counts[part] += len(out)

        return count

    def around(part):
        def count(unet, images, *rest):
            counts[part] += len(images)
            return compiled[part](unet, images, *rest)

        return count

    try:
        if compiled:  # code that was compiled before a hook came does not run it
            unet.compiled = around(0), around(1)
        with hooked(unet.conv_in, hook(0)), hooked(unet.conv_out, hook(1)):
            yield counts
    finally:
        if compiled:
            unet.compiled = compiled


def measured(way, unet, *arguments):
    device = arguments[0].device
    synchronize = partial(torch.cuda.synchronize, device) if device.type == "cuda" else (lambda: None)
    with counted(unet) as counts:
        synchronize()
        start, cpu_start = time.perf_counter(), time.process_time()
        images = way(unet, *arguments)
        synchronize()
        return Run(images, time.perf_counter() - start, time.process_time() - cpu_start, *counts)


def compare(unet, images, grid, steps, repeat):
    """Print the three ways side by side on a `grid` x `grid` grid; the fastest of `repeat` interleaved runs counts."""
    ways = {"plain": plain_way, "original": original_way, "ours": our_way}
    style, content = images[:grid], images[grid : 2 * grid]
    if images.is_cuda or hasattr(unet, "compiled"):
        for way in ways.values():
            way(unet, style, content, 3)  # first, middle and last step: kernels are chosen and compiled for every shape
    runs = {name: [] for name in ways}
    for _ in range(repeat):
        for name, way in ways.items():
            runs[name].append(measured(way, unet, style, content, steps))
    best = {
        name: min(results, key=lambda run: run.seconds)._replace(cpu_seconds=min(run.cpu_seconds for run in results))
        for name, results in runs.items()
    }
    ours = best["ours"]
    print(f"{grid} x {grid} pairs, {steps} steps, {repeat} run(s)")
    heads = ("seconds", "ratio", "CPU s", "ratio", "encoder", "decoder")
    print(f"{'':10}" + "".join(f"{head:>10}" for head in heads) + "  difference (of the range)")
    for name, run in best.items():
        difference = (run.images - ours.images).abs().max() / (ours.images.max() - ours.images.min())
        times = (run.seconds, run.seconds / ours.seconds, run.cpu_seconds, run.cpu_seconds / ours.cpu_seconds)
        row = "".join(f"{value:10.2f}" for value in times)
        print(f"{name:10}{row}{run.encoder:10}{run.decoder:10}  {difference:.1e}", flush=True)


def full_grid(unet, images, grid, steps):
    """Print seconds and the share of the card's matrix peak that ours reaches on a large grid."""
    style, content = images[:grid], images[grid : 2 * grid]
    our_way(unet, style, content, 3)  # as in `compare`
    _, seconds, _, encoder, decoder = measured(our_way, unet, style, content, steps)
    x = images[:1]
    with FlopCounterMode(display=False) as encoding:
        parts = encode(unet, x, 500)
    with FlopCounterMode(display=False) as decoding:
        decode(unet, *parts)
    work = (encoder * encoding.get_total_flops() + decoder * decoding.get_total_flops()) / 1e12
    peak = matrix_peak(images.device, unet.conv_in.weight.dtype)
    print(f"{grid} x {grid} pairs, {steps} steps, ours: {seconds:.1f} s for {grid * grid} images")
    print(
        f"{work:.0f} TFLOP, {work / seconds:.0f} TFLOP/s: {work / seconds / peak:.0%} of a measured peak of {peak:.0f}"
    )


def matrix_peak(device, dtype, size=8192):
    """TFLOP/s of a square matrix product, the best of ten rounds."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    gpu, best = torch.device(device).type == "cuda", float("inf")
    for _ in range(10):
        start = time.perf_counter()
        for _ in range(10):
            a @ b
        if gpu:
            torch.cuda.synchronize(device)
        best = min(best, (time.perf_counter() - start) / 10)
    return 2 * size**3 / best / 1e12


def main():
    gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if gpu else "cpu")
    parser.add_argument("--dtype", default="bfloat16" if gpu else "float32", help="number format of the network")
    parser.add_argument(
        "--compare",
        type=int,
        default=2 if gpu else 4,
        help="side of the grid on which all three ways are compared; 0 leaves the comparison out",
    )
    parser.add_argument("--grid", type=int, default=10, help="side of the grid on which ours runs alone, on a GPU")
    parser.add_argument("--steps", type=int, default=50 if gpu else 10)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="number of CPU threads")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument(
        "--profile", action="store_true", help="print the most expensive operations of three steps of ours"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    gpu = options.device.startswith("cuda")
    with torch.device(options.device):
        unet = build_adm(IMAGENET_256 if gpu else MID_SIZE).eval().requires_grad_(False)
    unet.conv_out.weight.mul_(0.1)  # tame trajectories: differences are rounding, not chaos
    layout = torch.channels_last if gpu else torch.contiguous_format
    unet = torch.nn.Module.to(unet, dtype=getattr(torch, options.dtype), memory_format=layout)
    if options.compile:
        compile_network(unet)
    size, n = unet.config.sample_size, max(options.compare, options.grid)
    images = torch.rand(2 * n, 3, size, size, device=options.device) * 2 - 1
    name = torch.cuda.get_device_name(images.device) if gpu else f"CPU, {options.threads} thread(s)"
    print(f"{unet.num_parameters():,} parameters at {size} px, {options.dtype}, {name}, torch {torch.__version__}")
    if options.compare:
        compare(unet, images, options.compare, options.steps, options.repeat)
    if gpu:
        full_grid(unet, images, options.grid, options.steps)
    if options.profile:
        activities = list(torch.profiler.supported_activities())
        with torch.profiler.profile(activities=activities) as profile:
            our_way(unet, images[: options.grid], images[options.grid : 2 * options.grid], 3)
        key = "self_cuda_time_total" if gpu else "self_cpu_time_total"
        print(profile.key_averages().table(sort_by=key, row_limit=20))


if __name__ == "__main__":
    main()
