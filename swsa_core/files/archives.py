"""Unpacking published archives, whose size and digest were checked before: what is left to tell is damage."""

import tarfile
import zipfile
import zlib
from collections.abc import Callable
from lzma import LZMAError
from pathlib import Path

from swsa_core.basics.errors import InputError

DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError)


def unpack(archive: Path | str, directory: Path | str, progress: Callable[[int, int], None] | None = None) -> Path:
    """Unpack a tar (plain, gzip or xz) or zip archive into `directory`, which must not exist, and return its Path.

    A member that would land outside, or a link to there, is refused or kept inside by the standard library.
    progress: called with (bytes of the archive read, its size).
    Raises InputError that names the archive; what was unpacked so far stays.
    """
    archive, directory = Path(archive), Path(directory)
    try:
        directory.mkdir(parents=True)
        with open(archive, "rb") as file:
            for _ in (_unpack_zip if zipfile.is_zipfile(file) else _unpack_tar)(file, directory):
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


def _unpack_tar(file, directory):
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r|*") as archive:  # in one go: going back in a compressed file takes long
        for member in archive:
            yield archive.extract(member, directory, filter="data")


def _unpack_zip(file, directory):
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            yield archive.extract(member, directory)
