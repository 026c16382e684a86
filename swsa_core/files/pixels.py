"""From the content of an image file to (H, W, 3) uint8 RGB: which formats are read, how deep their samples are, how large.

Samples of more than 8 bits are scaled by what their file says of them or by what `Reading` says, never by the values of
one image: two images of a data set keep the brightness that they have beside each other.
"""

import re
import struct
import warnings
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from swsa_core.basics.errors import NeedsKey
from swsa_core.files.reading import MAX_PIXELS, Reading

# Raster images as Pillow names their formats, those that are known by their first bytes before those that are guessed.
# Left out: EPS and WMF, which other programs render (Ghostscript runs what stands in the file); BUFR, GRIB, HDF5 and
# MPEG, which Pillow only recognises; IPTC, which holds a file of any other format; the icons of desktops (CUR, ICNS, ICO),
# which systems leave in directories; and PCD, whose suffix belongs to point clouds today.
FORMATS = (
    *(
        "JPEG",
        "PNG",
        "TIFF",
        "BMP",
        "WEBP",
        "GIF",
        "PPM",
        "JPEG2000",
        "AVIF",
        "DIB",
        "QOI",
        "FITS",
        "PSD",
        "SGI",
        "SUN",
    ),
    *("DDS", "BLP", "FTEX", "GBR", "FLI", "DCX", "PCX", "MSP", "PIXAR", "XBM", "XPM", "XVTHUMB", "MCIDAS", "IM", "IMT"),
    *("TGA", "SPIDER"),
)
# Images of more pixels are halved, once or more often: the limit above which Pillow itself opens nothing, so that
# whatever it opens keeps each of its pixels.
LARGE = 178_956_970
LINES = 256
USED = 0.999  # of the values of an image: those above are hot pixels or glints, which say nothing of its depth
BITS_PER_SAMPLE = 258  # TIFF tag
SIZE = (256, 257)  # TIFF tags: width, height
ORIENTATION = 0x0112  # EXIF tag
# Formats whose EXIF data can be read without decoding the image; of others, such as PNG, where they stand before the pixels.
EXIF_FIRST = ("JPEG", "MPO", "TIFF", "WEBP")
# Pillow's names of 16-bit colour in a file, by byte order. Unpacked in the other order, it gives the low bytes.
OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if struct.pack("=H", 1) == b"\1\0" else "L"}


def decode(content: bytes, reading: Reading) -> np.ndarray:
    """The image in a file's bytes as (H, W, 3) uint8. Raises ValueError, and Pillow's many errors, for damaged content."""
    with _opened(content, reading.max_pixels) as image:
        low_bytes = _tiles_of_low_bytes(image) if reading.bits not in (None, 16) or reading.value_range else None
        reading = reading._replace(bits=_told_bits(image) or reading.bits or 16)
        sixteen = _is_sixteen_bit(image)
        _load(image)
        if low_bytes:  # the decoded image keeps its EXIF data and takes other pixels
            image.im = Image.fromarray(_eight_bits(_join_bytes(image, content, low_bytes, reading), None, reading)).im
        image = _upright(image)
        if sixteen or image.mode in ("I", "F"):
            image = Image.fromarray(_eight_bits(np.asarray(image), None if sixteen else image.mode, reading))
        return np.array(_rgb(image))


def bits_in_use(content: bytes, max_pixels: int = MAX_PIXELS) -> int:
    """Bits that nearly all values of an image take whose samples stand in 16 bits and whose file does not say how many.

    Nearly all: up to the quantile USED, so that a few hot pixels do not count. Returns 0 for all other images, which are not
    decoded. Of a camera of 10 bits it is at most 10, whatever it shows.
    """
    with _opened(content, max_pixels) as image:
        low_bytes = _tiles_of_low_bytes(image)
        if not (low_bytes or _is_sixteen_bit(image)) or _told_bits(image):
            return 0
        _load(image)
        reading = Reading(max_pixels=max_pixels)
        values = _join_bytes(image, content, low_bytes, reading) if low_bytes else np.asarray(image)
        return int(np.quantile(values, USED, method="lower")).bit_length()


def header_of(stream: BinaryIO, max_pixels: int = MAX_PIXELS) -> tuple[int, int, str]:
    """(width, height, mode) of an opened image file, of which little more than the beginning is read.

    Width and height in pixels, turned as its EXIF data say; mode: Pillow's name ("RGB", "L"), or "palette", "16-bit",
    "16-bit RGB" and "32-bit", which say more. Errors: as of `decode`.
    """
    with _opened(stream, max_pixels) as image:
        width, height = _size_in_file(image)
        if (image.format in EXIF_FIRST or "exif" in image.info) and 5 <= _orientation(image) <= 8:
            width, height = height, width
        if image.mode.startswith("P"):
            return width, height, "palette"
        if tiles := _tiles_of_low_bytes(image):
            arguments = tiles[0].args
            return width, height, f"16-bit {(arguments if isinstance(arguments, str) else arguments[0]).split(';')[0]}"
        deep = "16-bit" if _is_sixteen_bit(image) else "32-bit" if image.mode in ("I", "F") else ""
        return width, height, deep or image.mode


