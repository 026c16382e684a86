"""What is wrong with a candidate, in a sentence that begins with its config key: seen before its model loads, or in loading."""

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EPERM, EROFS
from textwrap import shorten

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean
from swsa_core.candidates import FAMILIES
from swsa_core.candidates.family import CandidateSpec

# What libraries raise for arguments of the right type and no sense.
ONLY_BY_ARGS = (AttributeError, LookupError, AssertionError, ArithmeticError)


def check_model(candidate: CandidateSpec) -> None:
    """Check a candidate as far as it goes without torch or a download. Raises InputError that begins with its config key."""
    family = candidate["model"].partition(":")[0]
    if family not in FAMILIES:
        raise InputError(f"{key_of(candidate)}: there is no family {family!r}: {did_you_mean(family, FAMILIES)}")
    try:
        FAMILIES[family].check(candidate)
    except InputError as error:
        raise InputError(f"{key_of(candidate)}: {error}") from None


@contextmanager
def loading(candidate: CandidateSpec) -> Iterator[None]:
    """A block that loads a candidate's model: its errors become InputErrors that begin with the candidate's config key."""
    key, (family, _, model) = key_of(candidate), candidate["model"].partition(":")
    try:
        yield
    except InputError as error:
        raise InputError(f"{key}: {error}") from error
    except ImportError as error:
        raise InputError(
            f"{key}: {family} {model!r} needs a package that is not installed ({error}): install it, or take another model"
        ) from error
    except (TypeError, *ONLY_BY_ARGS) as error:
        if isinstance(error, ONLY_BY_ARGS) and not candidate.get("args"):
            raise
        raise InputError(
            f"{key}: {family} {model!r} does not take these `args` {candidate.get('args')} ({one_line(error)})"
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        remedy = "without a network, download its weights elsewhere and name the file under `weights`"
        if getattr(error, "errno", None) in (EACCES, EPERM, EROFS):
            remedy = "set XDG_CACHE_HOME to a directory that can be written, in which libraries keep what they download"
        elif candidate.get("args"):
            remedy = f"check `args`, or {remedy}"
        raise InputError(f"{key}: {family} cannot load {model!r} ({one_line(error)}); {remedy}") from error


def one_line(error: BaseException) -> str:
    """What an error of a library says, on one line and not too long."""
    name = f"{type(error).__name__} " if isinstance(error, ONLY_BY_ARGS) else ""
    return (name + shorten(str(error), 500, placeholder=" …")).strip()


def key_of(candidate: CandidateSpec) -> str:
    """The config key that an error names: the candidate's, or the section of a backbone that is no candidate."""
    return candidate.get("section") or f"candidates.{candidate['name']}"
