"""Watching a folder: complete images get one row each, whatever arrives half, and however often it is started."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from layouts import draw

from swsa_core.basics.errors import InputError
from swsa_core.detect import fit, save
from swsa_core.detect.__main__ import main as detect
from swsa_core.detect.run import COLUMNS, found_images
from swsa_core.detect.watch import PATIENCE, Arrivals, rows_in

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    directory = tmp_path_factory.mktemp("watch")
    paths = [directory / "normal" / f"{number}.png" for number in range(6)]
    for number, path in enumerate(paths):
        draw(path, seed=number)
    save(fit(paths, [({"name": "hog", "model": "descriptor:hog"}, "cosine", {"k": 2})]), directory / "detector")
    return directory / "detector"


def rows_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def wait_until(true, process):
    ends = time.monotonic() + 60
    while not true():
        assert process.poll() is None and time.monotonic() < ends, process.communicate()
        time.sleep(0.05)


class Watching:
    """The command as a process, until the block ends with a signal."""

    def __init__(self, detector, folder, output):
        arguments = ["--watch", str(folder), "-o", str(output), "--interval", "0.1", "--threads", "1"]
        self.command = [sys.executable, "-m", "swsa_core.detect", str(detector), *arguments]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        return self.process

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
            self.process.communicate()


def test_images_are_scored_as_they_arrive_and_once(detector, tmp_path):
    folder, output = tmp_path / "in", tmp_path / "scores.csv"
    draw(folder / "a.png", seed=1)
    draw(tmp_path / "whole.png", seed=2)
    whole = (tmp_path / "whole.png").read_bytes()
    with Watching(detector, folder, output) as process:
        wait_until(lambda: output.exists() and len(rows_of(output)) == 1, process)
        (folder / "b.png").write_bytes(whole[:700])  # still being written
        time.sleep(0.35)  # two looks and more
        (folder / "b.png").write_bytes(whole)
        draw(folder / "deeper" / "c.png", seed=3)
        wait_until(lambda: len(rows_of(output)) == 3, process)
        process.send_signal(signal.SIGTERM)
        told = process.communicate(timeout=60)[1]
        assert process.returncode == 0
        assert "3 images in" in told and "alarm" in told
    assert {Path(row["path"]).name for row in rows_of(output)} == {"a.png", "b.png", "c.png"}
    assert all(row["verdict"] != "not read" for row in rows_of(output))
    with output.open("a") as stream:
        stream.write("a row that was cut")  # by a kill
    draw(folder / "d.png", seed=4)
    (folder / "e.png").write_bytes(b"never an image")
    with Watching(detector, folder, output) as process:
        wait_until(lambda: len(rows_of(output)) == 5 and "cut" not in output.read_text(), process)
        process.send_signal(signal.SIGINT)
        assert "2 images in" in process.communicate(timeout=60)[1] and process.returncode == 0
    rows = {Path(row["path"]).name: row for row in rows_of(output)}
    assert len(rows) == len(rows_of(output)) == 5
    assert rows["e.png"]["verdict"] == "not read" and "not an image" in rows["e.png"]["reason"]


def test_a_file_is_ready_when_it_stays_the_same(tmp_path):
    arrivals = Arrivals(str(tmp_path), set())
    path = str(tmp_path / "a.png")
    Path(path).write_bytes(b"a")
    assert arrivals.ready() == []
    Path(path).write_bytes(b"ab")
    assert arrivals.ready() == []
    assert arrivals.ready() == [path]
    for _ in range(PATIENCE - 1):
        assert not arrivals.finished(path, "cannot be read")
        assert arrivals.ready() == [path]
    Path(path).write_bytes(b"abc")  # it has been on its way all the time
    assert arrivals.ready() == [] and arrivals.ready() == [path]
    assert not arrivals.finished(path, "cannot be read")
    assert arrivals.finished(path, "")
    assert arrivals.ready() == []


def test_a_name_that_no_row_can_hold_is_told_once_and_holds_nothing_up(tmp_path, capsys):
    for name in ("good.png", "two\nlines.png", "deep/esc\x1b.png"):
        draw(tmp_path / name)
    draw(tmp_path / "folder\r" / "inside.png")
    arrivals = Arrivals(str(tmp_path), set())
    assert arrivals.ready() == []
    assert [Path(path).name for path in arrivals.ready()] == ["good.png"]
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 3 and all(
        line.endswith("control character in its name: rename it; nothing of that name is scored") for line in told
    )


@pytest.mark.parametrize("text", ["path,verdict\na,normal\n", "\x00\xff"])
def test_another_file_is_not_taken_for_scores(tmp_path, text):
    (tmp_path / "own.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"own\.csv"):
        rows_in(tmp_path / "own.csv")
    assert (tmp_path / "own.csv").read_bytes() == text.encode("latin-1")


def test_a_csv_is_made_where_there_is_none(tmp_path):
    assert rows_in(tmp_path / "new.csv") == []
    assert (tmp_path / "new.csv").read_text().split() == [",".join(COLUMNS)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--watch", "{folder}/none", "-o", "{folder}/s.csv"], "is no folder"),
        (["--watch", "{folder}"], "needs -o"),
        (["--watch", "{folder}", "-o", "{folder}/s.csv", "--interval", "0"], "seconds above 0"),
        (["{folder}", "--watch", "{folder}"], "expected one of"),
        ([], "expected one of"),
        (["{folder}/*.tif"], "a pattern such as"),
    ],
)
def test_bad_use(detector, tmp_path, capsys, arguments, expected):
    assert detect([str(detector), *(one.format(folder=tmp_path) for one in arguments)]) == 2
    told = capsys.readouterr().err
    assert expected in told and told.count("\n") == 1


def test_patterns_name_images(tmp_path):
    for name in ("a/1.png", "a/2.txt", "b/c/3.jpg"):
        draw(tmp_path / name) if not name.endswith("txt") else (tmp_path / name).write_text("")
    found = found_images([f"{tmp_path}/**/*"])
    assert [os.path.relpath(path, tmp_path) for path in found] == ["a/1.png", "b/c/3.jpg"]
