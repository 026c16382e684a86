"""Checksums of results: of each file a small hidden one beside it, which `sha256sum -c` reads, too.

They are written by `swsa_core.files.text.replacing` and looked at by whoever reads results. What users give, data sets, configs
and weights, is never looked at. A result without a checksum is read: an older version made it, or it was copied here alone.
"""

import os
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

from swsa_core.basics.errors import InputError
from swsa_core.files.machine import reading
from swsa_core.files.provenance import file_sha256

# Where Snakemake keeps its copies of an object storage. It deletes and fetches them without what lies beside them, so that a
# checksum would be found beside a newer file; the storage has checksums of its own.
COPIES_OF_STORAGE = (".snakemake", "storage")
KEPT = ".kept"  # ending of the second name of a file, see `swsa_core.files.kept`: both names have one checksum


def sidecar(path: Path | str) -> Path:
    """Where the checksum of a file lies.

    >>> sidecar("results/birds/images.csv").as_posix()
    'results/birds/.images.csv.sha256'
    """
    path = Path(path)
    return path.with_name(f".{_name(path)}.sha256")


def is_recorded(path: Path | str) -> bool:
    """Whether a result at `path` gets a checksum: all but the copies of an object storage."""
    parts = Path(path).absolute().parts
    return COPIES_OF_STORAGE not in pairwise(parts)


def record_of(contents: Path, path: Path) -> str:
    """What the checksum file of `path` holds when the contents of the file `contents` stand there."""
    return f"{file_sha256(contents)}  {_name(path)}\n"


def verify(path: Path | str) -> None:
    """Raise InputError where a file has a checksum and its contents are not those that were written.

    A file is read once in a process for this, and again where its time or size changed.
    """
    kept = sidecar(path)
    with reading(kept, "a checksum"):
        if not kept.exists():
            return
        found = re.fullmatch(rb"([0-9a-f]{64})  ([^\n]+)\n", kept.read_bytes())
    if not found or os.fsdecode(found[2]) != _name(Path(path)):
        raise InputError(
            f"{path} cannot be checked, its checksum {kept} is damaged or of another file: delete both and run again"
        )
    with reading(path, "a result"):
        stat = os.stat(path)
        digest = _sha256(os.path.abspath(path), stat.st_mtime_ns, stat.st_size)
    if digest != found[1].decode():
        raise InputError(
            f"{path} is damaged or was edited, its contents are not what was written (by {kept}): delete it and run "
            "again, or delete its checksum to keep it as it is"
        )


def _name(path):
    return path.name.removesuffix(KEPT)


@cache
def _sha256(path, time, size):
    return file_sha256(path)
