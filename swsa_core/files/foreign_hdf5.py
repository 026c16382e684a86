"""HDF5 files as others may have made them: refused before they name other files to read, or fill the memory.

A file is read only where it holds what `swsa_core.files.store` writes: arrays and attributes of numbers and text.
"""

import math
import os
from pathlib import Path

import h5py
import numpy as np

from swsa_core.basics.errors import InputError

MOST_DEFLATED = 1032  # bytes that zlib makes of one, as its documentation has it
READ_AT_ONCE = 2**26  # bytes of text, should every one be as long as there is room for
FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)


def check(file: h5py.File, path: Path | str) -> int:
    """Raise InputError unless a file holds all of its arrays in itself, and nothing that is never written here.

    Nothing is read of the arrays here: what a file claims of them must not size the memory before it is known to be possible.
    Returns the bytes of the file beside its arrays, where text of any length lies.
    """
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
    """What keeps the array `item` from being one that was written here; room: bytes that there are for it. "" for nothing."""
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


def values_of(dataset: h5py.Dataset, room: int) -> np.ndarray:
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
