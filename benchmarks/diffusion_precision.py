"""What rounding inside a diffusion network costs: x_T and images in each precision, against float32 on the same CPU.

    python benchmarks/diffusion_precision.py GOLDEN/adm    # the directory of the network whose outputs the tests hold

Prints the norm of the difference over the norm of the output, of four inversions and four pairs in ten steps.
"float16 throughout" has its norms in float16 too, which the workflow never does.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from swsa_core.diffusion import diffstyle, invert, load_adm
from swsa_core.diffusion.adm import in_precision

STEPS = 10


def golden(folder):
    """(network, images) of a folder with a checkpoint, its flags and stored inversions."""
    flags = json.loads((folder / "config.json").read_text())["args"]
    images = np.load(folder / "inversion_recon.npz")["x0"]
    return load_adm(folder / "model_adm.safetensors", flags), torch.from_numpy(images)[:4]


def run(unet, images):
    """(x_T (4, 3, H, W), images of 2 x 2 pairs)."""
    inversion = invert(unet, images, STEPS)
    return inversion.x_T, diffstyle(unet, inversion.pick(slice(0, 2)), inversion.pick(slice(2, 4)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="with model_adm.safetensors, config.json and inversion_recon.npz")
    folder = parser.parse_args().folder
    expected = run(*golden(folder))
    for name, cast in {
        "float16": lambda unet: in_precision(unet, torch.float16),
        "float16 throughout": lambda unet: torch.nn.Module.to(unet, torch.float16),
        "bfloat16": lambda unet: in_precision(unet, torch.bfloat16),
    }.items():
        unet, images = golden(folder)
        results = zip(run(cast(unet), images), expected, strict=True)
        errors = [(ours - exact).norm() / exact.norm() for ours, exact in results]
        print(f"{name}: x_T {errors[0]:.2%}, images {errors[1]:.2%}", flush=True)


if __name__ == "__main__":
    main()
