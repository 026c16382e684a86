"""An HDF5 file that others made is refused before it names other files to read or fills the memory."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from swsa_core.basics.errors import InputError
from swsa_core.files import store

TEXT = h5py.string_dtype()


def soft_link(file):
    file["x"] = h5py.SoftLink("/elsewhere")


def link_to_a_column(file):
    file["x"] = h5py.SoftLink("/features")


def external_link(file):
    file["x"] = h5py.ExternalLink("secret.h5", "/features")


def link_in_a_group(file):
    file["test/x"] = h5py.ExternalLink("/etc/passwd", "/")


def external_storage(file):
    file.create_dataset("x", (8,), "u1", external=[("secret.bin", 0, 8)])


def virtual(file):
    layout = h5py.VirtualLayout((3, 2), "f4")
    layout[:] = h5py.VirtualSource("secret.h5", "features", (3, 2))
    file.create_virtual_dataset("x", layout)


def never_written(file):
    file.create_dataset("x", (10**12,), "f8")


def never_written_chunks(file):
    file.create_dataset("x", (10**6, 1000, 1000), "u1", chunks=(1, 1000, 1000), compression="gzip")


def one_chunk_of_many(file):
    rows = file.create_dataset("x", (10**9, 1000), "u1", chunks=(1, 1000), compression="gzip")
    rows[0] = np.random.default_rng(0).integers(0, 255, 1000)


def chunk_larger_than_the_array(file):
    rows = file.create_dataset("x", (1, 10), "u1", chunks=(100, 10**4), maxshape=(None, None), compression="gzip")
    rows[:] = 1


def another_compression(file):
    file.create_dataset("x", (100,), "i8", chunks=(100,), scaleoffset=1)[:] = 1


def twice(file):
    file["x"] = np.zeros(10**5)
    file["again"] = file["x"]


def objects(file):
    file.create_dataset("x", (2,), h5py.vlen_dtype("f8"))


def references(file):
    file.create_dataset("x", (1,), h5py.ref_dtype)[0] = file["features"].ref


def records(file):
    file["x"] = np.zeros(3, [("a", "f4"), ("b", "i4")])


def dates(file):
    file.create_dataset("x", (1,), np.dtype("V8"))


def a_type(file):
    file["x"] = np.dtype("f8")


def array_as_attribute(file):
    file.attrs["x"] = np.zeros(1000)


KINDS = [
    *(soft_link, link_to_a_column, external_link, link_in_a_group, external_storage, virtual, never_written),
    *(never_written_chunks, one_chunk_of_many, chunk_larger_than_the_array, another_compression, twice, objects),
    *(references, records, dates, a_type, array_as_attribute),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_is_never_written_here_is_refused(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.bin").write_bytes(b"password")
    store.write("secret.h5", {"features": np.ones((3, 2), "f4")})
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["features"] = np.ones((3, 2), "f4")
        kind(file)
    reads = [
        lambda: store.read(path),
        lambda: store.read(path, ["features"]),
        lambda: store.count_rows(path, "features"),
        lambda: store.open_file(path),
    ]
    for read in reads:
        with pytest.raises(InputError, match=r"holds '.*', .*: delete it and run again") as told:
            read()
        assert str(path) in str(told.value) and "\n" not in str(told.value) and "password" not in str(told.value)


WITH_LITTLE_MEMORY = """
import resource, sys
from swsa_core.basics.errors import InputError
from swsa_core.files import store
here = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (here + 2**29, here + 2**29))
try:
    store.read(sys.argv[1])
except InputError as error:
    print(error)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc to limit the memory")
def test_many_rows_of_one_long_text_do_not_fill_the_memory(tmp_path):
    """Each row of text is an address in the file: here 100,000 times that of a text of 1 MB."""
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        rows = file.create_dataset("x", (100_000,), TEXT)
        rows[0] = "a" * 10**6
        place = rows.id.get_offset()
    content = bytearray(path.read_bytes())
    content[place : place + 16 * 100_000] = content[place : place + 16] * 100_000
    path.write_bytes(content)
    with h5py.File(path) as file:
        assert len(file["x"][99_999]) == 10**6
    done = subprocess.run([sys.executable, "-c", WITH_LITTLE_MEMORY, path], capture_output=True, text=True, check=True)
    assert "holds more text than the file has bytes" in done.stdout and "delete it and run again" in done.stdout


def test_what_is_written_here_is_read(tmp_path):
    """Also what compresses best, nothing at all, and what stands in groups."""
    arrays = {
        "images": np.zeros((50, 64, 64, 3), "u1"),
        "flat": np.zeros((50, 1)),
        "parents": np.array([["a", "b"]] * 50, object),
        "test/image_id": np.array(["ü"] * 7, object),
        "none": np.empty((50, 0), object),
        "flags": np.ones(50, bool),
        "half": np.ones((50, 2), "f2"),
    }
    store.write(tmp_path / "a.h5", arrays, {"n": 3, "x": 0.5, "text": "é", "long": "a" * 50_000}, compress=["images"])
    read, attributes = store.read(tmp_path / "a.h5")
    assert set(read) == set(arrays) and attributes["long"] == "a" * 50_000
    for name, values in arrays.items():
        assert np.array_equal(read[name], values) and read[name].shape == values.shape, name
    empty = {"images": np.zeros((0, 8, 8, 3), "u1"), "ids": np.empty(0, object)}
    store.write(tmp_path / "b.h5", empty, compress=["images"])
    assert all(np.array_equal(values, empty[name]) for name, values in store.read(tmp_path / "b.h5")[0].items())
