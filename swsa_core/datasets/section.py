"""The config section that all kinds of data sets share, and the support set that a task takes of one."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo

from swsa_core.basics.section import AnyPath, PlainPath, Section


class Support(Section):
    seeds: Annotated[int, Field(ge=2, multiple_of=2)] = 20
    """Number of support images that synthetic anomalies are made from. Each source makes (seeds / 2)² anomalies per task."""


def _checked(value: Any, info: ValidationInfo) -> Any:
    """`value` as the function "templates" of the validation's context returns it, which raises where it is of no use.

    What templates may be is known to the CLIP candidates. Data sets come before those, so the config brings the check.
    """
    return info.context["templates"](value) if info.context and value is not None else value


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


class Official(Dataset):
    archive: PlainPath | None = None
    """Path of your own copy of the official archive, which `snakemake datasets` then uses instead of a download."""


class Licensed(Official):
    accept_license: bool = False
    """Whether you accept the licence that `snakemake datasets` names."""
