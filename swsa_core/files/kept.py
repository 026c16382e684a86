"""Finished files that outlive the start of a job that makes several of them.

Snakemake removes all outputs of a job before it runs the job again, and after it failed. A job of several tasks therefore
finishes the file of each at X.kept, beside X, and brings all to their places when the last one is finished. And while Snakemake
runs, the files that were finished before have X.kept as a second name (a hard link, which takes no space): a task whose file
was made of the same things is then not computed again.
"""

import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import numpy as np

from swsa_core.files.checksums import KEPT, is_recorded


def kept(path: Path | str) -> Path:
    """Where the finished file of `path` lies while Snakemake can remove it from `path`."""
    return Path(f"{path}{KEPT}")


def keep(paths: Iterable[Path | str]) -> None:
    """Give those of `paths` that exist their second name; a file that has this name already stays."""
    for path in filter(os.path.exists, paths):
        try:
            os.link(path, kept(path))
        except FileExistsError:
            continue
        except OSError as error:
            print(
                f"{path} cannot be given a second name ({error.strerror}): in jobs that run again, finished tasks are computed "
                "again, too"
            )
            return


def take(path: Path | str) -> None:
    """Bring the finished file of `path` to its place.

    It keeps its second name until the end of the run (`forget`), as Snakemake removes it should the job still fail; but for the
    copies of an object storage, which Snakemake itself removes when they are stored.
    """
    if not is_recorded(path):
        os.replace(kept(path), path)
        return
    Path(path).unlink(missing_ok=True)
    try:
        os.link(kept(path), path)
    except OSError:  # a file system without links
        os.replace(kept(path), path)


def forget(paths: Iterable[Path | str]) -> None:
    """Take their second name from those of `paths` that have two; the only one of a file stays, for the next run."""
    for path in paths:
        second = kept(path)
        if os.path.exists(second) and os.path.exists(path) and os.path.samefile(path, second):
            second.unlink()


def digest(image: np.ndarray) -> str:
    """SHA-256 of an image (H, W, 3) uint8, of its shape and pixels."""
    return sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()
