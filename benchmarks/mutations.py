"""Configs and image files as an adversary or an accident leaves them: valid ones, changed at random.

All draws come from the `random.Random` that is given, so that the number of a case gives the case again.
"""

import copy
import io
import struct
import zlib
from datetime import date
from random import Random
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

# Configs

TEXTS = (
    *("", " ", "\0", "\x1b[2J", "a\nb", "~nobody-here/x", "{x}", "<script>", "../..", "/dev/zero", "mini:", "all"),
    *(
        "paper",
        "digits",
        "ｓｅｅｄ",
        "se\u0301eds",
        "\u202edlrow",
        "\ud800",
        "%s%n",
        "-rf",
        "package:os",
        "x" * 100_000,
    ),
    *("timm:resnet18", "open_clip:ViT-B-32", "descriptor:hog", "torchvision:resnet18", "cutpaste", "null", "1e400"),
)
NUMBERS = (
    *(0, 1, -1, 2, 3, 64, 255, 2**31, 2**32, -(2**63), 2**64, 10**9, 10**12, 10**18, 10**400, 1 << 50_000),
    *(0.0, -0.0, 0.5, 1e-300, 1e300, -1e308, float("nan"), float("inf"), -float("inf")),
)
ODD = (None, True, False, b"bytes", date(2001, 1, 1), {"a", "set"}, (), len)  # what tags of YAML give, too
KEYS = (
    *(
        "perlin",
        "kinds",
        "kind",
        "diffusion",
        "cub",
        "x.y",
        "knn.k",
        "",
        "a\nb",
        "root",
        "clip",
        "args",
        "ｋ",
        "\x1b[31m",
    ),
    *(1, True, None, -2.5, float("nan"), (1, 2), b"k", 1 << 50_000),
)


def laughs(depth: int = 30, width: int = 10) -> Any:
    """The billion laughs as YAML's aliases give them: a list of the same list, and so on; 10^30 entries."""
    value: Any = ["ha"]
    for step in range(depth):
        value = {str(number): value for number in range(width)} if step % 3 == 2 else [value] * width
    return value


