"""Images: files of any common kind as (H, W, 3) uint8 RGB, and their preparation for the generators.

Besides files, two sources are read under names of their own: `digits:<row>` (the handwritten digits that scikit-learn
ships) and `procedural:<seed>:<row>` (images drawn by `swsa_core.files.drawings`). A file that is not read in the way of
most has this way before its path: `read:bits=10:<path>`; see `swsa_core.files.reading`.
"""

import errno
import math
import os
import re
import stat
from functools import cache, partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from swsa_core.basics.errors import InputError, NeedsKey, is_out_of_memory
from swsa_core.files.pixels import bits_in_use, decode, header_of
from swsa_core.files.reading import parse

Fit = Literal["crop", "squash", "pad"]
"""How an image of any shape becomes what is wanted: its centre alone, all of it in another shape, or all of it and padding."""
MAX_BYTES = 2_000_000_000  # of an image file: as many as 300 million pixels of 16-bit colour take without compression
FEW_COLOURS = 32  # of a mask or a label map; photographs, also grey ones, have more than a hundred
# What is wrong with a path itself. Other errors (permission, a broken disk) are those of the machine and stay what they are.
WRONG_PATH = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG)
EMPTY = "image {path!r} is empty (0 bytes): replace it or remove it"
KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


class Header(NamedTuple):
    """What the beginning of an image file tells: its size in pixels as it is shown, and how its pixels are kept."""

    width: int
    height: int
    mode: str


class Colours(NamedTuple):
    """The number of different colours of an image, and the share of its pixels that have the commonest one, 0 to 1."""

    number: int
    share: float

    @property
    def few(self) -> bool:
        """Whether they are as few as in a mask or a label map."""
        return self.number <= FEW_COLOURS


def read_image(path: str | Path) -> np.ndarray:
    """The image at `path` as (H, W, 3) uint8 RGB, turned as its EXIF data say.

    Transparent pixels are laid over white; of samples deeper than 8 bits the highest 8 are kept; of several frames the
    first is read; colour profiles are not applied; images of more than `pixels.LARGE` pixels are halved. path: that of a
    file, or its `address`. Raises InputError naming the file when it is not a readable image, NeedsKey where it is one but a
    key of its data set must say how it is read.
    """
    name = str(path)
    if match := re.fullmatch(r"digits:(\d+)", name):
        return _digit(int(match[1]))
    if match := re.fullmatch(r"procedural:(\d+):(\d+)", name):
        from swsa_core.files.drawings import pool_image

        return pool_image(int(match[1]), int(match[2]))
    file, reading = parse(name)
    return _with_name(file, partial(decode, _read_bytes(Path(file)), reading))


def fit_of(preparation: dict | str) -> Fit:
    """The `fit` of a preparation; that of candidates that declare none, too. What is left out or `original` is `crop`."""
    return "crop" if isinstance(preparation, str) else preparation.get("fit", "crop")


def longer_side_to(image: np.ndarray, side: int, resample: Image.Resampling = Image.Resampling.BILINEAR) -> np.ndarray:
    """(H, W, 3) uint8 resized in its own shape, so that the longer side is `side`: (h, w, 3) uint8."""
    longer = max(image.shape[:2])
    height, width = (max(1, round(side * length / longer)) for length in image.shape[:2])
    return np.array(Image.fromarray(image).resize((width, height), resample))


def prepare(image: np.ndarray, size: int, fit: Fit = "crop") -> np.ndarray:
    """(H, W, 3) uint8 as synthetic anomalies are made from it, bilinear with antialias, on a PIL image.

    crop: the central square, resized to (size, size, 3) as InjectFusion does, by torchvision's CenterCrop and Resize.
    squash: the whole image in that size. pad: the whole image in its own shape, the longer side of `size`; padding is left to
    the candidates, so that no source cuts out of it.
    """
    height, width = image.shape[:2]
    if fit == "pad":
        return longer_side_to(image, size)
    if fit == "squash":
        return np.array(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))
    side = min(height, width)
    top, left = round((height - side) / 2), round((width - side) / 2)
    square = Image.fromarray(image[top : top + side, left : left + side])
    return np.array(square.resize((size, size), Image.Resampling.BILINEAR))


