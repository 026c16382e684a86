"""Text files, JSON and CSV tables: written beside their place and put there whole, told by name when they cannot be read."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from swsa_core.basics.errors import InputError
from swsa_core.files.machine import fault, reading, writing


def write_table(path: Path | str, frame: pd.DataFrame, columns: Iterable[str]) -> None:
    """Write a DataFrame as CSV with exactly `columns`, in that order. Raises ValueError when others are there."""
    if set(frame.columns) != set(columns):
        raise ValueError(f"{path}: expected columns {list(columns)}, received {list(frame.columns)}")
    with writing(path), replacing(Path(path)) as finished:
        frame[list(columns)].to_csv(finished, index=False)


def read_table(path: Path | str, columns: Iterable[str] = (), text: Iterable[str] = ()) -> pd.DataFrame:
    """CSV as a DataFrame, floats exactly as written. `columns` must be there; `text` columns stay str ("" when empty)."""
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise InputError(fault(error, path, "read") or f"{path} cannot be read as a CSV table: {error}") from error
    if missing := set(columns) - set(frame.columns):
        raise InputError(f"{path} lacks the columns {sorted(missing)}; it has {list(frame.columns)}")
    return frame.fillna(dict.fromkeys(text, ""))


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8."""
    content = text.encode()
    with writing(path, len(content)), replacing(Path(path)) as finished:
        finished.write_bytes(content)


def read_json(path: Path | str) -> Any:
    """The value of a JSON file. Raises InputError that names the file when it cannot be read."""
    with reading(path, "JSON"):
        return json.loads(Path(path).read_text(encoding="utf-8"))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes `path`'s place when the block ends without an error."""
    temporary = beside(path, ".tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def beside(path: Path, suffix: str) -> Path:
    """`path` with `suffix` at its end; its directory is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(path.name + suffix)
