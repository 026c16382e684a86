"""What the machine does to a file is told from damage in it, with the file's name and what to do, and nothing is lost."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from swsa_core.basics.errors import InputError
from swsa_core.files import machine, store
from swsa_core.files.checksums import sidecar
from swsa_core.files.text import read_json, read_table, write_json, write_table

LOCK = "Unable to synchronously open file (unable to lock file, errno = {0}, error message = 'x')"
FAULTS = {  # what h5py or the system raises -> what is told
    "locked": (OSError(errno.EAGAIN, LOCK.format(errno.EAGAIN)), "is being written by another process.*FILE_LOCKING=FALSE"),
    "no locks": (OSError(errno.ENOLCK, LOCK.format(errno.ENOLCK)), "has no locks .*FILE_LOCKING=FALSE.* a single Snakemake"),
    "locks not supported": (OSError(errno.ENOSYS, LOCK.format(errno.ENOSYS)), "has no locks .*FILE_LOCKING=FALSE"),
    "rights": (PermissionError(errno.EACCES, "Permission denied"), "Permission denied.*check the permissions"),
    "read-only": (OSError(errno.EROFS, "Read-only file system"), "is read-only: write to another place"),
    "full": (OSError(errno.ENOSPC, "No space left on device"), r"the disk is full: .*[\d,]+ bytes are free there; free some"),
    "quota": (OSError(errno.EDQUOT, "Disk quota exceeded"), r"quota of the disk is used up: .*[\d,]+ bytes are free"),
    "input/output": (OSError(errno.EIO, "Input/output error"), "the disk or its mount fails: check it, then run again"),
    "in the message alone": (RuntimeError("Can't close (file write failed: errno = 5, x)"), "the disk or its mount fails"),
    "too many files": (OSError(errno.EMFILE, "Too many open files"), "raise `ulimit -n`"),
    "another": (OSError(errno.ENAMETOOLONG, "File name too long"), "File name too long.*check its path"),
}  # fmt: skip


def failing(error):
    def fail(*args, **kwargs):
        raise error

    return fail


@pytest.fixture
def files(tmp_path):
    """A whole file of every kind, and one begun."""
    store.write(tmp_path / "a.h5", {"images": np.arange(3)})
    write_json(tmp_path / "a.json", {"a": 1})
    write_table(tmp_path / "a.csv", pd.DataFrame({"a": [1]}), ["a"])
    with pytest.raises(KeyboardInterrupt):
        begin(tmp_path / "b.h5", 2)
    return tmp_path


def begin(path, rows):
    with store.writer(path, 4, {"x": ((), "f8")}, "header") as written:
        start = written.done
        if rows > start:
            written.append(x=np.arange(start, rows))
        if rows < 4:
            raise KeyboardInterrupt
    return start


READERS = {
    "a.h5": [store.read, lambda path: store.count_rows(path, "images"), store.open_file],
    "a.json": [read_json],
    "a.csv": [read_table],
    "b.h5": [lambda path: begin(path, 4)],
}


@pytest.mark.parametrize("what", FAULTS)
@pytest.mark.parametrize("name", READERS)
def test_a_file_that_the_machine_cannot_read_is_left_alone(name, what, files, monkeypatch):
    error, message = FAULTS[what]
    if what == "in the message alone" and not name.endswith(".h5"):
        pytest.skip("HDF5 alone raises it")
    before = {path.name: path.read_bytes() for path in files.iterdir()}
    for read in READERS[name]:
        with monkeypatch.context() as patched, pytest.raises(InputError, match=message) as told:
            patched.setattr(h5py, "File", failing(error))
            patched.setattr(pd, "read_csv", failing(error))
            patched.setattr(Path, "read_text", failing(error))
            read(files / name)
        assert str(files / name) in str(told.value) and "delete" not in str(told.value)
        assert "\n" not in str(told.value)
    assert {path.name: path.read_bytes() for path in files.iterdir()} == before
    if name == "b.h5":
        assert begin(files / name, 4) == 2, "the rows of the interrupted run are kept"


@pytest.mark.parametrize("name", ["a.h5", "a.json", "a.csv"])
def test_damage_that_was_seen_is_to_be_deleted(name, files):
    (files / name).write_bytes((files / name).read_bytes()[:7] if name != "a.csv" else b"")
    sidecar(files / name).unlink()
    for read in READERS[name]:
        with pytest.raises(
            InputError, match=rf"{name} cannot be read as [\w ]+, it is damaged .*: delete it and run again"
        ):
            read(files / name)


@pytest.mark.parametrize("name", ["a.h5", "a.json", "a.csv"])
def test_a_file_that_is_not_there(name, tmp_path):
    for read in READERS[name]:
        with pytest.raises(InputError, match=rf"{name} cannot be read \(No such file or directory\), .* run again"):
            read(tmp_path / name)


WRITERS = {
    "h5": lambda path: store.write(path, {"x": np.ones(10)}),
    "rows": lambda path: begin(path, 4),
    "csv": lambda path: write_table(path, pd.DataFrame({"a": [1]}), ["a"]),
    "json": lambda path: write_json(path, {"a": 1}),
}


@pytest.mark.parametrize("what", FAULTS)
@pytest.mark.parametrize("kind", WRITERS)
def test_what_cannot_be_written_is_told_and_not_there(kind, what, tmp_path, monkeypatch):
    error, message = FAULTS[what]
    with monkeypatch.context() as patched, pytest.raises(InputError, match=message) as told:
        patched.setattr(h5py, "File", failing(error))
        patched.setattr(pd.DataFrame, "to_csv", failing(error))
        patched.setattr(Path, "write_bytes", failing(error))
        WRITERS[kind](tmp_path / f"a.{kind}")
    assert f"a.{kind}" in str(told.value) and "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())


def test_errors_of_the_caller_and_of_programs_pass():
    for error in (ValueError("x"), RuntimeError("a bug"), InputError("y")):
        with pytest.raises(type(error), match=str(error)), machine.writing("a.csv"):
            raise error


def test_a_file_without_room_is_not_begun(tmp_path, monkeypatch):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 16}))
    for write, needed in ((WRITERS["h5"], 80), (WRITERS["rows"], 32)):
        with pytest.raises(InputError, match=rf"{needed} bytes are still to be written, 16 bytes are free there"):
            write(tmp_path / "a.h5")
        assert not (tmp_path / "a.h5").exists()


FILL = """
import sys, numpy as np, resource
from swsa_core.basics.errors import InputError
from swsa_core.files import machine, store
path, limit, checked = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "checked"
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
if not checked:  # another process takes the room while the rows are written
    store.check_room = lambda path, needed: None
