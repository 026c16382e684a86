"""The rows of a partial file, which a later job may go on with: those that count as done are whole, whatever ended the job.

They are laid out in advance, contiguous and uncompressed, so that a killed process cannot damage the structure. Those below the
attribute `done` are trusted, and only where each is as its checksum has it.
"""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.files.machine import fault, sync, writing

Columns = Mapping[str, tuple[tuple[int, ...], Any]]
"""{name: (shape of one row, dtype)}."""
IDENTITY = "identity"  # array of a partial file alone, written when it is laid out: what it was begun with
CHECKS = "row checksums"  # array of a partial file: CRC-32 of each row's numbers
CHECKED = 2**24  # bytes at a time


class Rows:
    """The columns of an open partial file; `done` is the number of rows written so far."""

    def __init__(self, file: h5py.File, path: Path, columns: Columns, total: int, done: int) -> None:
        self._file, self._path, self._columns, self._total = file, path, columns, total
        self.done = done
        self.kept = np.ones(total, bool)
        self.attributes: dict[str, Any] = {}

    def append(self, **arrays: np.ndarray | Sequence[Any]) -> None:
        """Write the next rows of every column: arrays of one common length."""
        lengths = {name: len(array) for name, array in arrays.items()}
        if set(arrays) != set(self._columns) or len(set(lengths.values())) != 1:
            raise ValueError(f"expected rows of one length for {sorted(self._columns)}, received {lengths}")
        end = self.done + next(iter(lengths.values()))
        with writing(self._path, self.needed):
            for name, array in arrays.items():
                self._file[name][self.done : end] = array
            self._file[CHECKS][self.done : end] = self._checks(arrays)
            self._file.flush()  # a process killed from here on has handed over the rows
            sync(self._file.id.get_vfd_handle())  # and a power cut from here on finds them, before they count as done
            self._count(end)

    def read(self, name: str) -> np.ndarray:
        """The rows of a column so far; text comes as str objects."""
        column = self._file[name]
        return (column.asstr() if h5py.check_string_dtype(column.dtype) else column)[: self.done]

    def rewind(self, done: int) -> None:
        """Go back to row `done`: those from there on are to be written again."""
        with writing(self._path):
            self._count(min(done, self.done))

    @property
    def needed(self) -> int:
        """Bytes of the rows that are still to be written."""
        return (self._total - self.done) * row_bytes(self._columns)

    def keep(self, rows: np.ndarray, **attributes: Any) -> None:
        """Let the finished file hold only `rows`, (total,) bool, and `attributes` beside those given before."""
        self.kept, self.attributes = np.asarray(rows), attributes

    def discard(self) -> None:
        """Remove the partial file, of a writer that leaves it."""
        self._path.unlink()

    def is_whole(self) -> bool:
        """Whether the rows so far are what was written."""
        step = max(1, CHECKED // row_bytes(self._columns))
        spans = ((start, min(start + step, self.done)) for start in range(0, self.done, step))
        return all(
            (
                self._checks({name: self._file[name][start:end] for name in self._columns})
                == self._file[CHECKS][start:end]
            ).all()
            for start, end in spans
        )

    def _checks(self, arrays):
        """CRC-32 of the numbers of some rows, as the file has them."""
        found = np.zeros(len(next(iter(arrays.values()))), np.uint32)
        for name, (_, dtype) in self._columns.items():
            if h5py.check_string_dtype(np.dtype(dtype)) is None:
                for row, values in enumerate(np.asarray(arrays[name], dtype)):
                    found[row] = zlib.crc32(values.tobytes(), int(found[row]))
        return found

    def _count(self, done):
        self._file.attrs["done"] = done
        self._file.flush()
        self.done = done


def begun_with(partial: Path) -> str | None:
    """What a partial file was begun with, None where it is damaged. Raises InputError where the machine cannot read it."""
    try:
        with h5py.File(partial, "r") as file:
            return file[IDENTITY][()].decode() if CHECKS in file else None  # as older versions left it
    except (OSError, RuntimeError, KeyError) as error:
        if sentence := fault(error, partial, "read"):
            raise InputError(sentence) from error
        return None


def is_begun(file: h5py.File) -> bool:
    """Whether a file is a partial one, laid out to its end."""
    return IDENTITY in file


def lay_out(file: h5py.File, total: int, columns: Columns) -> None:
    """Make the columns of a partial file."""
    file[CHECKS] = np.zeros(total, np.uint32)  # written now, so that it has its place before the disk may get full
    for name, (shape, dtype) in columns.items():
        file.create_dataset(name, (total, *shape), dtype)


def begin(file: h5py.File, identity: str) -> None:
    """Let a partial file that is laid out count as begun with `identity`, and no row of it as done."""
    file.attrs["done"] = 0
    file.flush()
    file[IDENTITY] = identity
    file.flush()


def row_bytes(columns: Columns) -> int:
    """Bytes of one row of all columns."""
    return sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in columns.values())
