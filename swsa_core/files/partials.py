"""What interrupted runs left below `results`: files that were begun, which a rerun goes on with or writes anew."""

import fcntl
from pathlib import Path

from swsa_core.files import layout
from swsa_core.files.checksums import KEPT

SUFFIXES = (".partial", ".tmp", KEPT)  # of `store.writer`, of `text.replacing`, and of jobs of several tasks


def leftovers(results: Path | str) -> list[Path]:
    """The begun files of results, and of nothing else: other files there may end in the same way."""
    found = {
        path for pattern in layout.patterns() for suffix in SUFFIXES for path in Path(results).glob(pattern + suffix)
    }
    for pattern in layout.patterns():  # checksums that were not put in their place
        folder, _, name = pattern.rpartition("/")
        found |= set(Path(results).glob(f"{folder}/.{name}.sha256.tmp" if folder else f".{name}.sha256.tmp"))
    return sorted(path for path in found if path.is_file() and not _is_second_name(path))


def _is_second_name(path):
    """Whether it takes no space of its own, nor holds what is not in its place: see `swsa_core.files.kept`."""
    first = path.with_name(path.name.removesuffix(KEPT))
    return path != first and first.exists() and path.samefile(first)


def is_written(path: Path) -> bool:
    """Whether a process has the HDF5 file open for writing, which it locks meanwhile; False where there are no locks."""
    with open(path, "rb") as file:
        try:
            # shared: network file systems give no exclusive lock to who only reads
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
    return False