@contextmanager
def _opened(content, max_pixels):
    """The PIL image, not yet loaded, while Pillow refuses what has more than `max_pixels`, also within other formats.

    content: the bytes of a file, or the file itself, opened.

    Pillow's limit is one of the whole process; it is put back behind the block.
    """
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels / 2  # it warns above, and refuses twice as many
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            stream = BytesIO(content) if isinstance(content, bytes) else content
            with Image.open(stream, formats=_formats()) as image:
                yield image
    except Image.DecompressionBombError as error:
        pixels = int(re.search(r"\d+", str(error))[0])
        raise NeedsKey(
            f"it has {pixels:,} pixels, more than the {max_pixels:,} of max_pixels; set max_pixels of its data set to "
            f"{pixels} where the file is what it seems, otherwise leave it out by exclude"
        ) from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit


@cache
def _formats():
    """The names in `FORMATS` that this Pillow has."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _load(image):
    """Decode, a large JPEG at the largest half, quarter or eighth that is not large, which takes that much less memory."""
    width, height = image.size
    factor = next((factor for factor in (1, 2, 4) if width * height <= LARGE * factor**2), 8)
    if factor > 1 and image.format == "JPEG":
        image.draft(None, (width // factor, height // factor))
    image.load()


def _upright(image):
    """A loaded PIL image turned as its EXIF data say; as it is where these are damaged and so say nothing."""
    try:
        return ImageOps.exif_transpose(image) if image.getexif().get(ORIENTATION, 1) != 1 else image
    except Exception:  # again errors of many kinds
        return image


def _size_in_file(image):
    """(width, height) of an image before it is turned; Pillow gives that of a TIFF as its EXIF data turn it."""
    return tuple(image.tag_v2[tag] for tag in SIZE) if image.format == "TIFF" else image.size


def _orientation(image):
    """How the EXIF data turn an image, 1 to 8; 1 where they say nothing, or nothing that can be read."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # again errors of many kinds
        return 1


def _rgb(image):
    """PIL image of any mode with 8 bits a sample -> PIL image of mode RGB, over white where it is transparent."""
    if image.has_transparency_data:
        image = _shrunk(image.convert("RGBA"))
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.width * image.height > LARGE:
        image = _shrunk(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    return image.convert("RGB")


def _shrunk(image):
    """A large image halved, each pixel the mean of four, until it is not large."""
    while image.width * image.height > LARGE:
        image = image.reduce(2)
    return image


def _is_sixteen_bit(image):
    """Whether an image is grey with 16 bits a sample: one of Pillow's I;16 modes, or a PGM, which has mode I."""
    return image.mode.startswith("I;16") or (image.format == "PPM" and image.mode == "I")


def _told_bits(image):
    """Bits of the 16-bit samples of an image that is not yet loaded, where its file tells; otherwise 0.

    JPEG 2000, and PGM with a largest value of its own, are scaled to 16 bits by Pillow.
    """
    if image.format == "JPEG2000" or (image.format == "PPM" and image.tile and image.tile[0].codec_name != "raw"):
        return 16
    bits = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (16,))[0]
    return bits if bits < 16 else 0


def _tiles_of_low_bytes(image):
    """Pillow's tiles that decode the low bytes of a colour image with 16 bits a sample, not yet loaded; otherwise None."""
    tiles = []
    for tile in image.tile:
        rawmode, *others = (tile.args,) if isinstance(tile.args, str) else tile.args or (None,)
        found = re.fullmatch(r"(RGB|RGBA|RGBX);16([BLN])", str(rawmode))
        if not found:
            return None
        other = f"{found[1]};16{OTHER_ORDER[found[2]]}"
        tiles.append(tile._replace(args=(other, *others) if others else other))
    return tiles or None


def _join_bytes(image, content, low_bytes, reading):
    """(H, W, channels) uint16: the high bytes that Pillow gives of 16-bit colour, and the low bytes of a second decoding."""
    with _opened(content, reading.max_pixels) as low:
        low.tile = low_bytes
        low.load()
        return np.array(image).astype(np.uint16) << 8 | np.array(low)


def _eight_bits(values, mode, reading):
    """Samples of more than 8 bits as uint8: those of `reading.value_range` scaled, or the highest 8 of `reading.bits` bits.

    mode: Pillow's "I" or "F", of which the bits say nothing; None for 16 bits. What lies beyond the range is cut off.
    Raises NeedsKey for values of more bits and without a range where it is needed, ValueError for values not finite.
    """
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError("some of its values are not finite")
    if reading.value_range is not None:
        return _ranged(values, *reading.value_range)
    least, largest = values.min(), values.max()
    if mode:
        raise NeedsKey(
            f"its pixels are signed or have 32 bits (mode {mode}), so their range is unknown: set value_range: [low, high] "
            "of its data set to the values that shall be black and white; those of this image go from "
            f"{least:g} to {largest:g}"
        )
    if int(largest) >= 1 << reading.bits:
        raise NeedsKey(
            f"it has values up to {largest}, which take {int(largest).bit_length()} bits; expected at most the "
            f"{reading.bits} of its data set's bit_depth: raise it, or give value_range: [0, {(1 << reading.bits) - 1}] "
            "instead, which cuts off what lies beyond"
        )
    return (values >> (reading.bits - 8)).astype(np.uint8)


def _ranged(values, low, high):
    """Values from low to high scaled to 0 to 255 and rounded, uint8; some lines at a time, as float64 takes room."""
    scaled = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), LINES):
        lines = values[start : start + LINES].astype(np.float64)
        scaled[start : start + LINES] = np.rint((np.clip(lines, low, high) - low) * (255 / (high - low)))
    return scaled
