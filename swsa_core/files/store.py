"""Arrays in HDF5 files. Nothing half-written is ever taken for whole.

`writer` fills `X.partial` beside X and makes X of it when complete. A partial file of the same inputs and settings is
resumed: its rows are laid out in advance, contiguous and uncompressed, so that a killed process cannot damage the
structure, and only the rows below its `done` attribute are trusted, and these only where each
is as its checksum has it.
"""

import json
import math
import os
import zlib
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
from swsa_core.files import checksums
from swsa_core.files.kept import kept
from swsa_core.files.machine import check_room, fault, reading, sync, writing
from swsa_core.files.text import beside, replacing

Columns = Mapping[str, tuple[tuple[int, ...], Any]]
"""{name: (shape of one row, dtype)}."""
COPIED = 2**24  # bytes at a time
# What a file that others made may hold, which is checked before memory is sized by it.
MOST_DEFLATED = 1032  # bytes that zlib makes of one, as its documentation has it
READ_AT_ONCE = 2**26  # bytes of text, should every one be as long as there is room for
FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
CHECKS = "row checksums"  # array of a partial file: CRC-32 of each row's numbers
MADE_OF = "made_of"  # attribute of files that `writer` keeps: SHA-256 of the header and the constants


class _Rows:
    """The columns of an open partial file; `done` is the number of rows written so far."""

    def __init__(self, file, path, columns, total, done):
        self._file, self._path, self._columns, self._total = file, path, columns, total
        self.done = done
        self.kept, self.attributes = np.ones(total, bool), {}

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
        return _values(self._file[name])[: self.done]

    def rewind(self, done: int) -> None:
        """Go back to row `done`: those from there on are to be written again."""
        with writing(self._path):
            self._count(min(done, self.done))

    @property
    def needed(self) -> int:
        """Bytes of the rows that are still to be written."""
        return (self._total - self.done) * _row_bytes(self._columns)

    def keep(self, rows: np.ndarray, **attributes: Any) -> None:
        """Let the finished file hold only `rows`, (total,) bool, and `attributes` beside those given before."""
        self.kept, self.attributes = np.asarray(rows), attributes

    def discard(self) -> None:
        """Remove the partial file, of a writer that leaves it."""
        self._path.unlink()

    def is_whole(self) -> bool:
        """Whether the rows so far are what was written."""
        step = max(1, COPIED // _row_bytes(self._columns))
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
) -> Iterator[_Rows]:
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
    path = Path(path)
    with writing(path):
        partial = beside(path, ".partial")
    known = {name: np.asarray(values) for name, values in (constants or {}).items()}
    identity = json.dumps(
        [header, total, {name: values.tolist() for name, values in known.items()}], sort_keys=True, default=str
    )
    place, made_of = kept(path) if keep else path, sha256(identity.encode()).hexdigest()
    if keep and place.exists() and _made_of(place) == made_of:
        partial.unlink(missing_ok=True)  # of a run that ended between completing the file and removing this
        with reading(place, "HDF5"):
            file, _ = _opened(place)
        with file:  # an error of the caller's is none of the file's
            yield _Rows(file, place, columns, total, done=total)
        return
    if partial.exists() and _identity(partial) != identity:
        log(f"{partial}: discarded, it is damaged or was begun with other inputs or settings")
        partial.unlink()
    with _open_to_write(partial, "a") as file:
        with writing(partial):
            if "identity" not in file:
                _lay_out(file, total, columns, known, attributes, identity)
            rows = _Rows(file, partial, columns, total, done=int(file.attrs["done"]))
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
        check_room(path, needed := int(rows.kept.sum()) * _row_bytes(plain))
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
        arrays = {name: _values(file[name], room) for name in wanted}
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
    """(The HDF5 file `path`, open for reading, what `_check` returns): it holds what was written, and nothing strange."""
    checksums.verify(path)
    file = h5py.File(path, "r")
    try:
        return file, _check(file, path)
    except BaseException:
        file.close()
        raise


