"""Unpacking archives of others: whatever an archive says, nothing lands outside its directory or fills the disk."""

import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from contextlib import nullcontext
from pathlib import Path, PureWindowsPath

from swsa_core.basics.errors import InputError

# Images are compressed already: an archive of them grows little. The slack is for small archives of text.
MAX_GROWTH, SLACK = 4, 64_000_000
MAX_MEMBERS = 1_000_000
MAX_HEADER = 1_000_000  # bytes of a long name or a pax header, which are read into memory
# What damaged or crafted archives end in; the last two come from numbers and texts in headers.
DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    ValueError,
    OverflowError,
)
UNSUPPORTED = (NotImplementedError, RuntimeError)  # zipfile's, for other compressions and for encrypted members


def unpack(archive, directory, progress=None):
    """Unpack a tar (plain, gzip or xz) or zip archive into `directory`, which must not exist, and return its Path.

    Only regular files and directories below `directory` are taken; a path that leaves it, a link, a device or contents
    far larger than the archive are refused before the member is written. progress: called with (bytes of the archive
    read, its size). Raises InputError that names the archive and the member; what was unpacked so far stays.
    """
    archive, directory = Path(archive), Path(directory)
    try:
        directory.mkdir(parents=True)
        with open(archive, "rb") as file:
            unpack_members = _unpack_zip if file.read(2) == b"PK" else _unpack_tar
            file.seek(0)
            unpack_members(file, directory, _Room(archive, directory), progress or (lambda done, total: None))
    except InputError:  # a ValueError, too
        raise
    except DAMAGE as error:
        raise InputError(f"{archive} is damaged or no tar or zip archive ({error or type(error).__name__})") from error
    except UNSUPPORTED as error:
        raise InputError(f"{archive} cannot be unpacked ({error})") from error
    except OSError as error:
        raise InputError(f"{archive} cannot be unpacked to {directory} ({error.strerror or error})") from error
    return directory


def _unpack_tar(file, directory, room, progress):
    total = 0
    with _decompressed(file) as stream, tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as tar:
        for number, member in enumerate(tar, 1):
            room.check_name(member.name)
            if not (member.isfile() or member.isdir()):
                room.refuse(member.name, "is a link or a device; expected files and directories")
            total += member.size
            room.check_size(member.name, number, total)
            tar.extract(member, directory, filter="data")
            progress(file.tell(), room.size)
        while stream.read(1 << 20):  # the checksum of a compressed stream stands at its end
            pass


def _decompressed(file):
    magic = file.read(6)
    file.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.open(file)
    return lzma.open(file) if magic == b"\xfd7zXZ\0" else nullcontext(file)


def _unpack_zip(file, directory, room, progress):
    done = 0
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        for member in members:
            room.check_name(member.filename)
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                room.refuse(member.filename, "is a link or a device; expected files and directories")
        total = 0
        for number, member in enumerate(members, 1):
            total += member.file_size
            room.check_size(member.filename, number, total)
        for member in members:
            archive.extract(member, directory)
            done += member.compress_size
            progress(min(done, room.size), room.size)


class _Room:
    """What an archive may unpack to: names below the directory, and bytes in keeping with its size and the disk."""

    def __init__(self, archive, directory):
        self.size = archive.stat().st_size
        self._archive = archive
        self._free = shutil.disk_usage(directory).free

    def check_name(self, name):
        path = PureWindowsPath(name)  # knows both separators and drives
        if path.anchor or ".." in path.parts or "\0" in name:
            self.refuse(name, "would land outside its directory")

    def check_size(self, name, members, total):
        """members: their count so far; total: bytes so far, with this member."""
        if members > MAX_MEMBERS:
            self.refuse(name, f"is its {members:,}th; expected at most {MAX_MEMBERS:,} members")
        if total > (most := MAX_GROWTH * self.size + SLACK):
            self.refuse(
                name, f"makes it {total:,} bytes unpacked; of {self.size:,} bytes at most {most:,} are expected"
            )
        if total > self._free:
            raise InputError(f"{self._archive} needs more room than the {self._free:,} bytes that are free on the disk")

    def refuse(self, name, reason):
        raise InputError(f"{self._archive} is not unpacked: its member {name!r} {reason}")


class _Member(tarfile.TarInfo):
    """A tar header. tarfile takes a damaged one, or a file that was cut off there, for the end of the archive."""

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        try:
            member = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise  # the zeros that end an archive
            raise tarfile.ReadError(f"{error}, where a member or the end was expected") from None
        extends = not (member.isfile() or member.isdir() or member.issym() or member.islnk() or member.isdev())
        if extends and member.size > MAX_HEADER:
            raise tarfile.ReadError(f"a header of {member.size:,} bytes")
        return member
