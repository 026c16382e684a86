"""Image transforms before a backbone: resize and central crop, as torchvision, timm and open_clip do it with PIL."""

from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Transform:
    """Resize of the short side (of both sides with `squash`) and central crop, as torchvision's on PIL images.

    Called with an image (H, W, 3) uint8 it returns (crop, crop, 3) uint8. The network normalises with `mean` and `std`
    on its own device, for values in [0, 1]: so images travel as bytes.
    """

    resize: int
    crop: int
    interpolation: str = "bilinear"
    mean: tuple = (0.0, 0.0, 0.0)
    std: tuple = (1.0, 1.0, 1.0)
    squash: bool = False

    def __call__(self, image):
        height, width = image.shape[:2]
        short = min(height, width)
        size = [self.resize] * 2 if self.squash else [self.resize * side // short for side in (width, height)]
        resized = Image.fromarray(image).resize(size, Image.Resampling[self.interpolation.upper()])
        left, top = (round((side - self.crop) / 2) for side in size)
        return np.asarray(resized.crop((left, top, left + self.crop, top + self.crop)))

    def __str__(self):
        both = " both sides" if self.squash else ""
        mean, std = (" ".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
        return f"resize {self.resize}{both} {self.interpolation}, crop {self.crop}, mean {mean}, std {std}"
