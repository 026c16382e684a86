"""Text files, JSON and CSV tables: written beside their place and put there whole, told by name when they cannot be read."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from swsa_core.basics.errors import InputError
from swsa_core.files import checksums
from swsa_core.files.machine import reading, sync, writing


def write_table(path: Path | str, frame: pd.DataFrame, columns: Iterable[str]) -> None:
    """Write a DataFrame as CSV with exactly `columns`, in that order. Raises ValueError when others are there."""
    if set(frame.columns) != set(columns):
        raise ValueError(f"{path}: expected columns {list(columns)}, received {list(frame.columns)}")
    with replacing(path) as finished:
        frame[list(columns)].to_csv(finished, index=False)


def read_table(path: Path | str, columns: Iterable[str] = (), text: Iterable[str] = ()) -> pd.DataFrame:
    """CSV as a DataFrame, floats exactly as written. `columns` must be there; `text` columns stay str ("" when empty)."""
    checksums.verify(path)
    with reading(path, "a CSV table"):
        frame = pd.read_csv(path, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values=[""])
    if missing := set(columns) - set(frame.columns):
        raise InputError(f"{path} lacks the columns {sorted(missing)}; it has {list(frame.columns)}")
    return frame.fillna(dict.fromkeys(text, ""))


def write_json(path: Path | str, value: Any, checksum: bool = True) -> None:
    """Write `value` as indented JSON; checksum: as of `replacing`."""
    write_bytes(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode(), checksum)


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8."""
    write_bytes(path, text.encode())


def write_bytes(path: Path | str, content: bytes, checksum: bool = True) -> None:
    """Write a file that is made in memory; checksum: as of `replacing`."""
    with replacing(path, len(content), checksum) as finished:
        finished.write_bytes(content)


def read_json(path: Path | str) -> Any:
    """The value of a JSON file. Raises InputError that names the file when it cannot be read, or has a key twice."""
    text = read_text(path, "JSON")
    with reading(path, "JSON"):
        return json.loads(text, object_pairs_hook=_once)


def read_text(path: Path | str, kind: str = "text") -> str:
    """The text of a file of results; kind: what it is, for the error that names it where it cannot be read."""
    checksums.verify(path)
    with reading(path, kind):
        return Path(path).read_text(encoding="utf-8")


def _once(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a key stands twice among {[key for key, _ in pairs]}")
    return found


@contextmanager
def replacing(path: Path | str, needed: int | None = None, checksum: bool = True) -> Iterator[Path]:
    """A path beside `path` to write to; it takes `path`'s place when the block ends without an error, on the disk, too.

    needed: bytes that will be written, where they are known. checksum: False for a file that is no result.
    Raises InputError of one sentence for what the machine does meanwhile.
    """
    path = Path(path)
    with writing(path, needed):
        temporary = beside(path, ".tmp")
        kept = checksums.sidecar(path)
        noted, recorded = beside(kept, ".tmp"), checksum and checksums.is_recorded(path)
        try:
            yield temporary
            _sync(temporary)
            if recorded:
                noted.write_text(checksums.record_of(temporary, path), encoding="utf-8")
                _sync(noted)
            # In this order a kill leaves a file without a checksum, which is read, never one beside the checksum of another
            # version of it, which would be refused for ever.
            kept.unlink(missing_ok=True)
            os.replace(temporary, path)
            if recorded:
                os.replace(noted, kept)
            _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
            noted.unlink(missing_ok=True)


def _sync(path):
    """Have a file or a directory on the disk, where a power cut finds it whole."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def beside(path: Path, suffix: str) -> Path:
    """`path` with `suffix` at its end; its directory is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(path.name + suffix)
