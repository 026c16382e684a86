"""Pictures of where an image is anomalous, on one fixed scale: 0 is the median patch of the normal images, 1 the alarm level.

So a normal image looks calm, and two pictures of a detector can be compared. What a member does not see of an image stays as it
is. Of several members that compare patches, the mean is shown.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import slug
from swsa_core.detect.detector import Detector, Part, Scored
from swsa_core.detect.level import level_of
from swsa_core.detect.run import log
from swsa_core.files.images import read_image
from swsa_core.files.text import replacing

LARGEST = 640  # pixels of the longer side of a picture of an image
COLOURS = "inferno"
OPAQUE = 0.7  # of the colour at the alarm level, over the image


def drawer(
    detector: Detector, part: Part, rate: float, folder: Path, first: int = 1
) -> Callable[[Sequence[str], Scored], None]:
    """Function of paths and what was said of them that writes a picture of each into `folder`.

    rate: wanted share of false alarms, of which 1 on the scale is the level. first: number of the first picture.
    The maps are those of the members that compare patches, see `swsa_core.detect.mapping.drawable`.
    """
    members = list(part.maps)
    scales = {name: scale_of_maps(part.maps[name], rate) for name in members}
    transforms = {name: detector.backbones[detector.members[name].backbone["name"]].transform for name in members}
    folder.mkdir(parents=True, exist_ok=True)
    drawn = first - 1

    def draw(paths: Sequence[str], scored: Scored) -> None:
        nonlocal drawn
        for row, path in enumerate(paths):
            drawn += 1
            if scored.reasons[row]:
                continue
            try:
                image = read_image(part.as_read(path))
            except (InputError, OSError) as error:  # it may have been moved since it was scored
                log(f"no picture of {path}: {error}")
                continue
            where = np.mean(
                [
                    on_image(scaled(scored.maps[name][row], scales[name]), transforms[name], *image.shape[:2])
                    for name in members
                ],
                axis=0,
            )
            target = folder / f"{drawn:06d}-{slug(Path(path).stem)[:60]}.png"
            with replacing(target, checksum=False) as finished:
                Image.fromarray(side_by_side(image, where)).save(finished, format="PNG")

    return draw


def scale_of_maps(maps: np.ndarray, rate: float) -> tuple[float, float]:
    """(0, 1) of the scale in distances: the median patch of the normal images, and the level of their largest ones.

    maps: (n, patches) of the normal images, each left out of the bank. Where no level can promise `rate`, the largest patch.
    """
    maps = np.asarray(maps, np.float64)
    level = level_of(maps.max(axis=1), rate)
    return float(np.median(maps)), level if np.isfinite(level) else float(maps.max())


def scaled(values: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """A map (patches,) on the scale, a square (grid, grid), 0 at the median normal patch and 1 at the alarm level."""
    low, high = scale
    grid = round(np.sqrt(len(values)))
    return ((np.asarray(values, np.float64) - low) / max(high - low, np.finfo(float).tiny)).reshape(grid, grid)


def on_image(square: np.ndarray, transform: Any, height: int, width: int) -> np.ndarray:
    """A map (g, g) of what a network sees as a map (height, width) of the image; NaN where the network sees nothing of it.

    transform: the network's `Transform`.
    """
    side = transform.crop
    wide = np.asarray(Image.fromarray(square.astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR))
    if transform.fit == "pad":
        down, across = (max(1, round(side * length / max(height, width))) for length in (height, width))
        top, left = (side - down) // 2, (side - across) // 2
        return _resized(wide[top : top + down, left : left + across], height, width)
    shape = [transform.resize] * 2
    if transform.fit == "crop":
        shape = [transform.resize * length // min(height, width) for length in (height, width)]
    top, left = (round((length - side) / 2) for length in shape)
    whole = np.full(shape, np.nan, np.float32)
    rows, columns = (slice(max(0, start), start + side) for start in (top, left))
    whole[rows, columns] = wide[max(0, -top) :, max(0, -left) :][: shape[0], : shape[1]]
    return _resized(whole, height, width, Image.Resampling.NEAREST)


def side_by_side(image: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The image, and beside it the image under the colours of a map (H, W), (h, w, 3) uint8."""
    height, width = image.shape[:2]
    factor = min(1.0, LARGEST / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    gap = np.full((size[1], 8, 3), 255, np.uint8)
    return np.concatenate([small, gap, coloured(small, where)], axis=1)


def coloured(image: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The image (h, w, 3) uint8 under the colours of a map (H, W), which it may be a smaller version of."""
    from matplotlib import colormaps

    values = np.clip(_resized(where, image.shape[0], image.shape[1], Image.Resampling.NEAREST), 0, 1)
    seen = np.isfinite(values)[..., None]
    colours = colormaps[COLOURS](np.nan_to_num(values))[..., :3] * 255
    opacity = OPAQUE * np.nan_to_num(values)[..., None]
    return np.where(seen, image * (1 - opacity) + colours * opacity, image).round().astype(np.uint8)


def _resized(values, height, width, resample=Image.Resampling.BILINEAR):
    return np.asarray(Image.fromarray(np.asarray(values, np.float32)).resize((width, height), resample))
