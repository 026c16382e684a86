"""On a full disk every writer ends in one sentence with path and bytes, leaves nothing half-done, and no log hides it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from workflow import ROOT

from swsa_core.basics.errors import InputError
from swsa_core.diffusion.delta_h import DeltaH, write_delta_h
from swsa_core.files import store
from swsa_core.files.text import write_bytes, write_json, write_table, write_text
from swsa_core.paper.figures import save_pdf
from swsa_core.report import style

SIZE = 2**16


@pytest.fixture
def disk(tmp_path):
    """A file system of 64 kB, almost full."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", tmp_path]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        (tmp_path / "filled").write_bytes(bytes(SIZE - 2**13))
        yield tmp_path
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def figure():
    drawn = Figure()
    drawn.subplots().plot(np.random.default_rng(0).normal(size=500))
    return drawn


def rows(path):
    with store.writer(path, 4, {"x": ((2**12,), "f8")}, "header") as written:
        written.append(x=np.ones((4, 2**12)))


MUCH = "much text " * 10**4
WRITERS = {
    "a.h5": lambda path: store.write(path, {"x": np.ones(2**16)}),
    "rows.h5": rows,
    "a.csv": lambda path: write_table(path, pd.DataFrame({"a": range(10**5)}), ["a"]),
    "a.json": lambda path: write_json(path, MUCH),
    "a.html": lambda path: write_text(path, MUCH),
    "sheet.png": lambda path: write_bytes(path, MUCH.encode()),
    "a.svg": lambda path: style.save(figure(), path.with_suffix("")),
    "a.pdf": lambda path: save_pdf(figure(), path.with_suffix("")),
    "a.safetensors": lambda path: write_delta_h(path, DeltaH(128, 128), {}),
}
UNKNOWN = {"a.csv"}  # how much is to be written
KEPT = {"rows.h5": {"rows.h5.partial"}}  # what the same command goes on from


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_told_with_path_and_bytes(name, disk):
    with pytest.raises(InputError, match=r"the disk is full|the disk has too little room") as told:
        WRITERS[name](disk / name)
    sentence = str(told.value)
    assert sentence.startswith(str(disk / name)) and "\n" not in sentence
    assert re.search(r"[\d,]+ bytes are free there; free some, or let `results` .*, then run again$", sentence)
    assert name in UNKNOWN or re.search(r"[\d,]+ bytes are still to be written", sentence)
    assert set(os.listdir(disk)) - KEPT.get(name, set()) == {"filled"}


def test_where_the_checksum_has_no_room_the_old_file_stays(disk):
    write_text(disk / "a.csv", "old")
    before = set(os.listdir(disk))
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with pytest.raises(InputError, match=r"a\.csv cannot be written, the disk is full"):
        write_bytes(disk / "a.csv", b"x" * free)
    assert (disk / "a.csv").read_text() == "old" and set(os.listdir(disk)) == before


JOB = """
import sys
from types import SimpleNamespace
from swsa_core.basics.errors import InputError
from workflow_scripts.job import job
params = SimpleNamespace(
    job={"stage": "tried", "leaves": {}, "later": {}, "runtime": {}}, tracked={"version": 1}, get=lambda name, default: default
)
with job(SimpleNamespace(threads=1, log=[sys.argv[1]], params=params)):
    for i in range(2000):
        print("line", i)
    if sys.argv[2] == "error":
        raise InputError("what is wrong")
    if sys.argv[2] == "bug":
        1 / 0
"""


def run_job(log, how, **options):
    options = {"stderr": subprocess.PIPE} | options
    return subprocess.run([sys.executable, "-c", JOB, log, how], cwd=ROOT, text=True, **options, check=False)


@pytest.mark.parametrize(
    ("how", "last", "status"),
    [("well", "line 1999", 0), ("error", "tried: what is wrong", 1), ("bug", "ZeroDivisionError", 1)],
)
def test_a_log_without_room_neither_ends_the_job_nor_hides_the_sentence(disk, how, last, status):
    (disk / "filled").write_bytes(bytes(SIZE - 2**12))
    done = run_job(disk / "a.log", how)
    lines = done.stderr.splitlines()
    told = [line for line in lines if "cannot be written" in line]
    assert done.returncode == status and last in lines[-1] and len(told) == 1
    assert f"{disk / 'a.log'} cannot be written (No space left on device)" in told[0]
    assert [line for line in lines if line.startswith("line")] == [f"line {i}" for i in range(2000)]


def test_a_log_that_cannot_be_opened(tmp_path):
    done = run_job(tmp_path / "absent" / "a.log", "error")
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and lines[-1] == "tried: what is wrong"
    assert "a.log cannot be written (No such file or directory)" in lines[0]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_behind_stderr_neither_ends_the_job_nor_keeps_lines_from_the_log(tmp_path):
    with open("/dev/full", "w") as full:
        done = run_job(tmp_path / "a.log", "well", stderr=full)
    lines = (tmp_path / "a.log").read_text().splitlines()
    assert done.returncode == 0 and lines[-1] == "line 1999"
    assert sum("stderr cannot be written (No space left on device)" in line for line in lines) == 1


def test_a_job_with_room_copies_all_lines(tmp_path):
    done = run_job(tmp_path / "a.log", "error")
    assert done.stderr == (tmp_path / "a.log").read_text() and done.stderr.endswith("line 1999\ntried: what is wrong\n")
