"""Finished files of a job that runs again: taken as they are where they were made of the same things."""

import errno
import os

import numpy as np
import pytest

from swsa_core.files import store
from swsa_core.files.kept import digest, forget, keep, kept, take

COLUMNS = {"x": ((2,), "float32")}


def make(path, settings, computed):
    """Write two rows at `kept(path)`; the number of each row that had to be computed is appended to `computed`."""
    with store.writer(path, 2, COLUMNS, settings, {"ids": ["a", "b"]}, keep=True, log=lambda text: None) as rows:
        for row in range(rows.done, 2):
            computed.append(row)
            rows.append(x=np.full((1, 2), settings + row))
        assert rows.read("x").tolist() == [[settings] * 2, [settings + 1] * 2]


@pytest.fixture
def finished(tmp_path):
    path = tmp_path / "folder" / "a.h5"
    make(path, 1, [])
    take(path)
    return path


def test_a_job_brings_its_files_to_their_places_at_its_end(tmp_path):
    path, computed = tmp_path / "folder" / "a.h5", []
    make(path, 1, computed)
    assert not path.exists() and kept(path).exists(), (
        "so that Snakemake does not remove what it takes for a failed job's"
    )
    make(path, 1, computed)
    take(path)
    path.unlink()  # as Snakemake does where it takes the job for failed all the same
    take(path)
    assert computed == [0, 1] and sorted(names_in(path.parent)) == ["a.h5", "a.h5.kept"]
    forget([path])
    assert names_in(path.parent) == ["a.h5"]
    assert store.read(path)[0]["x"].tolist() == [[1, 1], [2, 2]]


def test_no_partial_file_is_left_by_a_run_that_ended_before_it_was_removed(tmp_path, monkeypatch):
    path, computed = tmp_path / "folder" / "a.h5", []

    def interrupted(rows):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store.Rows, "discard", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make(path, 1, computed)
    assert sorted(names_in(path.parent)) == ["a.h5.kept", "a.h5.partial"]
    make(path, 1, computed)
    assert computed == [0, 1] and names_in(path.parent) == ["a.h5.kept"]


def test_a_kept_file_has_no_partial_one_to_leave(tmp_path):
    with (
        pytest.raises(ValueError, match="no partial one"),
        store.writer(tmp_path / "a.h5", 1, COLUMNS, 1, keep=True, leave=True),
    ):
        raise AssertionError


def test_a_finished_file_is_computed_again_only_where_it_was_made_of_other_things(finished):
    before = finished.stat().st_ino
    keep([finished, finished.with_name("b.h5")])
    finished.unlink()  # as Snakemake does before the job runs again
    make(finished, 1, computed := [])
    take(finished)
    assert computed == [] and finished.stat().st_ino == before
    keep([finished])
    finished.unlink()
    make(finished, 5, computed)
    take(finished)
    assert computed == [0, 1] and store.read(finished)[0]["x"][0, 0] == 5


def names_in(folder):
    """Names of files but their checksums."""
    return [path.name for path in folder.glob("[!.]*")]


def test_a_second_name_ends_with_the_run_unless_it_is_the_only_one(finished):
    keep([finished])
    keep([finished])  # as after a run that ended without a word
    never = finished.parent / "further" / "b.h5"
    forget([finished, never])
    assert names_in(finished.parent) == ["a.h5"], "and nothing is made for files that are not there"
    keep([finished, never])
    finished.unlink()
    forget([finished, never])
    assert names_in(finished.parent) == ["a.h5.kept"]


def test_a_kept_file_that_is_damaged_is_made_again(finished):
    keep([finished])
    finished.unlink()
    kept(finished).write_bytes(kept(finished).read_bytes()[:100])
    make(finished, 1, computed := [])
    assert computed == [0, 1]


def test_where_files_have_one_name_only_it_is_told(finished, monkeypatch, capsys):
    def link(path, second):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    keep([finished, finished])
    [line] = capsys.readouterr().out.splitlines()
    assert str(finished) in line and "computed again" in line


def test_a_digest_tells_shapes_and_pixels_apart():
    image = np.zeros((2, 3, 3), np.uint8)
    other = image.copy()
    other[1, 2, 0] = 1
    assert (
        digest(image) == digest(image[:, ::-1])
        and len({digest(image), digest(other), digest(image.reshape(3, 2, 3))}) == 3
    )
