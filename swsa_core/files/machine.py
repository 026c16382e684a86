"""What the machine did to a file, told from what is wrong in it: a full disk, missing rights, locks, a mount that fails.

Nobody is advised to delete a file that the machine merely could not read.
"""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from swsa_core.basics.errors import InputError

LOCKING = (
    "HDF5_USE_FILE_LOCKING=FALSE in the environment of Snakemake does without them, which is safe as long as a single "
    "Snakemake writes these results"
)
FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your quota of the disk is used up",
}
CAUSES = {
    errno.EFBIG: "it would be larger than its file system or `ulimit -f` allows: raise the limit or use another disk",
    errno.EACCES: "this user has no right to: check the permissions of the file and of its directory",
    errno.EPERM: "this user has no right to: check the permissions of the file and of its directory",
    errno.EROFS: "its file system is read-only: write to another place, or mount it for writing",
    errno.EIO: "the disk or its mount fails: check it, then run again",
    errno.ESTALE: "its network mount was lost: mount it again, then run again",
    errno.EMFILE: "too many files are open: raise `ulimit -n`, then run again",
    errno.ENFILE: "too many files are open on this machine: close some, then run again",
    errno.ENOMEM: "there is no memory left: free some, then run again",
    errno.ENOENT: "it or its directory is not there: run again to have it made",
    errno.EISDIR: "it is a directory, expected a file: move it away",
}
NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)  # of file systems that cannot do it
OF_CONTENTS = (errno.EINVAL, errno.EOVERFLOW)  # addresses in a damaged file lead outside of it


def fault(error: Exception, path: Path | str, doing: str, needed: int | None = None) -> str:
    """One sentence where an error of the system or of HDF5 is the machine's, "" where it tells of the contents.

    doing: "read" or "written", what the file at `path` could not be. needed: bytes that are still to be written.
    """
    number, text = _number(error), str(error)
    if number is None or number in OF_CONTENTS:
        return ""
    if "unable to lock file" in text:
        if number in (errno.EAGAIN, errno.EACCES):
            return (
                f"{path} is being written by another process, perhaps a job whose Snakemake was killed: wait for it or end "
                f"it, then run again; if no process has the file, its file system has no locks: {LOCKING}"
            )
        return f"{path} cannot be {doing}, its file system has no locks ({os.strerror(number)}): {LOCKING}"
    if number in FULL:
        return f"{path} cannot be {doing}, {FULL[number]}: {_room(path, needed)}"
    cause = CAUSES.get(number, "check its path and its disk, then run again")
    return f"{path} cannot be {doing} ({os.strerror(number)}), {cause}"


@contextmanager
def writing(path: Path | str, needed: int | None = None) -> Iterator[None]:
    """Turn what the machine does to the file at `path` while it is written into an InputError of one sentence."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # RuntimeError: what HDF5 raises in closing a file
        if isinstance(error, FileNotFoundError) and Path(error.filename or path).parent != Path(path).parent:
            raise InputError(f"{error.filename} is not there, {path} is made of it: put it back") from error
        if sentence := fault(error, path, "written", needed):
            raise InputError(sentence) from error
        raise


@contextmanager
def reading(path: Path | str, kind: str) -> Iterator[None]:
    """Tell what the machine does to the file at `path` while it is read as `kind` from damage in it, which alone is to be
    deleted: an InputError of one sentence for either."""
    try:
        yield
    except InputError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:  # those of HDF5, JSON and CSV for damage
        damage = (
            f"{path} cannot be read as {kind}, it is damaged ({' '.join(str(error).split())}): delete it and run again"
        )
        raise InputError(fault(error, path, "read") or damage) from error


def sync(descriptor: int) -> None:
    """Have what was written to an open file on the disk before anything else is, as far as its file system can do that."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


def check_room(path: Path | str, needed: int) -> None:
    """Raise InputError unless `needed` bytes are free where `path` is. HDF5 may crash on a disk that gets full."""
    if needed > shutil.disk_usage(Path(path).parent).free:
        raise InputError(f"{path} is not written, the disk has too little room: {_room(path, needed)}")


def _number(error):
    """The error number that the system gave, which HDF5 sometimes hands on in its message alone."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = re.search(r"\berrno = (\d+)", str(error))
    return int(found[1]) if found else None


def _room(path, needed):
    try:
        free = f"{shutil.disk_usage(Path(path).parent).free:,} bytes are free there"
    except OSError:
        free = "how much is free is not known"
    need = "" if needed is None else f"{needed:,} bytes are still to be written, "
    return f"{need}{free}; free some, or let `results` in the config name another disk, then run again"
