"""Images: files of any common kind as (H, W, 3) uint8 RGB, and their preparation for the generators.

Besides files, two sources are read under names of their own: `digits:<row>` (the handwritten digits that scikit-learn
ships) and `procedural:<seed>:<row>` (images drawn by `swsa_core.files.drawings`).
"""

import re
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from swsa_core.basics.errors import InputError

BITS_PER_SAMPLE = 258  # TIFF tag


def read_image(path):
    """The image at `path` as (H, W, 3) uint8 RGB, turned as its EXIF data say.

    Transparent pixels are laid over white; of samples deeper than 8 bits the highest 8 are kept; of several frames the
    first is read; colour profiles are not applied. Raises InputError naming the file when it is not a readable image.
    """
    name = str(path)
    if match := re.fullmatch(r"digits:(\d+)", name):
        return _digit(int(match[1]))
    if match := re.fullmatch(r"procedural:(\d+):(\d+)", name):
        from swsa_core.files.drawings import pool_image

        return pool_image(int(match[1]), int(match[2]))
    return _decode(_read_bytes(Path(path)), path)


def prepare(image, size):
    """Centre crop of (H, W, 3) uint8 to the short side, resized to (size, size, 3) uint8 as InjectFusion does.

    That is torchvision's CenterCrop and Resize on a PIL image: bilinear, with antialias.
    """
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = round((height - side) / 2), round((width - side) / 2)
    square = Image.fromarray(image[top : top + side, left : left + side])
    return np.array(square.resize((size, size), Image.Resampling.BILINEAR))


def prepared(path, preparation):
    """The image at `path` as (H, W, 3) uint8 under the config's `preparation`: {"size", "crop"}, or "original"."""
    image = read_image(path)
    return image if preparation == "original" else prepare(image, preparation["size"])


def _read_bytes(path):
    """Content of a file. Errors of the machine (a broken disk) stay what they are: they must not pass as bad images."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        raise InputError(f"image {str(path)!r} cannot be opened: {error.strerror}") from error
    if not content:
        raise InputError(f"image {str(path)!r} is empty (0 bytes): replace it or remove it")
    return content


def _decode(content, path):
    try:
        with Image.open(BytesIO(content)) as image:
            bits = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (16,))[0]
            image.load()
            return np.array(_rgb(_upright(image), bits))
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises errors of many kinds for damaged files
        # The message of an unidentified image names the buffer, which tells the user nothing.
        reason = "not an image of a known format" if "cannot identify" in str(error) else error
        raise InputError(f"image {str(path)!r} cannot be read ({reason}): replace it or remove it") from error


def _upright(image):
    """A loaded PIL image turned as its EXIF data say; as it is where these are damaged and so say nothing."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # again errors of many kinds
        return image


def _rgb(image, bits):
    """PIL image of any mode -> PIL image of mode RGB. bits: of a sample, where the mode has room for 16."""
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255; the high byte is what it keeps of deep RGB.
        return Image.fromarray((np.array(image) >> (bits - 8)).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError(
            f"its pixels have 32 bits (mode {image.mode}), so their range is unknown; expected 8 or 16 bits"
        )
    return image.convert("RGB")


@cache
def _digits():
    from sklearn.datasets import load_digits

    return np.rint(load_digits().images * (255 / 16)).astype(np.uint8)


def _digit(row):
    """(8, 8, 3) uint8; the 0..16 of scikit-learn's digits scaled to 0..255."""
    if row >= len(_digits()):
        raise InputError(
            f"image 'digits:{row}' does not exist: scikit-learn's digits have the rows 0 to {len(_digits()) - 1}"
        )
    return np.repeat(_digits()[row][..., None], 3, axis=2)
