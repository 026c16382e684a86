"""Listing image files and directories, and saying what is missing or left aside.

Hidden names and those of `SYSTEM` and `THUMBNAILS` are nobody's images. What else is wanted says a `Choice`: patterns of paths
below a root.
"""

import errno
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from swsa_core.basics.errors import CONTROLS, InputError

# The suffixes that Pillow registers for `pixels.FORMATS`, and .mpo, which it opens as JPEG.
SUFFIXES = (
    *(".apng", ".avif", ".avifs", ".blp", ".bmp", ".bw", ".dcx", ".dds", ".dib", ".fit", ".fits", ".flc"),
    *(".fli", ".ftc", ".ftu", ".gbr", ".gif", ".icb", ".im", ".j2c", ".j2k", ".jfif", ".jp2", ".jpc"),
    *(".jpe", ".jpeg", ".jpf", ".jpg", ".jpx", ".mpo", ".msp", ".pbm", ".pcx", ".pfm", ".pgm", ".png"),
    *(".pnm", ".ppm", ".psd", ".pxr", ".qoi", ".ras", ".rgb", ".rgba", ".sgi", ".tga", ".tif", ".tiff"),
    *(".vda", ".vst", ".webp", ".xbm", ".xpm"),
)
COMPANIONS = frozenset(
    (".csv", ".htm", ".html", ".json", ".log", ".mat", ".md", ".pdf", ".rst", ".txt", ".xml", ".yaml", ".yml")
)
KNOWN = COMPANIONS.union(SUFFIXES)
# What file managers, network disks and archivers leave in directories, beside hidden names.
SYSTEM = frozenset(
    ("#recycle", "#snapshot", "$RECYCLE.BIN", "@eaDir", "System Volume Information", "Thumbs.db", "__MACOSX")
    + ("desktop.ini", "ehthumbs.db", "lost+found")
)
# Directories of thumbnails, which show each image again in a smaller size, in upper or lower case.
THUMBNAILS = frozenset(("_thumbs", "thumb", "thumbnail", "thumbnails", "thumbs"))


# Errors that tell of a path where nothing is.
NOTHING = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


class Choice(NamedTuple):
    """Which paths below `root` are wanted: those that a pattern of `include` means (all, where it is empty), and none of
    `exclude`; see `matches`. misnamed: is told, in a sentence, of each entry that is left out because its name cannot be
    written; without it such a name is an InputError."""

    root: str | Path = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    misnamed: Callable[[str], None] | None = None

    def takes(self, path: str | Path) -> bool:
        """Whether the file at `path` is wanted."""
        if not self.include and not self.exclude:
            return True
        below = self._below(path)
        return (not self.include or matches(below, self.include)) and not matches(below, self.exclude)

    def enters(self, path: str | Path) -> bool:
        """Whether files are looked for in the directory at `path`: `exclude` does not mean it."""
        return not self.exclude or not matches(self._below(path), self.exclude)

    def _below(self, path):
        return os.path.relpath(path, self.root).replace(os.sep, "/")


ALL = Choice()


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Whether one of the glob patterns means `path`, relative to a root with slashes, or a directory that it lies in.

    `*`, `?` and `[…]` stay within a name, `**` goes over any number of directories. A pattern without a slash means names
    at every depth, one with a slash the path from the root on. Upper and lower case differ.

    >>> matches("train/cam1/a.png", ["cam1"]), matches("train/cam1/a.png", ["cam1/*.png"])
    (True, False)
    >>> matches("train/cam1/a.png", ["train/*/*.png"]), matches("train/cam1/a.png", ["**/a.*"])
    (True, True)
    """
    return any(_compiled(pattern).fullmatch(path) for pattern in patterns)


def is_pattern(pattern: str) -> bool:
    """Whether a text is a glob pattern that can mean something."""
    try:
        _compiled(pattern)
    except re.error:  # a class such as [z-a]
        return False
    return bool(pattern.removeprefix("./").strip("/ ")) and ".." not in pattern.split("/")


def images(directory: str | Path, choice: Choice = ALL) -> list[str]:
    """Sorted names of the image files in a directory, known by their suffix; hidden files are no images."""
    return sorted(
        name
        for name, is_directory in _entries(directory, choice)
        if not is_directory and name.lower().endswith(SUFFIXES) and choice.takes(f"{directory}/{name}")
    )


def directories(directory: str | Path, choice: Choice = ALL) -> list[str]:
    """Sorted names of the sub-directories that are neither hidden nor the system's nor full of thumbnails."""
    return sorted(
        name
        for name, is_directory in _entries(directory, choice)
        if is_directory and choice.enters(os.path.join(directory, name))
    )


def directories_below(directory: str | Path, choice: Choice = ALL) -> list[Path]:
    """A directory and all its sub-directories, depth first; links back to a directory on the way are not followed."""
    return _directories_below(Path(directory), (), choice)


