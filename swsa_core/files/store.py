"""Arrays in HDF5 files. Nothing half-written is ever taken for whole.

`writer` fills `X.partial` beside X (`swsa_core.files.partial_rows`) and makes X of it when complete; a partial file of the same
inputs and settings is resumed. What is read may come from others (`swsa_core.files.foreign_hdf5`).
"""

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.files import checksums, foreign_hdf5
from swsa_core.files.kept import kept
from swsa_core.files.machine import check_room, fault, reading, writing
from swsa_core.files.partial_rows import Columns, Rows, begin, begun_with, is_begun, lay_out, row_bytes
from swsa_core.files.text import beside, replacing

COPIED = 2**24  # bytes at a time
MADE_OF = "made_of"  # attribute of files that `writer` keeps: SHA-256 of the header and the constants


@contextmanager
def writer(
    path: Path | str,
    total: int,
    columns: Columns,
    header: Any,
    constants: Mapping[str, np.ndarray | Sequence[Any]] | None = None,
    attributes: Mapping[str, Any] | None = None,
    compress: Collection[str] = (),
    scratch: Collection[str] = (),
    keep: bool = False,
    leave: bool = False,
    log: Callable[[str], None] = print,
) -> Iterator[Rows]:
    """Resumable writer of an HDF5 file with `total` rows, complete at `path` when the block ends without an error.

    columns: {name: (shape of one row, dtype)}, filled by `append`; callers that resume start at the yielded `done`.
        For text: `text_type`.
    header: what the rows depend on (inputs, settings), JSON-serialisable; a partial file of another header is discarded.
    constants: {name: array or list of str}, known in advance: ids, tasks.
    attributes: {name: str or number} of the file.
    compress: names of the columns that the finished file holds in gzip, a row a chunk.
    scratch: names of the columns that the finished file does not hold.
    keep: complete at `kept(path)` instead, from where `files.kept.take` brings it to `path`; a file that is there already is
        taken as it is where it was made of the same header and constants.
    leave: leave the partial file for the caller to `discard`, once other files of its job are complete too: of a job that does
        not end, Snakemake removes the complete ones.
    Raises ValueError when the block ends with fewer than `total` rows.
    """
    if keep and leave:
        raise ValueError("a file that is kept has no partial one to leave")
    path = Path(path)
    with writing(path):
        partial = beside(path, ".partial")
    known = {name: np.asarray(values) for name, values in (constants or {}).items()}
    identity = json.dumps(
        [header, total, {name: values.tolist() for name, values in known.items()}], sort_keys=True, default=str
    )
    place, made_of = kept(path) if keep else path, sha256(identity.encode()).hexdigest()
    if keep and place.exists() and _made_of(place) == made_of:
        with suppress(OSError):  # of a run that ended between completing the file and removing this, which does no harm
            partial.unlink()
        with reading(place, "HDF5"):
            file, _ = _opened(place)
        with file:  # an error of the caller's is none of the file's
            yield Rows(file, place, columns, total, done=total)
        return
    if partial.exists() and begun_with(partial) != identity:
        log(f"{partial}: discarded, it is damaged or was begun with other inputs or settings")
        partial.unlink()
    with _open_to_write(partial, "a") as file:
        with writing(partial):
            if not is_begun(file):
                lay_out(file, total, columns)
                _put(file, known, attributes)
                begin(file, identity)
            rows = Rows(file, partial, columns, total, done=int(file.attrs["done"]))
            if not rows.is_whole():
                log(f"{partial}: begun anew, some of its {rows.done} rows are damaged")
                rows.rewind(0)
        check_room(partial, rows.needed)
        if rows.done:
            log(f"{path}: going on after {rows.done} of {total} rows of an interrupted run")
        yield rows
        if rows.done != total:
            raise ValueError(f"{path}: {rows.done} rows were written, expected {total}")
        plain = {name: column for name, column in columns.items() if name not in {*scratch, *compress}}
        check_room(path, needed := int(rows.kept.sum()) * row_bytes(plain))
        with replacing(place, needed) as finished, _open_to_write(finished, "w") as target:
            for name in (name for name in columns if name not in scratch):
                _copy(file[name], target, name, rows.kept, compressed=name in compress)
            of_kept = {name: values[rows.kept] for name, values in known.items()}
            _put(target, of_kept, dict(attributes or {}) | rows.attributes | ({MADE_OF: made_of} if keep else {}))
    if not leave:
        rows.discard()


def write(
    path: Path | str,
    arrays: Mapping[str, np.ndarray | Sequence[Any]],
    attributes: Mapping[str, Any] | None = None,
    compress: Collection[str] = (),
) -> None:
    """Write {name: array or list of str} to an HDF5 file in one go; names may be nested as "group/name".

    compress: names of the arrays that are stored in gzip, a row a chunk.
    """
    plain = {name: np.asarray(values) for name, values in arrays.items() if name not in compress}
    needed = sum(values.nbytes for values in plain.values() if values.dtype.kind not in "UO")
    with replacing(path, needed) as finished:
        check_room(path, needed)
        with _open_to_write(finished, "w") as file:
            for name in compress:
                _copy(arrays[name], file, name, np.ones(len(arrays[name]), bool), compressed=True)
            _put(file, plain, attributes)


