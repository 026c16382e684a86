"""Files are whole or absent, resumed exactly, and checked when read."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from swsa_core.basics.errors import InputError
from swsa_core.files import store
from swsa_core.files.checksums import sidecar


def fill(path, upto, header="h", values=None, log=print, compress=()):
    """Write rows in chunks of 2 up to row `upto` of 6, then fail as a killed job would; returns the row it began at."""
    values = np.arange(12.0).reshape(6, 2) if values is None else values
    with store.writer(
        path, 6, {"features": ((2,), "f4")}, header, {"image_id": list("abcdéf")}, {"k": 3}, compress=compress, log=log
    ) as rows:
        start = rows.done
        for row in range(start, 6, 2):
            if row >= upto:
                raise KeyboardInterrupt
            rows.append(features=values[row : row + 2])
    return start


@pytest.mark.parametrize("compress", [(), ("features",)])
def test_round_trip(tmp_path, compress):
    path = tmp_path / "sub" / "x.h5"
    fill(path, 6, compress=compress)
    arrays, attributes = store.read(path)
    assert np.array_equal(arrays["features"], np.arange(12.0).reshape(6, 2))
    assert list(arrays["image_id"]) == list("abcdéf")
    assert attributes["k"] == 3
    assert sorted(os.listdir(path.parent)) == [".x.h5.sha256", "x.h5"], "no temporary file is left"


def test_interrupted_file_is_absent_and_resumed(tmp_path):
    path = tmp_path / "x.h5"
    with pytest.raises(KeyboardInterrupt):
        fill(path, 4)
    assert not path.exists()
    lines = []
    assert fill(path, 6, log=lines.append) == 4
    assert "4 of 6 rows" in lines[0]
    assert np.array_equal(store.read(path)[0]["features"], np.arange(12.0).reshape(6, 2))


def test_damaged_rows_of_a_partial_file_are_not_gone_on_with(tmp_path):
    path, lines = tmp_path / "x.h5", []
    with pytest.raises(KeyboardInterrupt):
        fill(path, 4)
    with h5py.File(path.with_name("x.h5.partial"), "a") as file:
        file["features"][2] = 0  # as a block that never reached the disk
    assert fill(path, 6, log=lines.append) == 0
    assert lines == [f"{path}.partial: begun anew, some of its 4 rows are damaged"]
    assert np.array_equal(store.read(path)[0]["features"], np.arange(12.0).reshape(6, 2))


@pytest.mark.parametrize("damage", ["other header", "not HDF5"])
def test_partial_file_of_other_inputs_is_discarded(tmp_path, damage):
    path = tmp_path / "x.h5"
    with pytest.raises(KeyboardInterrupt):
        fill(path, 4, values=np.ones((6, 2)))
    if damage == "not HDF5":
        path.with_name("x.h5.partial").write_bytes(b"\x89HDF and then nothing")
    lines = []
    assert fill(path, 6, header="h" if damage == "not HDF5" else "other", log=lines.append) == 0
    assert "discarded" in lines[0]
    assert not (store.read(path)[0]["features"] == 1).all()


def test_rows_beyond_done_are_not_trusted(tmp_path):
    path = tmp_path / "x.h5"
    with pytest.raises(KeyboardInterrupt):
        fill(path, 4)
    with h5py.File(path.with_name("x.h5.partial"), "a") as file:
        file["features"][4:] = 99  # written, but killed before `done` was raised
    fill(path, 6)
    assert store.read(path)[0]["features"].max() == 11


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to tell what a descriptor is of")
def test_rows_are_on_the_disk_before_they_count_as_done(tmp_path, monkeypatch):
    counts = []

    def sync(descriptor):
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("x.h5.partial"):
            with h5py.File(tmp_path / "x.h5.partial", "r") as file:
                counts.append((int(file.attrs["done"]), float(file["features"][:].max())))

    monkeypatch.setattr(os, "fsync", sync)
    fill(tmp_path / "x.h5", 6)
    assert counts == [(0, 3), (2, 7), (4, 11)], "the rows are handed over, but not counted yet"


@pytest.mark.parametrize("upto", [0, 4])
def test_a_partial_file_does_not_pass_as_whole(tmp_path, upto):
    path = tmp_path / "x.h5"
    with pytest.raises(KeyboardInterrupt):
        fill(path, upto)
    os.replace(path.with_name("x.h5.partial"), path)
    with pytest.raises(InputError, match=r"x\.h5 is not complete"):
        store.read(path)


@pytest.mark.parametrize("kept", [[], [1, 4], range(6)])
@pytest.mark.parametrize("compress", [(), ("features",)])
def test_rows_left_out_of_the_finished_file(tmp_path, kept, compress, monkeypatch):
    monkeypatch.setattr(store, "COPIED", 16)  # two rows at a time
    path, rows_kept = tmp_path / "x.h5", np.isin(np.arange(6), kept)
    columns = {"features": ((2,), "f4"), "note": ((), store.text_type(3))}
    with store.writer(
        path, 6, columns, "h", {"image_id": list("abcdéf")}, {"k": 3}, compress=compress, scratch=["note"]
    ) as rows:
        rows.append(features=np.arange(8.0).reshape(4, 2), note=["", "ü", "", ""])
        assert rows.read("note").tolist() == ["", "ü", "", ""]
        rows.append(features=np.zeros((2, 2)), note=["", "x"])
        rows.rewind(4)
        rows.append(features=np.arange(8.0, 12).reshape(2, 2), note=["", ""])
        rows.keep(rows_kept, left_out=6 - len(kept))
    arrays, attributes = store.read(path)
    assert set(arrays) == {"features", "image_id"} and attributes == {"k": 3, "left_out": 6 - len(kept)}
    assert np.array_equal(arrays["features"], np.arange(12.0).reshape(6, 2)[rows_kept])
    assert list(arrays["image_id"]) == [list("abcdéf")[row] for row in kept]
    assert sorted(os.listdir(tmp_path)) == [".x.h5.sha256", "x.h5"]


@pytest.mark.parametrize("compress", [(), ("features",)])
def test_killed_while_finishing_loses_no_row(tmp_path, compress, monkeypatch):
    def killed(source, target):
        raise KeyboardInterrupt

    path = tmp_path / "x.h5"
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(store.os, "replace", killed)
        fill(path, 6, compress=compress)
    assert not path.exists() and fill(path, 6, compress=compress) == 6
    assert np.array_equal(store.read(path)[0]["features"], np.arange(12.0).reshape(6, 2))


def test_writer_refuses_missing_rows(tmp_path):
    with (
        pytest.raises(ValueError, match="0 rows were written, expected 6"),
        store.writer(tmp_path / "x.h5", 6, {"features": ((2,), "f4")}, "h"),
    ):
        pass
    assert not (tmp_path / "x.h5").exists()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"features": [[np.nan]], "image_id": ["a"]}, "not finite"),
        ({"features": [[1.0], [2.0]], "image_id": ["a"]}, "differ in length"),
        ({"features": [[1.0]]}, "lacks"),
    ],
)
def test_read_names_the_damaged_file(tmp_path, arrays, message):
    path = tmp_path / "x.h5"
    store.write(path, arrays)
    with pytest.raises(InputError, match=message) as error:
        store.read(path, ["features", "image_id"])
    assert str(path) in str(error.value)


def test_read_refuses_a_truncated_file(tmp_path):
    path = tmp_path / "x.h5"
    store.write(path, {"features": np.ones((1000, 10))})
    path.write_bytes(path.read_bytes()[:5000])
    sidecar(path).unlink()
    with pytest.raises(InputError, match=r"x\.h5 cannot be read as HDF5, it is damaged"):
        store.read(path)


def test_single_rows_and_counts(tmp_path):
    store.write(tmp_path / "x.h5", {"images": np.arange(12).reshape(3, 4), "parents": list("abc")})
    assert store.count_rows(tmp_path / "x.h5", "images") == 3
    assert store.open_file(tmp_path / "x.h5")["images"][1].tolist() == [4, 5, 6, 7]
    assert set(store.read(tmp_path / "x.h5", without=["images"])[0]) == {"parents"}
    (tmp_path / "y.h5").write_text("no HDF5")
    with pytest.raises(InputError, match=r"y\.h5 cannot be read"):
        store.count_rows(tmp_path / "y.h5", "images")


def test_files_that_do_not_belong_together():
    whole = {"a.h5": {"model": "m", "precision": "float32"}, "b.h5": {"model": "m", "precision": "float32", "k": 1}}
    store.check_same(whole, ["model", "precision"])
    for other in ({"model": "m", "precision": "bfloat16"}, {"model": "m"}):
        with pytest.raises(InputError, match=r"b\.h5 and c\.h5.*precision is 'float32' in the one.*delete both"):
            store.check_same(whole | {"c.h5": other}, ["model", "precision"])


def test_hdf5_is_used_in_three_modules():
    root = Path(__file__).parents[2]
    files = [*(root / "swsa_core").rglob("*.py"), *(root / "workflow_scripts").glob("*.py")]
    used = sorted(path.name for path in files if "h5py" in path.read_text())
    assert used == ["foreign_hdf5.py", "partial_rows.py", "store.py"]


def test_a_file_that_another_process_writes_is_left_to_it(tmp_path):
    path = tmp_path / "x.h5"
    begin = (
        "import sys, time; from swsa_core.files import store\n"
        "with store.writer(sys.argv[1], 2, {'a': ((), 'int64')}, 'id', {}) as rows:\n"
        "    rows.append(a=[1]); print('begun', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", begin, path], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline() == "begun\n"
            with (
                pytest.raises(InputError, match=r"x\.h5\.partial is being written by another process"),
                store.writer(path, 2, {"a": ((), "int64")}, "another id", {}),
            ):
                pass
            assert path.with_name("x.h5.partial").exists()
        finally:
            other.kill()
