"""Archives unpack as they are; nothing lands outside the directory, and damage is told in one sentence."""

import io
import tarfile
import zipfile

import numpy as np
import pytest

from swsa_core.basics.errors import InputError
from swsa_core.files.archives import unpack

IMAGES = {
    f"data/class {i}/image_{j}.jpg": np.random.default_rng(10 * i + j).bytes(700 * j)
    for i in (1, 2)
    for j in (0, 3, 512)
}


def tar(path, members, mode="w"):
    """A tar of {name: bytes, or a TarInfo}."""
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if info is not content:
                info.size = len(content)
            archive.addfile(info, None if info is content else io.BytesIO(content))
    return path


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
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
    "some.zip": zipped,
}


@pytest.mark.parametrize("name", MAKERS)
def test_files_arrive_as_they_were(name, tmp_path):
    seen = []
    archive = MAKERS[name](tmp_path / name, IMAGES)
    directory = unpack(archive, tmp_path / "new" / "out", progress=lambda *state: seen.append(state))
    assert found(directory) == IMAGES
    assert all(0 <= done <= total == archive.stat().st_size for done, total in seen)
    assert seen == sorted(seen) and seen[-1][0] > seen[-1][1] / 2


@pytest.mark.parametrize("name", ["../up", "a/../../up", "/absolute"])
@pytest.mark.parametrize("maker", ["some.tgz", "some.zip"])
def test_nothing_lands_outside_the_directory(name, maker, tmp_path):
    archive = MAKERS[maker](tmp_path / maker, {"data/first.jpg": b"1", name: b"bad"})
    try:
        unpack(archive, tmp_path / "out")
    except InputError as error:  # zipfile takes the dots and slashes away, and so has none
        assert "outside the destination" in str(error)
    assert {path.name for path in tmp_path.iterdir()} == {maker, "out"}


KINDS = {
    "a link out": special("data/link", tarfile.SYMTYPE, "../../up"),
    "a hard link out": special("data/link", tarfile.LNKTYPE, "../up"),
    "a device": special("data/null", tarfile.CHRTYPE),
}


@pytest.mark.parametrize("kind", KINDS)
def test_links_out_and_devices_are_refused(kind, tmp_path):
    archive = tar(tmp_path / "a.tar", {"data/first.jpg": b"1", "bad": KINDS[kind]})
    with pytest.raises(InputError, match=r"a\.tar cannot be unpacked, .*\('data/.*'"):
        unpack(archive, tmp_path / "out")
    assert found(tmp_path) == {"a.tar": archive.read_bytes(), "out/data/first.jpg": b"1"}


def test_links_within_an_archive(tmp_path):
    members = {"data/first.jpg": b"1", "hard": special("data/hard.jpg", tarfile.LNKTYPE, "data/first.jpg")}
    members |= {"soft": special("data/soft.jpg", tarfile.SYMTYPE, "first.jpg")}
    directory = unpack(tar(tmp_path / "a.tar", members), tmp_path / "out")
    assert found(directory) == dict.fromkeys(["data/first.jpg", "data/hard.jpg", "data/soft.jpg"], b"1")
    to_nothing = {"data/first.jpg": b"1", "hard": special("data/hard.jpg", tarfile.LNKTYPE, "data/gone.jpg")}
    with pytest.raises(InputError, match=r"b\.tar cannot be unpacked, .*'data/gone\.jpg' not found.*: fetch it again"):
        unpack(tar(tmp_path / "b.tar", to_nothing), tmp_path / "other")


@pytest.mark.parametrize("name", MAKERS)
def test_an_archive_that_was_cut_off_is_refused(name, tmp_path):
    archive = MAKERS[name](tmp_path / name, IMAGES)
    archive.write_bytes(archive.read_bytes()[: 500_000 if name == "plain.tar" else -1000])
    with pytest.raises(InputError, match=r"it is damaged or no tar or zip archive.*: fetch it again"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("name", ["a.tgz", "a.zip"])
@pytest.mark.parametrize("content", [b"", b"<html>sign in</html>", b"PK\x03\x04no zip", b"\x1f\x8bno gzip"])
def test_what_is_no_archive_is_refused(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name} cannot be unpacked, it is damaged or no tar or zip archive"):
        unpack(tmp_path / name, tmp_path / "out")


def test_nothing_is_unpacked_over_what_is_there(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="File exists"):
        unpack(tar(tmp_path / "a.tar", IMAGES), tmp_path / "out")
