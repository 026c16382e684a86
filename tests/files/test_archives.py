"""Archives unpack as they are or are refused: nothing outside the directory, nothing huge, nothing cut off."""

import gzip
import io
import lzma
import stat
import tarfile
import zipfile

import numpy as np
import pytest

from swsa_core.basics.errors import InputError
from swsa_core.files import archives
from swsa_core.files.archives import unpack

IMAGES = {
    f"data/class {i}/image_{j}.jpg": np.random.default_rng(10 * i + j).bytes(700 * j)
    for i in (1, 2)
    for j in (0, 3, 512)
}
LONG = "data/" + "d" * 90 + "/" + "long" * 40 + ".jpg"  # beyond the 100 + 155 bytes of a plain tar header


def tar(path, members, mode="w", **options):
    """A tar of {name: bytes, or a TarInfo}."""
    with tarfile.open(path, mode, **options) as archive:
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if info is not content:
                info.size = len(content)
            archive.addfile(info, None if info is content else io.BytesIO(content))
    return path


def zipped(path, members):
    """A zip of {name: bytes, or (ZipInfo, bytes)}."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(*(content if isinstance(content, tuple) else (name, content)))
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def found(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


MAKERS = {
    "plain.tar": tar,
    "some.tgz": lambda path, members: tar(path, members, "w:gz"),
    "some.tar.xz": lambda path, members: tar(path, members, "w:xz"),
    "pax.tar": lambda path, members: tar(path, members, format=tarfile.PAX_FORMAT),
    "gnu.tar": lambda path, members: tar(path, members, format=tarfile.GNU_FORMAT),
    "some.zip": zipped,
}


@pytest.mark.parametrize("name", MAKERS)
def test_files_arrive_as_they_were(name, tmp_path):
    seen = []
    archive = MAKERS[name](tmp_path / name, IMAGES | {LONG: b"long"})
    directory = unpack(archive, tmp_path / "new" / "out", progress=lambda *state: seen.append(state))
    assert found(directory) == IMAGES | {LONG: b"long"}
    assert all(0 <= done <= total == archive.stat().st_size for done, total in seen)
    assert seen == sorted(seen) and seen


def test_directories_and_leading_dots_are_usual(tmp_path):
    archive = tar(
        tmp_path / "a.tar", {".": special(".", tarfile.DIRTYPE), "d": special("./d", tarfile.DIRTYPE), "./d/x": b"x"}
    )
    assert found(unpack(archive, tmp_path / "out")) == {"d/x": b"x"}


def test_bits_that_give_rights_away_are_dropped(tmp_path):
    info = tarfile.TarInfo("run")
    info.mode = 0o4777
    unpacked = unpack(tar(tmp_path / "a.tar", {"run": info}), tmp_path / "out") / "run"
    assert not stat.S_IMODE(unpacked.stat().st_mode) & (stat.S_ISUID | stat.S_IWGRP | stat.S_IWOTH)


OUTSIDE = ["/tmp/absolute", "../up", "a/../../up", "a/..", "C:/drive", "\\\\host\\share\\x", "..\\up", "a\\..\\..\\up"]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("maker", ["plain.tar", "some.zip"])
def test_a_path_that_leaves_the_directory_is_refused(name, maker, tmp_path):
    archive = MAKERS[maker](tmp_path / maker, {"data/first.jpg": b"1", name: b"bad", "data/last.jpg": b"2"})
    with pytest.raises(InputError, match="would land outside its directory"):
        unpack(archive, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {maker, "out"}
    assert set(found(tmp_path / "out")) <= {"data/first.jpg"}


KINDS = {
    "a link out": special("data/link", tarfile.SYMTYPE, "/etc"),
    "a relative link out": special("data/link", tarfile.SYMTYPE, "../../up"),
    "a link within": special("data/link", tarfile.SYMTYPE, "first.jpg"),
    "a hard link out": special("data/link", tarfile.LNKTYPE, "/etc/passwd"),
    "a hard link within": special("data/link", tarfile.LNKTYPE, "data/first.jpg"),
    "a device": special("data/null", tarfile.CHRTYPE),
    "a disk": special("data/disk", tarfile.BLKTYPE),
    "a pipe": special("data/pipe", tarfile.FIFOTYPE),
}


@pytest.mark.parametrize("kind", KINDS)
def test_links_and_devices_are_refused(kind, tmp_path):
    archive = tar(tmp_path / "a.tar", {"data/first.jpg": b"1", "bad": KINDS[kind], "data/link/x": b"through"})
    with pytest.raises(InputError, match=r"a\.tar is not unpacked: its member 'data/.*' is a link or a device"):
        unpack(archive, tmp_path / "out")
    assert found(tmp_path) == {"a.tar": archive.read_bytes(), "out/data/first.jpg": b"1"}


def test_a_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo("data/link")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(InputError, match="'data/link' is a link or a device"):
        unpack(zipped(tmp_path / "a.zip", {"link": (info, "/etc")}), tmp_path / "out")
    assert not found(tmp_path / "out")


@pytest.mark.parametrize("maker", ["some.tgz", "some.tar.xz", "some.zip"])
def test_contents_far_larger_than_the_archive_are_refused_unwritten(maker, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "SLACK", 100_000)
    archive = MAKERS[maker](tmp_path / maker, {"data/first.jpg": b"1", "data/bomb.jpg": bytes(3_000_000)})
    with pytest.raises(InputError, match=r"'data/bomb\.jpg' makes it 3,000,001 bytes unpacked; of .* at most"):
        unpack(archive, tmp_path / "out")
    assert set(found(tmp_path / "out")) <= {"data/first.jpg"}


def test_a_size_that_is_only_declared_is_refused(tmp_path):
    info = tarfile.TarInfo("data/huge.jpg")
    info.size = 1 << 50
    path = tmp_path / "a.tar"
    path.write_bytes(info.tobuf() + bytes(10_240))
    with pytest.raises(InputError, match="at most"):
        unpack(path, tmp_path / "out")


def test_a_huge_name_is_refused_unread(tmp_path):
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 32
    path = tmp_path / "a.tar"
    path.write_bytes(info.tobuf() + bytes(10_240))
    with pytest.raises(InputError, match="a header of 4,294,967,296 bytes"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("maker", ["plain.tar", "some.zip"])
def test_too_many_members_are_refused(maker, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    archive = MAKERS[maker](tmp_path / maker, {f"{i}.jpg": b"x" for i in range(4)})
    with pytest.raises(InputError, match=r"member '3\.jpg' is its 4th; expected at most 3 members"):
        unpack(archive, tmp_path / "out")


def test_a_full_disk_is_told_before_it_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1_000}))
    archive = tar(tmp_path / "a.tar", {"first.jpg": bytes(900), "second.jpg": bytes(900)})
    with pytest.raises(InputError, match="more room than the 1,000 bytes that are free"):
        unpack(archive, tmp_path / "out")
    assert set(found(tmp_path / "out")) == {"first.jpg"}


@pytest.mark.parametrize("name", MAKERS)
def test_an_archive_that_was_cut_off_anywhere_is_refused(name, tmp_path):
    whole = MAKERS[name](tmp_path / name, IMAGES).read_bytes()
    content = len(whole.rstrip(b"\0")) if name.endswith(".tar") else len(whole)  # a tar ends in zeros
    members = list(range(512, content, 512)) if name == "plain.tar" else []
    for number, length in enumerate([*np.linspace(1, content - 1, 12).astype(int).tolist(), *members[::97]]):
        (tmp_path / name).write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"damaged or no tar or zip"):
            unpack(tmp_path / name, tmp_path / f"out{number}")


@pytest.mark.parametrize("name", ["some.tgz", "some.tar.xz", "some.zip"])
def test_wrong_bytes_are_refused(name, tmp_path):
    archive = MAKERS[name](tmp_path / name, IMAGES)
    whole = bytearray(archive.read_bytes())
    whole[len(whole) // 2] ^= 1
    archive.write_bytes(whole)
    with pytest.raises(InputError, match="damaged"):
        unpack(archive, tmp_path / "out")


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path):
    archive = tar(tmp_path / "a.tar", {"first.jpg": b"1", "second.jpg": b"2"})
    whole = bytearray(archive.read_bytes())
    whole[1024] ^= 1  # in the name of the second member
    archive.write_bytes(whole)
    with pytest.raises(InputError, match="bad checksum, where a member or the end was expected"):
        unpack(archive, tmp_path / "out")


HEADERS = {
    "a map of no numbers": {"GNU.sparse.map": "abc"},
    "a size that is no number": {"GNU.sparse.size": "abc"},
    "a map that the content lacks": {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
    "a time that is no number": {"mtime": "nan"},
    "a time beyond all numbers": {"mtime": "1e400"},
    "a time beyond all clocks": {"mtime": "1e30"},
}


@pytest.mark.parametrize("headers", HEADERS)
def test_a_header_of_impossible_values_is_refused(headers, tmp_path):
    info = tarfile.TarInfo("data/second.jpg")
    info.pax_headers = HEADERS[headers]
    archive = tar(tmp_path / "a.tar", {"data/first.jpg": b"1", "second": info}, format=tarfile.PAX_FORMAT)
    with pytest.raises(InputError, match=r"a\.tar is damaged or no tar or zip archive"):
        unpack(archive, tmp_path / "out")
    assert set(found(tmp_path / "out")) <= {"data/first.jpg", "data/second.jpg"}


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>sign in</html>", b"PK\x03\x04no zip", gzip.compress(b"no tar"), lzma.compress(b"no tar")],
    ids=["empty", "html", "zip", "gzip", "xz"],  # gzip writes the time of day into its header
)
def test_what_is_no_archive_is_refused(content, tmp_path):
    (tmp_path / "a.tgz").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tgz is damaged or no tar or zip archive"):
        unpack(tmp_path / "a.tgz", tmp_path / "out")


def test_an_encrypted_zip_is_refused(tmp_path):
    archive = zipped(tmp_path / "a.zip", {"x": b"content"})
    whole = bytearray(archive.read_bytes())
    whole[6] |= 1  # the flag, in the member's own header and in the directory at the end
    whole[whole.rindex(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(whole)
    with pytest.raises(InputError, match="encrypted"):
        unpack(archive, tmp_path / "out")


def test_nothing_is_unpacked_over_what_is_there(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="File exists"):
        unpack(tar(tmp_path / "a.tar", IMAGES), tmp_path / "out")