try:
    with store.writer(path, 64, {"x": ((4096,), "f8")}, "header") as rows:
        print("from", rows.done)
        for row in range(rows.done, 64, 8):
            rows.append(x=np.full((8, 4096), row, "f8"))
    print("whole")
except InputError as error:
    print(error)
"""


def fill(path, limit=0, how="unchecked"):
    run = subprocess.run(
        [sys.executable, "-c", FILL, path, str(limit), how], capture_output=True, text=True, check=False
    )
    assert not run.stderr and run.returncode == 0, run.stderr
    return run.stdout.splitlines()[-2:]  # not that it goes on


def check_whole(path):
    rows = store.read(path)[0]["x"]
    assert rows[:, 0].tolist() == [row // 8 * 8 for row in range(64)] and (rows == rows[:, :1]).all()


def test_a_run_goes_on_after_a_limit_of_files_is_raised(tmp_path):
    told = fill(tmp_path / "a.h5", limit=1_000_000)
    assert (
        told[0] == "from 0" and "cannot be written (File too large), it would be larger than its file system" in told[1]
    )
    assert not (tmp_path / "a.h5").exists()
    assert fill(tmp_path / "a.h5")[-1] == "whole"
    check_whole(tmp_path / "a.h5")


def test_a_run_goes_on_after_a_full_disk_has_room_again(tmp_path):
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        assert "2,097,152 bytes are still to be written, " in fill(tmp_path / "a.h5", how="checked")[-1]
        begun, told = fill(tmp_path / "a.h5")
        assert begun == "from 0" and "a.h5.partial cannot be written, the disk is full: " in told
        assert os.listdir(tmp_path) == ["a.h5.partial"]
        subprocess.run(["mount", "-o", "remount,size=8m", tmp_path], check=True)
        begun, state = fill(tmp_path / "a.h5")
        assert begun in {"from 16", "from 24"} and state == "whole"
        check_whole(tmp_path / "a.h5")
    finally:
        subprocess.run(["umount", tmp_path], check=True)
