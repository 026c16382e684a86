"""Draws images of a part that nobody owns: brushed steel washers on a belt, no two alike.

    python benchmarks/draw_parts.py data/washers [--images 24] [--side 320]
    make select IMAGES=data/washers

The picture of a detector's page in the README is of them.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, gaussian_filter1d


def washer(side, rng):
    """(side, side, 3) uint8: a washer, its place, size and light drawn by `rng`."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    centre = rng.normal(0, 0.012, 2)
    radius = np.hypot(y - centre[0], x - centre[1])
    outer, inner = 0.36 + rng.normal(0, 0.003), 0.16 + rng.normal(0, 0.002)
    edge = 1.5 / side
    ring = np.clip((outer - radius) / edge, 0, 1) * np.clip((radius - inner) / edge, 0, 1)
    brushed = gaussian_filter1d(rng.normal(0, 1, (side, side)), side / 16, axis=1, mode="wrap")
    light = rng.uniform(0, 2 * np.pi)
    towards = (np.cos(light) * (x - centre[1]) + np.sin(light) * (y - centre[0])) / outer
    steel = 0.62 + 0.10 * towards + 0.35 * brushed
    rim = np.exp(-(((radius - outer + 0.012) / 0.006) ** 2)) + np.exp(-(((radius - inner - 0.012) / 0.006) ** 2))
    steel += 0.18 * rim * (0.4 + 0.6 * towards)
    belt = 0.17 + 0.02 * gaussian_filter(rng.normal(0, 1, (side, side)), 1.5) + 0.03 * np.sin(40 * (x + 0.2 * y))
    shade = gaussian_filter(ring, side / 40)
    grey = (1 - ring) * belt * (1 - 0.35 * shade) + ring * steel
    grey *= 1 + rng.normal(0, 0.03)
    tint = np.array([1.0, 1.01, 1.03]) * ring[..., None] + np.array([0.95, 1.0, 0.97]) * (1 - ring[..., None])
    noisy = grey[..., None] * tint + rng.normal(0, 0.008, (side, side, 3))
    return (np.clip(noisy, 0, 1) * 255).astype(np.uint8)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--side", type=int, default=320, help="pixels")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for number in range(arguments.images):
        image = washer(arguments.side, np.random.default_rng(number))
        Image.fromarray(image).save(arguments.folder / f"{number:03d}.png")


if __name__ == "__main__":
    main()
