"""Unpacking published archives, whose size and digest were checked before: what is left to tell is damage."""

import tarfile
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from lzma import LZMAError
from pathlib import Path

from swsa_core.basics.errors import InputError

# What an archive may unpack to: so many times its size and so many bytes more, in so many files. Images hardly compress.
MOST_GROWTH, SLACK, MOST_MEMBERS = 20, 1_000_000_000, 5_000_000
# KeyError: of a hard link to a file that is not among the members.
DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError, KeyError)


def unpack(archive: Path | str, directory: Path | str, progress: Callable[[int, int], None] | None = None) -> Path:
    """Unpack a tar (plain, gzip or xz) or zip archive into `directory`, which must not exist, and return its Path.

    An archive that unpacks to far more than its size is refused before the member that is too much. A member that
    would land outside, or a link to there, is refused or kept inside by the standard library.
    progress: called with (bytes of the archive read, its size).
    Raises InputError that names the archive; what was unpacked so far stays.
    """
    archive, directory = Path(archive), Path(directory)
    try:
        directory.mkdir(parents=True)
        with open(archive, "rb") as file:
            most, unpacked, members = MOST_GROWTH * archive.stat().st_size + SLACK, 0, 0
            for size, extract in (_in_zip if zipfile.is_zipfile(file) else _in_tar)(file, directory):
                unpacked, members = unpacked + size, members + 1
                if unpacked > most or members > MOST_MEMBERS:
                    raise InputError(
                        f"{archive} would unpack to more than {most:,} bytes or {MOST_MEMBERS:,} files, expected is at most "
                        f"{MOST_GROWTH} times its size: fetch it again"
                    )
                extract()
                if progress:
                    progress(file.tell(), archive.stat().st_size)
    except DAMAGE as error:
        raise InputError(
            f"{archive} cannot be unpacked, it is damaged or no tar or zip archive ({str(error) or type(error).__name__}): "
            "fetch it again"
        ) from error
    except OSError as error:
        raise InputError(f"{archive} cannot be unpacked to {directory} ({error.strerror or error})") from error
    return directory


def _in_tar(file, directory):
    """(bytes, function that unpacks it) of each member."""
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r|*") as archive:  # in one go: going back in a compressed file takes long
        for member in archive:
            yield member.size, partial(archive.extract, member, directory, filter="data")


def _in_zip(file, directory):
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            yield member.file_size, partial(archive.extract, member, directory)