def read(
    path: Path | str,
    names: Collection[str] | None = None,
    without: Collection[str] = (),
    needed: Collection[str] = (),
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays {name: array} and attributes {name: value} of an HDF5 file; text comes as str objects.

    names: of the arrays, all but those in `without` when left out; needed: of those that must be there.
    Raises InputError that names the file when it is not whole or not what was written, lacks a name, holds a value that is
    not finite or what `writer` never writes, or its columns differ in length (columns in groups are not compared).
    """
    with _reading(path) as (file, room):
        found = []
        file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
        if missing := {*(names or ()), *needed} - set(found):
            raise InputError(f"{path} lacks {sorted(missing)}; it holds {sorted(found)}: delete it and run again")
        wanted = names or [name for name in found if name not in without]
        arrays = {name: foreign_hdf5.values_of(file[name], room) for name in wanted}
        attributes = dict(file.attrs)
    lengths = {name: len(values) for name, values in arrays.items() if "/" not in name and values.ndim}
    if len(set(lengths.values())) > 1:
        raise InputError(f"{path} is damaged, its columns differ in length ({lengths}): delete it and run again")
    for name, values in arrays.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise InputError(f"{path} holds values in {name!r} that are not finite")
    return arrays, attributes


class OnDisk:
    """Rows of an array in an HDF5 file: indexing picks among them, `np.asarray` reads those picked, in their order."""

    def __init__(self, path: Path | str, name: str, rows: np.ndarray | None = None) -> None:
        self.path, self.name = str(path), name
        self.rows = np.arange(count_rows(path, name)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any) -> "OnDisk":
        return OnDisk(self.path, self.name, self.rows[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        with reading(self.path, "HDF5"):
            array = open_file(self.path)[self.name]
            wanted, place = np.unique(self.rows, return_inverse=True)
            found = array[wanted] if len(wanted) else np.empty((0, *array.shape[1:]), array.dtype)
        return np.asarray(found[place], dtype=dtype)


def count_rows(path: Path | str, name: str) -> int:
    """Number of rows of the array `name` in an HDF5 file."""
    with _reading(path) as (file, _):
        return len(file[name])


def open_file(path: Path | str) -> h5py.File:
    """The HDF5 file at `path`, to read some rows of its arrays; it stays open until another one is asked for."""
    with reading(path, "HDF5"):
        return _open(str(path), os.getpid())


def check_same(attributes: Mapping[Any, Mapping[str, Any]], names: Iterable[str]) -> None:
    """Raise InputError, naming two files, where they differ in one of the attributes `names`.

    attributes: {path: attributes of that file}.
    """
    for (path, mine), (other, others) in pairwise(attributes.items()):
        for name in names:
            if mine.get(name) != others.get(name):
                raise InputError(
                    f"{path} and {other} do not belong together, {name} is {mine.get(name)!r} in the one and "
                    f"{others.get(name)!r} in the other: delete both and run again"
                )


def text_type(n_bytes: int) -> np.dtype:
    """dtype of a column of text, at most `n_bytes` of UTF-8 a row."""
    return h5py.string_dtype("utf-8", n_bytes)


@contextmanager
def _reading(path):
    with reading(path, "HDF5"):
        file, room = _opened(path)
        with file:
            yield file, room


def _opened(path):
    """(HDF5 file, open for reading, what `foreign_hdf5.check` returns): it holds what was written, and nothing strange."""
    checksums.verify(path)
    file = h5py.File(path, "r")
    try:
        if is_begun(file):
            raise InputError(f"{path} is not complete: delete it and run again")
        return file, foreign_hdf5.check(file, path)
    except BaseException:
        file.close()
        raise


@contextmanager
def _open_to_write(path, mode):
    """An HDF5 file that is open for writing. After an error, one that closing it brings, too, is passed over."""
    with writing(path):
        file = h5py.File(path, mode)
    try:
        yield file
    except BaseException:
        with suppress(OSError, RuntimeError):
            file.close()
        raise
    with writing(path):
        file.close()


@lru_cache(maxsize=1)
def _open(path, process):
    """The HDF5 file `path`, opened by each `process` for itself: a handle must not cross a fork."""
    return _opened(path)[0]


def _made_of(path):
    """What a finished file says that it was made of, None where it is damaged or says nothing."""
    try:
        with h5py.File(path, "r") as file:
            return file.attrs.get(MADE_OF)
    except (OSError, RuntimeError) as error:
        if sentence := fault(error, path, "read"):
            raise InputError(sentence) from error
        return None


def _put(file, arrays, attributes):
    for name, values in arrays.items():
        file[name] = values.astype(h5py.string_dtype()) if values.dtype.kind in "UO" else values
    file.attrs.update(attributes or {})


def _copy(source, target, name, kept, compressed):
    """Copy the rows `kept`, (n,) bool, of an array or HDF5 dataset, a few at a time."""
    row_shape, n = source.shape[1:], int(kept.sum())
    options = {"compression": "gzip", "compression_opts": 4, "shuffle": True, "chunks": (1, *row_shape)}
    rows = target.create_dataset(name, (n, *row_shape), source.dtype, **(options if compressed and n else {}))
    count = max(1, COPIED // max(1, source.dtype.itemsize * int(np.prod(row_shape))))
    done = 0
    for start in range(0, len(source), count):
        part = source[start : start + count][kept[start : start + count]]
        rows[done : done + len(part)] = part
        done += len(part)