def images_below(directory: str | Path, choice: Choice = ALL) -> list[str]:
    """Sorted paths, relative to `directory`, of all image files in it and below."""
    found = []
    for folder in directories_below(directory, choice):
        inside = folder.relative_to(directory).as_posix()
        found += [name if inside == "." else f"{inside}/{name}" for name in images(folder, choice)]
    return sorted(found)


def left_aside(directory: str | Path, choice: Choice = ALL) -> dict[str, int]:
    """{suffix: count} of the files in a directory that are wanted, but known neither as images nor as their companions."""
    suffixes = (
        os.path.splitext(name)[1].lower()
        for name, is_directory in _entries(directory, choice)
        if not is_directory and choice.takes(os.path.join(directory, name))
    )
    return dict(sorted(Counter(suffix for suffix in suffixes if suffix not in KNOWN).items()))


def require(root: str | Path, names: Iterable[str | Path], expected: str) -> Path:
    """Return `root` as a Path if it holds the files or directories `names`; `expected` describes the layout in the error."""
    root = Path(root)
    if not is_directory(root):
        raise InputError(f"root {str(root)!r} is not a directory; expected {expected}")
    if missing := [name for name in names if not exists(root / name)]:
        raise InputError(f"root {str(root)!r} lacks {', '.join(map(str, missing))}; expected {expected}")
    return root


def is_directory(path: str | Path) -> bool:
    """Whether there is a directory at a path. Raises InputError where that cannot be seen."""
    found = _stat(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def exists(path: str | Path) -> bool:
    """Whether there is anything at a path. Raises InputError where that cannot be seen."""
    return _stat(path) is not None


def _stat(path):
    """What `os.stat` tells, None where nothing is there."""
    try:
        return os.stat(path)
    except OSError as error:
        if error.errno in NOTHING:
            return None
        raise InputError(f"{str(path)!r} cannot be looked at: {os.strerror(error.errno)}") from error


def _directories_below(directory, above, choice):
    """above: the directories on the way to this one."""
    way = (*above, directory)
    below = [directory / name for name in directories(directory, choice)]
    return [
        directory,
        *(deep for path in below if not _is_loop(path, way) for deep in _directories_below(path, way, choice)),
    ]


def _is_loop(path, way):
    if not path.is_symlink():
        return False
    target = path.resolve()
    return any(step.resolve().is_relative_to(target) for step in way)


def _entries(directory, choice):
    """(name, is a directory) of everything that is neither hidden nor the system's nor a directory of thumbnails."""
    try:
        with os.scandir(directory) as entries:
            found = [(entry.name, _is_directory(entry)) for entry in entries if not _is_left_out(entry.name)]
    except OSError as error:
        path = error.filename if error.filename is not None else str(directory)
        raise InputError(
            f"directory {str(directory)!r} cannot be listed: {os.strerror(error.errno)}, {str(path)!r}"
        ) from error
    misnamed = set()
    for name, _ in found:
        if not (name.isascii() and name.isprintable()):
            try:
                _check_name(name, directory)
            except InputError as error:
                if choice.misnamed is None:
                    raise
                choice.misnamed(str(error))
                misnamed.add(name)
    return [entry for entry in found if entry[0] not in misnamed] if misnamed else found


def _is_left_out(name):
    return name.startswith(".") or name in SYSTEM or name.lower() in THUMBNAILS


def _is_directory(entry):
    """Whether an entry of a directory is one. A link without end that is named like an image is left to `read_image`."""
    try:
        return entry.is_dir()
    except OSError:
        if entry.name.lower().endswith(SUFFIXES):
            return False
        raise


def _check_name(name, directory):
    """Tables are UTF-8, with a line for each image, and are printed: a name that is no such text could not be written there."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(f"{name!r} in {str(directory)!r} is not a UTF-8 name: rename it") from None
    if CONTROLS.search(name) or "\n" in name:
        raise InputError(f"{name!r} in {str(directory)!r} has a control character in its name: rename it")


@cache
def _compiled(pattern):
    """The regular expression of a glob pattern, for the path that it means and all below it."""
    pattern = pattern.removeprefix("./").strip("/")
    pieces = re.findall(
        r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]/]*\]|.", pattern if "/" in pattern else f"**/{pattern}", re.DOTALL
    )
    meanings = {"**/": "(?:.+/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meanings.get(piece) or _characters(piece) for piece in pieces) + "(?:/.*)?", re.DOTALL)


def _characters(piece):
    """One character of a glob pattern, or its class of characters, as a regular expression."""
    if len(piece) == 1:
        return re.escape(piece)
    inside = piece[1:-1].replace("\\", "\\\\").replace("[", "\\[")
    return f"(?!/)[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"
