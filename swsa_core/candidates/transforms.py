"""Image transforms before a backbone: resize and central crop, as torchvision, timm and open_clip do it with PIL, or no cut."""

import re
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from swsa_core.files.images import Fit, longer_side_to


@dataclass(frozen=True)
class Transform:
    """How an image becomes the square that a network sees: as torchvision's on PIL images, with three ways to fit.

    Called with an image (H, W, 3) uint8 it returns (crop, crop, 3) uint8. fit: `crop` resizes the short side to `resize`,
    `squash` both sides, and each then cuts out the central square; `pad` resizes the longer side to `crop` and fills up both
    ends with `mean`. The network normalises with `mean` and `std` on its own device, for values in [0, 1]: so images travel
    as bytes.
    """

    resize: int
    crop: int
    interpolation: str = "bilinear"
    mean: tuple = (0.0, 0.0, 0.0)
    std: tuple = (1.0, 1.0, 1.0)
    fit: Fit = "crop"

    def __call__(self, image):
        resample = Image.Resampling[self.interpolation.upper()]
        if self.fit == "pad":
            # the mean, which becomes 0 by the normalisation
            square = Image.new("RGB", (self.crop, self.crop), tuple(round(255 * value) for value in self.mean))
            resized = Image.fromarray(longer_side_to(image, self.crop, resample))
            square.paste(resized, tuple((self.crop - side) // 2 for side in resized.size))
            return np.asarray(square)
        size = self._resized(*image.shape[:2])
        resized = Image.fromarray(image).resize(size, resample)
        left, top = (round((side - self.crop) / 2) for side in size)
        return np.asarray(resized.crop((left, top, left + self.crop, top + self.crop)))

    def _resized(self, height, width):
        """[width, height] before the crop."""
        short = min(height, width)
        return [self.resize] * 2 if self.fit == "squash" else [self.resize * side // short for side in (width, height)]

    def fitted(self, fit: Fit) -> "Transform":
        """This transform with the `fit` of a user: `squash` then cuts nothing off either."""
        return replace(self, fit=fit, resize=self.resize if fit == "crop" else self.crop)

    def seen(self, height: int, width: int) -> float:
        """Share of the pixels of an image of this size that is not cut off.

        >>> Transform(256, 224).seen(600, 1200), Transform(224, 224, fit="squash").seen(600, 1200)
        (0.3828125, 1)
        """
        if self.fit == "pad":
            return 1.0
        across, down = self._resized(height, width)
        return min(1, self.crop / across) * min(1, self.crop / down)

    @property
    def geometry(self) -> str:
        """What it does with the pixels, in words."""
        sides = {"crop": "", "squash": " both sides", "pad": " longer side"}[self.fit]
        cut = "pad" if self.fit == "pad" else "crop"
        return f"resize {self.resize}{sides} {self.interpolation}, {cut} {self.crop}"

    def __str__(self) -> str:
        mean, std = (" ".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
        return f"{self.geometry}, mean {mean}, std {std}"


def seen_by(text: str, height: int, width: int) -> float:
    """`Transform.seen` of the transform whose text, of itself or of a descriptor, this is.

    >>> seen_by("resize 256 bilinear, crop 224, mean 0 0 0, std 1 1 1", 256, 256)
    0.765625
    """
    found = re.match(r"resize (\d+)( both sides| longer side)? \w+, (?:crop|pad) (\d+)", text)
    assert found, text  # as `geometry` writes it
    fits: dict[str | None, Fit] = {None: "crop", " both sides": "squash", " longer side": "pad"}
    return Transform(int(found[1]), int(found[3]), fit=fits[found[2]]).seen(height, width)
