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
    return sorted(path for path in found if path.is_file())


def is_written(path: Path) -> bool:
    """Whether a process has the HDF5 file open for writing, which it locks meanwhile; False where there are no locks."""
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
    return False
