"""Functions of the user's own, which a config names as module:function.

A module is looked for as Python does it, and last in the working directory. Nothing of it is run before it is loaded, but the
packages that it lies in.
"""

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean
from swsa_core.files.provenance import file_sha256


def parts_of(name: str) -> tuple[str, str]:
    """(module, function) of module:function. Raises ValueError where it is none.

    >>> parts_of("mypackage.mine:features")
    ('mypackage.mine', 'features')
    """
    module, _, function = name.partition(":")
    if not function.isidentifier() or not all(step.isidentifier() for step in module.split(".")):
        raise ValueError(f"expected module:function, such as mypackage.mine:features, received {name!r}")
    return module, function


def _formed(name):
    parts_of(name)
    return name


Named = Annotated[str, AfterValidator(_formed)]


def source_of(name: str) -> str:
    """Path of the file that a function is looked for in. Raises InputError where there is no such module."""
    try:
        module, _ = parts_of(name)
    except ValueError as error:
        raise InputError(str(error)) from None
    _with_working_directory()
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # of the package that it lies in
        found = None
    except Exception as error:
        raise InputError(f"{name}: its package cannot be imported: {_told(error)}") from error
    if found is None or not found.origin or not found.origin.endswith(".py"):
        raise InputError(
            f"{name}: there is no module {module!r} in Python's packages or the working directory, {Path.cwd()}: write "
            f"{module.replace('.', '/')}.py there, or install the package"
        )
    return found.origin


def digest_of(name: str) -> str:
    """SHA-256 of the file that a function stands in."""
    return file_sha256(source_of(name))


@cache
def function_of(name: str) -> Callable[..., Any]:
    """The function. Raises InputError for a module that cannot be imported, and for what is not in it or no function."""
    source_of(name)
    module, function = parts_of(name)
    try:
        found = getattr(importlib.import_module(module), function, None)
    except Exception as error:
        raise InputError(f"{name}: {module} cannot be imported: {_told(error)}") from error
    if not callable(found):
        known = [key for key, value in vars(sys.modules[module]).items() if callable(value) and not key.startswith("_")]
        raise InputError(f"{name}: {module} has no function {function!r}: {did_you_mean(function, known)}")
    return found


def call(name: str, *arguments: Any, of: str) -> Any:
    """What the function returns; `of`: what it was asked for, for the InputError that an exception of it becomes."""
    try:
        return function_of(name)(*arguments)
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise InputError(f"{name} fails for {of}: {_told(error)}") from error


def array_from(name: str, *arguments: Any, of: str) -> np.ndarray:
    """What the function returns as an array, also where it is a tensor; arguments: as of `call`.

    Raises InputError for what is no array of numbers, as rows of different lengths.
    """
    found = call(name, *arguments, of=of)
    try:
        if type(found).__module__.partition(".")[0] == "torch":
            found = found.detach().cpu().numpy()
        return np.asarray(found)
    except Exception as error:
        raise InputError(f"{name} returned no array for {of}: {_told(error)}") from error


def _told(error):
    """An exception in a line, with where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__}: {error} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"


def _with_working_directory():
    """Let modules of the working directory be found after all others, in this process and those that it forks."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
        importlib.invalidate_caches()