def squared(image: np.ndarray, size: int) -> np.ndarray:
    """(h, w, 3) uint8 at the top left of a mid-grey (size, size, 3) uint8, for a model that takes squares alone."""
    square = np.full((size, size, 3), 128, np.uint8)
    square[: image.shape[0], : image.shape[1]] = image
    return square


def prepared(path: str | Path, preparation: dict | str) -> np.ndarray:
    """The image at `path` as (H, W, 3) uint8 under the config's `preparation`: {"size", "fit"}, or "original"."""
    image = read_image(path)
    return image if isinstance(preparation, str) else prepare(image, preparation["size"], fit_of(preparation))


def significant_bits(path: str | Path) -> int:
    """Bits that nearly all values take in an image whose samples stand in 16 bits; 0 for other images, which cost little.

    path and errors: as of `read_image`. What is kept in 16 bits and uses fewer would be read as nearly black.
    """
    if re.match(r"digits:|procedural:", str(path)):
        return 0
    file, reading = parse(path)
    return _with_name(file, partial(bits_in_use, _read_bytes(Path(file)), reading.max_pixels))


def header(path: str | Path) -> Header:
    """Size and mode of the image at `path`, from the beginning of its file; the pixels are not decoded.

    path and errors: as of `read_image`. A file that is damaged further on is not noticed.
    """
    if re.match(r"digits:|procedural:", str(path)):
        height, width = read_image(path).shape[:2]
        return Header(width, height, "L" if str(path).startswith("digits:") else "RGB")
    file, reading = parse(path)
    return _of_file(Path(file), partial(_header_of_file, max_pixels=reading.max_pixels))


def colours_of(image: np.ndarray, most: int = 65_536) -> Colours:
    """How many colours an image (H, W, 3) uint8 has, and the share of the commonest, among at most about `most` pixels.

    The pixels stand in a grid over the whole image, so that none is a mixture of others: a label map keeps its few colours.
    """
    step = max(1, math.ceil(math.sqrt(image.shape[0] * image.shape[1] / most)))
    red, green, blue = np.moveaxis(image[::step, ::step].astype(np.uint32), -1, 0)
    _, counts = np.unique(red << 16 | green << 8 | blue, return_counts=True)
    return Colours(len(counts), float(counts.max() / counts.sum()))


def _read_bytes(path):
    """Content of a regular file that is not empty."""
    content = _of_file(path, Path.read_bytes)
    if not content:
        raise InputError(EMPTY.format(path=str(path)))
    return content


def _of_file(path, read):
    """What `read` returns of a regular file. Errors of the machine stay what they are: they must not pass as bad images."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            kind = KINDS.get(stat.S_IFMT(found.st_mode), "no file")
            raise InputError(f"image {str(path)!r} is {kind}; expected a regular file: remove it")
        if found.st_size > MAX_BYTES:
            raise InputError(
                f"image {str(path)!r} has {found.st_size:,} bytes; expected at most {MAX_BYTES:,}: remove it, or save it "
                "smaller or compressed"
            )
        return read(path)
    except OSError as error:
        if error.errno not in WRONG_PATH:
            raise
        reason = "it is a link that leads to itself" if error.errno == errno.ELOOP else os.strerror(error.errno)
        raise InputError(f"image {str(path)!r} cannot be opened: {reason}; replace it or remove it") from error


def _header_of_file(path, max_pixels):
    with path.open("rb") as stream:
        if not stream.peek(1):
            raise InputError(EMPTY.format(path=str(path)))
        return Header(*_with_name(str(path), partial(header_of, stream, max_pixels)))


def _with_name(file, function):
    """What `function` returns, its errors told with the name of the file; those of the machine stay what they are."""
    try:
        return function()
    except NeedsKey as error:  # the file is good
        raise NeedsKey(f"image {file!r} cannot be read ({error})") from error
    except Exception as error:  # Pillow raises errors of many kinds for damaged files
        if is_out_of_memory(error):
            raise MemoryError(f"image {file!r} needs more memory than there is ({error})") from error
        if isinstance(error, OSError) and error.errno is not None:  # Pillow's own have no number
            raise
        # The message of an unidentified image names the buffer, which tells the user nothing.
        reason = "not an image of a known format" if "cannot identify" in str(error) else error
        raise InputError(f"image {file!r} cannot be read ({reason}): replace it or remove it") from error


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
