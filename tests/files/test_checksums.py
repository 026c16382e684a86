"""A result is what was written, or a sentence; what is no result is never refused for a file beside it."""

import errno
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from swsa_core.basics.errors import InputError
from swsa_core.files import checksums, store
from swsa_core.files import text as texts
from swsa_core.files.checksums import sidecar
from swsa_core.files.text import (
    read_json,
    read_table,
    read_text,
    replacing,
    write_bytes,
    write_json,
    write_table,
    write_text,
)

CASES = {
    "a.h5": (
        lambda path, n: store.write(path, {"images": np.arange(n)}),
        lambda path: store.read(path)[0]["images"].tolist(),
    ),
    "a.csv": (
        lambda path, n: write_table(path, pd.DataFrame({"a": range(n)}), ["a"]),
        lambda path: read_table(path).a.tolist(),
    ),
    "a.json": (lambda path, n: write_json(path, list(range(n))), read_json),
    "a.svg": (lambda path, n: write_text(path, str(list(range(n)))), lambda path: json.loads(read_text(path))),
}


@pytest.fixture(params=CASES)
def case(request, tmp_path):
    """(path, function that writes so many numbers to it, function that reads them)."""
    write, read = CASES[request.param]
    return tmp_path / request.param, lambda n: write(tmp_path / request.param, n), read


def flip(path, at=-3):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="there is no sha256sum")
def test_sha256sum_reads_the_checksums(case):
    path, write, _ = case
    write(3)
    done = subprocess.run(["sha256sum", "-c", sidecar(path).name], cwd=path.parent, capture_output=True, text=True)
    assert done.stdout == f"{path.name}: OK\n" and not done.returncode


def test_what_was_written_is_read_and_what_was_changed_is_refused(case):
    path, write, read = case
    write(3)
    assert read(path) == [0, 1, 2]
    flip(path)
    with pytest.raises(InputError, match=r"its contents are not what was written .*: delete it and run again") as told:
        read(path)
    assert str(told.value).startswith(f"{path} is damaged or was edited") and "\n" not in str(told.value)
    write(4)
    assert read(path) == [0, 1, 2, 3], "what is written anew has a new checksum"


def test_every_way_to_read_hdf5_is_checked(tmp_path):
    path = tmp_path / "a.h5"
    store.write(path, {"images": np.arange(3)})
    flip(path)
    reads = [
        lambda: store.count_rows(path, "images"),
        lambda: store.open_file(path),
        lambda: np.asarray(store.OnDisk(path, "images", np.array([0]))),
    ]
    for read in reads:
        with pytest.raises(InputError, match="its contents are not what was written"):
            read()


def test_a_file_without_a_checksum_is_read(case):
    path, write, read = case
    write(3)
    sidecar(path).unlink()
    assert read(path) == [0, 1, 2]


@pytest.mark.parametrize("content", [b"", b"no checksum", b"\xff\xfe", b"0" * 64 + b"  other.csv\n"])
def test_a_damaged_or_foreign_checksum_is_told(case, content):
    path, write, read = case
    write(3)
    sidecar(path).write_bytes(content)
    with pytest.raises(InputError, match="is damaged or of another file: delete both and run again") as told:
        read(path)
    assert str(path) in str(told.value) and str(sidecar(path)) in str(told.value)


def test_the_checksum_of_a_deleted_file_does_no_harm(case):
    path, write, read = case
    write(3)
    path.unlink()
    with pytest.raises(InputError, match="No such file"):
        read(path)
    write(4)
    assert read(path) == [0, 1, 2, 3]


def test_a_file_is_hashed_once_and_again_when_it_changed(case, monkeypatch):
    path, write, read = case
    hashed = []
    monkeypatch.setattr(
        checksums, "file_sha256", lambda path, of=checksums.file_sha256: hashed.append(path) or of(path)
    )
    write(3)
    hashed.clear()
    for _ in range(3):
        read(path)
    assert len(hashed) == 1
    os.utime(path, ns=(1, 1))
    read(path)
    assert len(hashed) == 2


def test_a_kill_at_any_step_leaves_a_file_that_is_read(case, monkeypatch):
    """Whichever of the steps of putting a file in its place is the last one, the old or the new contents are read."""
    path, write, read = case
    for step in range(20):
        write(3)
        steps = iter(range(step))

        def stopping(of, steps=steps):
            def do(*arguments, **options):
                if next(steps, None) is None:
                    raise KeyboardInterrupt
                return of(*arguments, **options)

            return do

        with monkeypatch.context() as patched:
            for module, name in ((os, "replace"), (os, "fsync"), (os, "unlink"), (checksums, "record_of")):
                patched.setattr(module, name, stopping(getattr(module, name)))
            try:
                write(4)
            except KeyboardInterrupt:
                whole = False
            else:
                whole = True
        assert read(path) in ([0, 1, 2, 3], *([] if whole else [[0, 1, 2]])), step
        if whole:
            break
    assert whole and step > 4


def test_copies_of_an_object_storage_have_none(tmp_path):
    path = tmp_path / ".snakemake" / "storage" / "s3" / "bucket" / "a.csv"
    write_text(path, "a\n1\n")
    assert os.listdir(path.parent) == ["a.csv"]


def test_a_file_that_is_no_result_has_none_and_keeps_none(tmp_path):
    write_text(tmp_path / "a", "x")
    write_bytes(tmp_path / "a", b"y", checksum=False)
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to tell what a descriptor is of")
@pytest.mark.parametrize("what", ["file", "directory"])
@pytest.mark.parametrize(("number", "passes"), [(errno.EINVAL, True), (errno.ENOTSUP, True), (errno.EIO, False)])
def test_a_file_system_that_cannot_sync(tmp_path, monkeypatch, what, number, passes):
    def sync(descriptor, of=os.fsync):
        if os.path.isdir(f"/proc/self/fd/{descriptor}") == (what == "directory"):
            raise OSError(number, os.strerror(number))
        of(descriptor)

    monkeypatch.setattr(texts.os, "fsync", sync)
    if passes:
        write_text(tmp_path / "a", "x")
        assert read_text(tmp_path / "a") == "x"
    else:
        with pytest.raises(InputError, match=r"a cannot be written .*the disk or its mount fails"):
            write_text(tmp_path / "a", "x")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to tell what a descriptor is of")
def test_contents_are_on_the_disk_before_the_name_and_the_name_before_the_end(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(
        texts.os, "fsync", lambda descriptor: done.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
    )
    monkeypatch.setattr(
        texts.os, "replace", lambda one, other, of=os.replace: done.append(f"-> {other.name}") or of(one, other)
    )
    with replacing(tmp_path / "a") as finished:
        finished.write_text("x")
    assert done == ["a.tmp", ".a.sha256.tmp", "-> a", "-> .a.sha256", tmp_path.name]
