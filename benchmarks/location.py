"""Whether heatmaps show the defect: where their peaks lie on images with defects, beside masks where there are any.

    python benchmarks/location.py DETECTOR IMAGES… [--masks ground_truth] [--sheet FILE.png]

IMAGES show defects. With --masks, a folder in the layout of MVTec-AD (<defect>/<name>_mask.png for IMAGES/<defect>/<name>.png),
it prints the share of images whose peak lies on the mask, and the pixel AUROC. With --sheet it draws every image with a ring
around its peak, numbered, to be judged by eye where there are no masks.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from swsa_core.detect import load_detector  # noqa: E402
from swsa_core.detect.heatmaps import on_image, scale_of_maps, scaled  # noqa: E402
from swsa_core.detect.mapping import drawable  # noqa: E402
from swsa_core.detect.run import found_images, wanted_rate  # noqa: E402
from swsa_core.files.images import read_image  # noqa: E402
from swsa_core.metrics import auroc  # noqa: E402

SIDE, ACROSS = 160, 10  # pixels of an image on the sheet, and images in a row of it


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detector", type=Path)
    parser.add_argument("images", nargs="+")
    parser.add_argument("--masks", type=Path)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--task")
    arguments = parser.parse_args()
    detector = drawable(load_detector(arguments.detector), arguments.task)
    paths = found_images(arguments.images)
    maps = list(maps_of(detector, detector.part(arguments.task), paths))
    if arguments.sheet:
        sheet(paths, maps).save(arguments.sheet)
        print(f"{arguments.sheet}: {len(paths)} images with a ring around the peak of each")
    if arguments.masks:
        masks = [mask_of(path, arguments.masks, where.shape) for path, where in zip(paths, maps, strict=True)]
        hits = [mask[peak_of(where)] for mask, where in zip(masks, maps, strict=True)]
        values = np.concatenate([np.nan_to_num(where, nan=-np.inf).ravel() for where in maps])
        of_pixels = auroc(values, np.concatenate([mask.ravel() for mask in masks]))
        print(f"peak on the defect: {sum(hits)} of {len(hits)} images; pixel AUROC {of_pixels:.3f}")


def maps_of(detector, part, paths):
    """The heatmap (H, W) of each image, on the scale of the pictures; NaN where the network sees nothing."""
    rate = wanted_rate(part, None)
    scales = {name: scale_of_maps(values, rate) for name, values in part.maps.items()}
    scored = detector.look(paths, part.name)
    for row, path in enumerate(paths):
        height, width = read_image(path).shape[:2]
        of_members = [
            on_image(
                scaled(values[row], scales[name]),
                detector.backbones[detector.members[name].backbone["name"]].transform,
                height,
                width,
            )
            for name, values in scored.maps.items()
        ]
        yield np.mean(of_members, axis=0)


def peak_of(where):
    """(row, column) of the largest value."""
    return np.unravel_index(np.nanargmax(where), where.shape)


def mask_of(path, masks, shape):
    """The defect's pixels (H, W) bool."""
    image = Path(path)
    mask = read_image(masks / image.parent.name / f"{image.stem}_mask.png")[..., 0] > 0
    assert mask.shape == shape, f"the mask of {path} has {mask.shape} pixels, the image {shape}"
    return mask


def sheet(paths, maps):
    """All images in rows, each with its number and a ring around its peak."""
    whole = Image.new("RGB", (ACROSS * SIDE, -(-len(paths) // ACROSS) * SIDE), "white")
    for number, (path, where) in enumerate(zip(paths, maps, strict=True)):
        small = Image.fromarray(read_image(path)).resize((SIDE, SIDE))
        row, column = (SIDE * at / length for at, length in zip(peak_of(where), where.shape, strict=True))
        pen = ImageDraw.Draw(small)
        for colour, grown in (("black", 1), ("yellow", 0)):
            pen.ellipse([column - 9 - grown, row - 9 - grown, column + 9 + grown, row + 9 + grown], outline=colour)
        pen.text((3, 3), f"{number} {Path(path).parent.name[:8]} {Path(path).stem}", fill="black")
        whole.paste(small, (number % ACROSS * SIDE, number // ACROSS * SIDE))
    return whole


if __name__ == "__main__":
    main()
