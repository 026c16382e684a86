"""How the files of a data set are read where they do not tell it themselves, and how this travels with their paths.

It is a property of a data set, never of one image, and stands in its tables: whoever reads an image by the path of a table
reads it as the others do.
"""

import re
from typing import Any, NamedTuple

MAX_PIXELS = 300_000_000  # of a file that is opened, where its data set does not say otherwise


class Reading(NamedTuple):
    """How the files of a data set are read, where it is not told by the files.

    bits: depth of the samples that stand in 16 bits, 8 to 16; None: 16. value_range: (low, high), the values of samples
    of more than 8 bits that become 0 and 255; it goes before `bits`. max_pixels: images of more are refused.
    """

    bits: int | None = None
    value_range: tuple[float, float] | None = None
    max_pixels: int = MAX_PIXELS


PLAIN = Reading()


def address(path: object, reading: Reading = PLAIN) -> str:
    """What `read_image` takes for a file that is read as `reading` says: the path itself, where that is the default.

    >>> address("a.png"), address("a.png", Reading(bits=10, max_pixels=400_000_000))
    ('a.png', 'read:bits=10;max_pixels=400000000:a.png')
    """
    options: dict[str, Any] = {
        name: value for name, value in reading._asdict().items() if value != getattr(PLAIN, name)
    }
    if not options:
        return str(path)
    if reading.value_range is not None:
        options["value_range"] = ",".join(repr(float(value)) for value in reading.value_range)
    return f"read:{';'.join(f'{name}={value}' for name, value in options.items())}:{path}"


def parse(address: object) -> tuple[str, Reading]:
    """(path of the file, Reading) of what `address` gave."""
    found = re.fullmatch(r"read:((?:bits|value_range|max_pixels)=[^:]*):(.*)", str(address), re.DOTALL)
    if not found:
        return str(address), PLAIN
    options = dict(option.split("=") for option in found[1].split(";"))
    values: dict[str, Any] = {name: int(value) for name, value in options.items() if name != "value_range"}
    if "value_range" in options:
        values["value_range"] = tuple(map(float, options["value_range"].split(",")))
    return found[2], Reading(**values)


def file_of(address: str) -> str:
    """Path of the file of an address, for people to read."""
    return parse(address)[0]
