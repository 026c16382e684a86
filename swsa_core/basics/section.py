"""What the sections of a config are made of: their base class, and types of keys that several of them share."""

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


PathOrText = TypeVar("PathOrText", Path, str)
PositiveInt = Annotated[int, Field(ge=1, le=10**9)]
# Numbers of which each costs time or memory have bounds of their own, far beyond what makes sense: a slip of a digit is
# told before it fills a machine.
Anomalies = Annotated[int, Field(ge=1, le=100_000)]
Side = Annotated[int, Field(ge=1, le=8192)]


def inconsistent(sentence: str) -> PydanticCustomError:
    """The error for keys that contradict each other; its sentence begins with the key."""
    return PydanticCustomError("consistency", "{sentence}", {"sentence": sentence})


def _all_different(values):
    if duplicates := sorted({str(value) for value in values if values.count(value) > 1}):
        raise ValueError(f"expected different entries, {duplicates} stand there more than once")
    return values


def _without_removed(value):
    """A dict without the entries that a later config file set to null."""
    return {name: entry for name, entry in value.items() if entry is not None} if isinstance(value, dict) else value


# For lists of names: at least one, none twice.
Several = [Field(min_length=1), AfterValidator(_all_different)]
Removable = BeforeValidator(_without_removed)
# For a key that came later, whose null means what was done before: while it is null the validated config lacks it, so that
# what is tracked stays as it was, and studies made before do not run again. Read it with `.get`.
LeftOutIfNull = Field(exclude_if=lambda value: value is None)
Range = Annotated[list[float], Field(min_length=2, max_length=2)]


def plain(path: PathOrText) -> PathOrText:
    """Return `path` if it holds nothing that Snakemake would read as more than a path."""
    if set(str(path)) & set("{}<>"):
        raise ValueError("expected a path without braces and angle brackets, which mean something to Snakemake")
    return path


def not_blank(text: str) -> str:
    """Return `text` without the spaces around it; it must not be empty then."""
    if not text.strip():
        raise ValueError("expected a text that is not blank")
    return text.strip()


def expanded(path: Path) -> Path:
    """`path` with the home directory for a ~ at its beginning."""
    try:
        return path.expanduser()
    except RuntimeError:  # of a user who is not there, or with no HOME
        raise ValueError(
            "expected a path whose ~ stands for a home directory that is there: write the whole path"
        ) from None


AnyPath = Annotated[Path, AfterValidator(expanded)]
PlainPath = Annotated[AnyPath, AfterValidator(plain)]
