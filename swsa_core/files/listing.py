"""Listing image files and directories, and saying what is missing."""

import os
from pathlib import Path

from swsa_core.basics.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


def images(directory):
    """Sorted names of the image files in a directory, known by their suffix; hidden files are no images."""
    return sorted(
        name for name, is_directory in _entries(directory) if not is_directory and name.lower().endswith(SUFFIXES)
    )


def directories(directory):
    """Sorted names of the sub-directories that are not hidden."""
    return sorted(name for name, is_directory in _entries(directory) if is_directory)


def directories_below(directory):
    """A directory and all its sub-directories, depth first; links back to a parent are not followed."""
    below = [directory / name for name in directories(directory)]
    return [directory, *(deep for path in below if not _is_loop(path) for deep in directories_below(path))]


def images_below(directory):
    """Sorted paths, relative to `directory`, of all image files in it and below."""
    found = (
        (folder / name).relative_to(directory) for folder in directories_below(directory) for name in images(folder)
    )
    return sorted(path.as_posix() for path in found)


def require(root, names, expected):
    """Return `root` as a Path if it holds the files or directories `names`; `expected` describes the layout in the error."""
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"root {str(root)!r} is not a directory; expected {expected}")
    if missing := [name for name in names if not (root / name).exists()]:
        raise InputError(f"root {str(root)!r} lacks {', '.join(map(str, missing))}; expected {expected}")
    return root


def _is_loop(path):
    return path.is_symlink() and path.parent.resolve().is_relative_to(path.resolve())


def _entries(directory):
    """(name, is a directory) of everything that is not hidden."""
    try:
        with os.scandir(directory) as entries:
            found = [(entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise InputError(f"directory {str(directory)!r} cannot be listed: {error.strerror}") from error
    for name, _ in found:
        if not name.isascii():
            _check_unicode(name, directory)
    return found


def _check_unicode(name, directory):
    """Tables are UTF-8: a name of other bytes could not be written to them."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(f"{name!r} in {str(directory)!r} is not a UTF-8 name: rename it") from None
