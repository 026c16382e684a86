"""The config section that all kinds of data sets share, and the support set that a task takes of one."""

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from swsa_core.basics.section import AnyPath, PlainPath, Range, Section, Several, inconsistent
from swsa_core.files.listing import is_pattern
from swsa_core.files.reading import MAX_PIXELS

MOST_SEEDS = 20


class Support(Section):
    seeds: Literal["auto"] | Annotated[int, Field(ge=2, le=2000, multiple_of=2)] = MOST_SEEDS
    """Number of support images that synthetic anomalies are made from. Each source makes (seeds / 2)² anomalies per task.
    `auto` is 20, or fewer where a task has fewer images, of which a tenth may be copies or damaged."""

    @property
    def most(self) -> int:
        """Seeds at most, whatever the images."""
        return MOST_SEEDS if self.seeds == "auto" else self.seeds


def _checked(value: Any, info: ValidationInfo) -> Any:
    """`value` as the function "templates" of the validation's context returns it, which raises where it is of no use.

    What templates may be is known to the CLIP candidates. Data sets come before those, so the config brings the check.
    """
    return info.context["templates"](value) if info.context and value is not None else value


def _ascending(pair: list[float]) -> list[float]:
    if pair[0] >= pair[1]:
        raise ValueError("expected the lower value first, then the higher one")
    if not math.isfinite(pair[1] - pair[0]):
        raise ValueError("expected values that lie less far apart")
    return pair


def _glob(pattern: str) -> str:
    if not is_pattern(pattern):
        raise ValueError("expected a glob pattern such as '*.png', 'cam1' or 'train/*/old'")
    return pattern


Pattern = Annotated[str, AfterValidator(_glob)]


class Dataset(Section):
    root: AnyPath
    """Directory of the data set in its official layout, relative to the working directory."""
    tasks: Literal["all"] | Annotated[list[str], Field(min_length=1)] = "all"
    """Names of the classes or products that become tasks."""
    support: Support | None = None
    """Replaces the top-level `support` for this data set."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What to do about an image that cannot be read: `error` stops, `skip` goes on without it and lists it in the report."""
    allow_missing: bool = False
    """Go on with the images that are on disk if official files name more of them."""
    templates: Annotated[
        str | list[Annotated[list[str], Field(min_length=2, max_length=2)]] | None, BeforeValidator(_checked)
    ] = None
    """Replaces `clip.templates` for this data set."""
    bit_depth: Annotated[int, Field(ge=8, le=16)] | None = None
    """Bits that the camera stored in samples of 16 bits. If left out, all 16 count, and nearly black images are an error."""
    value_range: Annotated[Range, AfterValidator(_ascending)] | None = None
    """The values that become black and white in images of more than 8 bits per sample. Those of 32 bits need it."""
    max_pixels: Annotated[int, Field(ge=1, le=10**11)] = MAX_PIXELS
    """Images of more pixels cannot be read. The limit protects from small files that claim to be huge."""
    include: list[Pattern] = []
    """Glob patterns, relative to `root`, of the files that are used. If left out, all image files are used."""
    exclude: list[Pattern] = []
    """Glob patterns, relative to `root`, of files and directories that are left out. Always left out are
    hidden ones, those of the system, and directories named `thumb`, `thumbs`, `_thumbs`, `thumbnail` or `thumbnails`."""
    on_leak: Literal["warn", "drop", "error"] = "warn"
    """What to do about a test image that is a copy of a training image: `warn`, `drop` it from the test, or stop (`error`)."""

    @model_validator(mode="after")
    def _check_depth(self):
        if self.bit_depth is not None and self.value_range is not None:
            raise inconsistent("bit_depth: `value_range` says how samples are scaled, too; give one of them")
        return self


NormalNames = Annotated[list[str], *Several]
NORMAL_NAMES = ["good", "ok", "normal"]


class Official(Dataset):
    archive: PlainPath | None = None
    """Path of your own copy of the official archive, which `snakemake datasets` then uses instead of a download."""


class Licensed(Official):
    accept_license: bool = False
    """Whether you accept the licence that `snakemake datasets` names."""


# Keys that say how images are listed and read.
READING_KEYS = ("bit_depth", "value_range", "max_pixels", "include", "exclude", "normal_names")
# Keys that came when studies had been made already. Rules track them only where they are not at their default, so that
# those studies do not run again.
LATER = {name: key.default for name, key in Dataset.model_fields.items() if name in (*READING_KEYS, "on_leak")} | {
    "normal_names": NORMAL_NAMES
}