def nested(depth: int) -> Any:
    """A value that lies `depth` mappings and lists deep."""
    value: Any = "x"
    for step in range(depth):
        value = {"deep": value} if step % 2 else [value]
    return value


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """Paths of all values within a config, that of itself left out."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in pairs for place in ((*path, key), *places(inner, (*path, key)))]


def value(random: Random) -> Any:
    """Something that may stand in a config, mostly wrong where it stands."""
    kind = random.randrange(12)
    if kind < 4:
        return random.choice(NUMBERS)
    if kind < 7:
        return random.choice(TEXTS)
    if kind < 9:
        return random.choice(ODD)
    inner = [value(random) for _ in range(random.randrange(3))]
    return inner if kind < 11 else {random.choice(KEYS): one for one in inner}


def near(number: float, random: Random) -> float:
    """A number that stands near another, or the same some powers of ten away."""
    if isinstance(number, bool):
        return not number
    power = 10 ** random.randrange(1, 13)
    return random.choice((-number, number + 1, number - 1, number * power, number // power, number * 2))


def mutated_config(valid: dict, random: Random) -> dict:
    """A valid config, changed in one to four places."""
    config = copy.deepcopy(valid)
    known = places(config)  # before there are loops
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        *steps, last = random.choice(known)
        section: Any = config
        try:
            for step in steps:
                section = section[step]
            old = section[last]
        except (KeyError, IndexError, TypeError):  # changed before
            continue
        if not isinstance(section, dict | list):  # a text, whose letters are its entries
            continue
        change = random.randrange(12)
        if change < 2 and isinstance(section, dict):
            del section[last]
        elif change < 5 and isinstance(old, int | float):
            section[last] = near(old, random)
        elif change < 7 and isinstance(section, dict):
            section[random.choice((*KEYS, *(key for key in map(str, steps))))] = random.choice((old, value(random)))
        elif change == 7:
            section[last] = random.choice((section, config, [old], {"x": old}, [old, old], laughs(), nested(400)))
        elif change == 8:
            other: Any = config  # what stands elsewhere
            for step in random.choice(known):
                other = other[step] if isinstance(other, dict) and step in other else other
            section[last] = other
        elif change == 9 and isinstance(section, list):
            section.append(old)
        else:
            section[last] = value(random)
    return config


# Images


class ImageFile(NamedTuple):
    """The content of an image file, and the suffix of its name."""

    content: bytes
    suffix: str


def _pixels(mode: str) -> Image.Image:
    """A small image of some content, in a mode of Pillow."""
    y, x = np.mgrid[:37, :41]
    waves = np.stack([127 + 120 * np.sin(x / 5), 3 * (x + y), 255 * ((x // 8 + y // 8) % 2)], -1).clip(0, 255)
    if mode == "I;16":
        return Image.fromarray((waves[..., 0] * 256).astype(np.uint16))
    if mode == "F":
        return Image.fromarray(waves[..., 0].astype(np.float32))
    return Image.fromarray(waves.astype(np.uint8)).convert(mode)


# (suffix, mode, options of Pillow's `save`)
SAVED = (
    *(("png", mode, {}) for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "I;16")),
    *(("jpg", mode, options) for mode in ("RGB", "L", "CMYK") for options in ({}, {"progressive": True})),
    *(("tif", mode, {"compression": how}) for mode in ("RGB", "CMYK", "I;16", "F") for how in ("raw", "tiff_lzw")),
    *(("tif", "RGB", {"compression": how}) for how in ("jpeg", "packbits", "tiff_adobe_deflate")),
    *(("tif", "1", {"compression": how}) for how in ("group3", "group4")),
    *(("webp", mode, {"lossless": exact}) for mode in ("RGB", "RGBA") for exact in (True, False)),
    *(("bmp", mode, {}) for mode in ("RGB", "P", "1")),
    *((suffix, "RGB", {}) for suffix in ("ppm", "tga", "sgi", "pcx", "dds", "jp2", "avif", "qoi")),
    *(("pgm", "L", {}), ("pgm", "I;16", {}), ("pfm", "F", {}), ("xbm", "1", {}), ("msp", "1", {})),
    *((suffix, mode, {"save_all": True}) for suffix, mode in (("gif", "P"), ("webp", "RGB"), ("png", "RGB"))),
)


def image_files() -> list[ImageFile]:
    """A small image in every format and mode of `SAVED`; JPEG, TIFF, PNG and WEBP turned by their EXIF data, too."""
    found = []
    for suffix, mode, options in SAVED:
        image, frames = _pixels(mode), {}
        if options.get("save_all"):
            frames = {"append_images": [image.transpose(Image.Transpose.ROTATE_180)] * 2, "duration": 50}
        for turn in (None, 6) if suffix in ("jpg", "tif", "png", "webp") and not frames else (None,):
            exif = Image.Exif()
            exif[0x0112] = turn or 1
            stream = io.BytesIO()
            kind = Image.registered_extensions()[f".{suffix}"]
            image.save(stream, kind, **options, **frames, **({"exif": exif} if turn else {}))
            found.append(ImageFile(stream.getvalue(), suffix))
    return found


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """[(kind, data)] of a PNG."""
    found, place = [], 8
    while place < len(content):
        (length,) = struct.unpack_from(">I", content, place)
        found.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    return found


def _rearranged_png(content: bytes, random: Random) -> bytes:
    """A PNG with right check sums, and with chunks doubled, left out, moved, of absurd sizes or that unpack to very much."""
    chunks = png_chunks(content)
    match random.randrange(5):
        case 0:
            header = bytearray(chunks[0][1])
            struct.pack_into(">I", header, random.choice((0, 4)), random.choice((0, 1, 2**16, 2**31 - 1, 2**32 - 1)))
            chunks[0] = (chunks[0][0], bytes(header))
        case 1:
            header = bytearray(chunks[0][1])
            header[random.randrange(8, 13)] = random.randrange(256)
            chunks[0] = (chunks[0][0], bytes(header))
        case 2:
            bomb = zlib.compress(bytes(20_000_000))
            kind, data = random.choice(
                (
                    (b"iCCP", b"x\0\0" + bomb),
                    (b"zTXt", b"x\0\0" + bomb),
                    (b"iTXt", b"x\0\1\0\0\0" + bomb),
                    (b"IDAT", bomb),
                )
            )
            chunks.insert(random.randint(1, len(chunks) - 1), (kind, data))
        case 3:
            chunks.insert(random.randrange(len(chunks)), random.choice(chunks))
        case _:
            random.shuffle(chunks)
    return content[:8] + b"".join(png_chunk(kind, data) for kind, data in chunks)


def mutated_image(files: list[ImageFile], random: Random) -> ImageFile:
    """One of some image files, with its content changed once to three times, or under the suffix of another."""
    content, suffix = random.choice(files)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        content = _changed(content, files, random)
    if random.randrange(10) == 0:
        suffix = random.choice(files).suffix
    return ImageFile(content, suffix)


def _changed(content: bytes, files: list[ImageFile], random: Random) -> bytes:
    if len(content) < 2:
        return content
    if content.startswith(b"\x89PNG") and random.randrange(2):
        try:
            return _rearranged_png(content, random)
        except (struct.error, IndexError):  # of a PNG that was changed before
            pass
    first, second = sorted(random.choices(range(len(content)), k=2))
    span = content[first:second]
    early = random.randrange(min(len(content), random.choice((32, 128, len(content)))))  # headers are hit more often
    match random.randrange(9):
        case 0 | 1:
            return content[:early] + bytes([content[early] ^ 1 << random.randrange(8)]) + content[early + 1 :]
        case 2:
            return content[:early] + random.randbytes(random.randint(1, 8)) + content[early + 8 :]
        case 3:
            return content[:second]
        case 4:
            return content[:second] + span + content[second:]
        case 5:
            return content[:first] + content[second:]
        case 6:
            number = random.choice((0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1))
            order = random.choice("<>")
            form = "H" if number < 2**16 and random.randrange(2) else "I"
            field = struct.pack(order + form, number)
            return content[:early] + field + content[early + len(field) :]
        case 7:
            return content[:first] + random.choice(files).content[first:]
        case _:
            return content[:first] + bytes(second - first) + content[second:]