def _check(file, path):
    """Raise InputError unless a file is complete, and holds all of its arrays in itself.

    Nothing is read of them here: what a file claims of them must not size the memory before it is known to be possible.
    Returns the bytes of the file beside its arrays, where text of any length lies.
    """
    if "identity" in file:
        raise InputError(f"{path} is not complete: delete it and run again")
    links = []
    file.visititems_links(lambda name, link: links.append((name, link)))  # which follows none of them
    room = os.path.getsize(path)
    for name, link in links:
        if not isinstance(link, h5py.HardLink):
            raise _unlike(path, name, "which is a link to another place")
        if isinstance(file[name], h5py.Group):
            continue
        if problem := _problem(file[name], room):
            raise _unlike(path, name, problem)
        room -= file[name].id.get_storage_size()
    for name in file.attrs:
        attribute = file.attrs.get_id(name)
        if attribute.shape != () or not _is_plain(attribute.dtype):
            raise _unlike(path, name, "which is neither one number nor one text")
    return room


def _unlike(path, name, problem):
    return InputError(f"{path} holds {name!r}, {problem}; this is no result of SWSA: delete it and run again")


def _problem(item, room):
    """What keeps the array `item` from being one that this module wrote; room: bytes that there are for it. "" for nothing."""
    if not isinstance(item, h5py.Dataset):
        return "which is no array"
    if item.is_virtual or item.external is not None:
        return "an array that lies in another file"
    if not _is_plain(item.dtype):
        return f"whose type is {item.dtype}, neither numbers nor text"
    wanted, held = math.prod(item.shape) * item.id.get_type().get_size(), item.id.get_storage_size()
    if held > room:
        return f"of {held:,} bytes, more than there are in the file"
    plan = item.id.get_create_plist()
    filters = {plan.get_filter(i)[0] for i in range(plan.get_nfilters())}
    if not filters <= set(FILTERS):
        return "which is compressed in a way that is not known here"
    most = held * MOST_DEFLATED if h5py.h5z.FILTER_DEFLATE in filters else held
    if wanted > most or (item.chunks and math.prod(item.chunks) * item.dtype.itemsize > wanted):
        return f"which claims {wanted:,} bytes, but only {held:,} of it are in the file"
    return ""


def _is_plain(dtype):
    """Whether a type is of numbers, truth values or text."""
    return dtype.kind in "biuf" or h5py.check_string_dtype(dtype) is not None


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


def _identity(partial):
    """What a partial file was begun with, None where it is damaged. Raises InputError where the machine cannot read it."""
    try:
        with h5py.File(partial, "r") as file:
            return file["identity"][()].decode() if CHECKS in file else None  # as older versions left it
    except (OSError, RuntimeError, KeyError) as error:
        if sentence := fault(error, partial, "read"):
            raise InputError(sentence) from error
        return None


def _made_of(path):
    """What a finished file says that it was made of, None where it is damaged or says nothing."""
    try:
        with h5py.File(path, "r") as file:
            return file.attrs.get(MADE_OF)
    except (OSError, RuntimeError) as error:
        if sentence := fault(error, path, "read"):
            raise InputError(sentence) from error
        return None


def _lay_out(file, total, columns, constants, attributes, identity):
    """Make the columns of a partial file, and what is known in advance; with `identity` it is begun."""
    file[CHECKS] = np.zeros(total, np.uint32)  # written now, so that it has its place before the disk may get full
    for name, (shape, dtype) in columns.items():
        file.create_dataset(name, (total, *shape), dtype)
    _put(file, constants, attributes)
    file.attrs["done"] = 0
    file.flush()
    file["identity"] = identity
    file.flush()


def _row_bytes(columns):
    return sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in columns.values())


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


def _values(dataset, room=None):
    """All of a dataset; text comes as str objects. room: bytes that there are for text of any length."""
    if h5py.check_string_dtype(dataset.dtype) is None:
        return dataset[()]
    return _text(dataset, room) if room and dataset.ndim and dataset.dtype.kind == "O" else dataset.asstr()[()]


def _text(dataset, room):
    """Text of any length, a few rows at a time: many rows may point to one long text, which would fill the memory."""
    read, parts, left = dataset.asstr(), [np.empty((0, *dataset.shape[1:]), object)], room
    rows = max(1, READ_AT_ONCE // (room * max(1, math.prod(dataset.shape[1:]))))
    for start in range(0, len(dataset), rows):
        parts.append(read[start : start + rows])
        left -= sum(map(len, parts[-1].flat))
        if left < 0:
            raise ValueError(f"{dataset.name} holds more text than the file has bytes")
    return np.concatenate(parts)
