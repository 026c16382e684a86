"""What the installed version of a model library has, by its own listing, kept in a file.

Importing torchvision, timm or open_clip, and torch with them, takes seconds, which reading a config must not. So the names are
listed once in a process of their own, and kept in the user's cache, one file for each library and version. Of a library that is
not installed nothing is known, and no name is refused: then the library itself does it when it loads the model.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

LAYOUT = 3  # of the files: raise it when a function that lists returns something else


@cache
def catalogue(package: str, listed: Callable[[], Any]) -> Any:
    """What `listed()` returns, by way of JSON, with the installed version of `package`; None where it is not installed.

    listed: function at the top of a module; it imports the library, and runs where nothing is kept of this version yet.
    """
    try:
        name, place = f"{package}-{version(package)}.json", folder()
    except PackageNotFoundError:
        return None
    if place is None:
        return _run(listed)
    path = place / name
    with suppress(OSError, ValueError):
        return json.loads(path.read_text(encoding="utf-8"))
    found = _run(listed)
    if found is not None:
        with suppress(OSError):  # a cache that cannot be written: the listing is for this run alone
            _keep(path, found)
    return found


def folder() -> Path | None:
    """Where listings are kept: below $XDG_CACHE_HOME, or ~/.cache; None for a user who has no home directory."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    cache = given if given.is_absolute() else Path(os.path.expanduser("~/.cache"))
    return cache / "swsa" / f"models-{LAYOUT}" if cache.is_absolute() else None


def _run(listed: Callable[[], Any]) -> Any:
    """What `listed()` returns in a process of its own; None where it fails, as with a library that is broken."""
    code = f"import json; from {listed.__module__} import {listed.__name__} as listed; print(json.dumps(listed()))"
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    try:
        return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
    except (IndexError, ValueError):
        return None


def _keep(path: Path, found: Any) -> None:
    """Write a listing in one step, as several processes may do it at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=path.parent, suffix=".part", encoding="utf-8", delete=False) as file:
        json.dump(found, file)
    os.replace(file.name, path)
