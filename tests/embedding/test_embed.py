"""Embedding: streaming, resuming after a kill, out of memory, bad images, threads. The result never depends on them."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from swsa_core.basics.errors import InputError, NeedsKey
from swsa_core.candidates.backbone import Backbone, load_backbone
from swsa_core.embedding.embed import CHUNK, embed, share_threads
from swsa_core.embedding.image_stream import FileReader, RowReader, image_stream
from swsa_core.files import store
from workflow_scripts._embed import told

ROOT = Path(__file__).parents[2]


def ids(n):
    return [f"image {row}.png" for row in range(n)]


def read_synthetic(row):
    """An image of 16 x 16 px that depends on its row alone."""
    return np.random.default_rng(row).integers(0, 256, (16, 16, 3), np.uint8)


class Unchanged:
    def __call__(self, image):
        return image

    def __str__(self):
        return "unchanged"


def fake(features=None, device="cpu", feature_size=3):
    """A backbone that takes images as they are; the default features are the mean colours."""

    def mean_colours(batch):
        return batch.reshape(len(batch), -1, 3).mean(1, dtype=np.float32)

    return Backbone(
        "fake",
        "fake:mean",
        feature_size,
        0,
        Unchanged(),
        features or mean_colours,
        weights_sha256="",
        versions="",
        device=device,
    )


EXPECTED = np.stack([read_synthetic(row).reshape(-1, 3).mean(0, dtype=np.float32) for row in range(600)])


def run(tmp_path, n=600, read=read_synthetic, backbone=None, **settings):
    """(arrays, attributes, log lines, images left out) of one embedding."""
    lines, path = [], tmp_path / "images.h5"
    settings = {"constants": {"image_id": ids(n)}} | settings
    skipped = embed(backbone or fake(), read, path=path, log=lines.append, **settings)
    return *store.read(path), "\n".join(lines), skipped


@pytest.mark.parametrize("threads", [1, 3])
def test_file_holds_features_ids_and_attributes(tmp_path, threads):
    parents = np.array([["a", "ß"]] * 600)
    constants = {"image_id": ids(600), "task": ["tulip"] * 600, "parents": parents}
    arrays, attributes, log, skipped = run(
        tmp_path,
        constants=constants,
        attributes={"stage_version": 1},
        threads=threads,
        runtime={"workers": threads - 1},
    )
    assert arrays["features"].dtype == np.float32 and np.array_equal(arrays["features"], EXPECTED)
    assert list(arrays["image_id"]) == ids(600) and set(arrays["task"]) == {"tulip"}
    assert arrays["parents"].tolist() == parents.tolist()
    assert attributes["backbone"] == "fake" and attributes["model"] == "fake:mean" and attributes["stage_version"] == 1
    assert attributes["n_parameters"] == 0 and attributes["skipped"] == "[]" and skipped == []
    assert f"{threads - 1} reading processes" in log
    assert sorted(os.listdir(tmp_path)) == [".images.h5.sha256", "images.h5"]


def test_batch_size_and_workers_change_nothing(tmp_path):
    results = []
    for name, batch, threads in [("a", 1, 1), ("b", 7, 2), ("c", 64, 4), ("d", 10_000, 1), ("e", "auto", 2)]:
        (tmp_path / name).mkdir()
        runtime = {"batch_size": batch, "workers": "auto" if threads == 1 else threads - 1}
        arrays, *_ = run(tmp_path / name, runtime=runtime, threads=threads)
        results.append(arrays["features"])
    assert all(np.array_equal(result, EXPECTED) for result in results)


def test_progress(tmp_path):
    seen = []
    run(tmp_path, n=300, progress=lambda done, n: seen.append((done, n)), runtime={"batch_size": 100})
    assert seen == [(100, 300), (200, 300), (256, 300), (300, 300)]


def test_memory_does_not_grow(tmp_path):
    """However many images there are, only those of one batch are alive."""
    alive, most = set(), 0

    class Counted(np.ndarray):
        def __del__(self):
            alive.discard(id(self))

    def read(row):
        nonlocal most
        image = np.zeros((4, 4, 3), np.uint8).view(Counted)
        alive.add(id(image))
        most = max(most, len(alive))
        return image

    run(tmp_path, n=2000, read=read, runtime={"batch_size": 16})
    assert most <= 2 * 16 + 2


def test_workers_run_only_a_little_ahead(tmp_path):
    """Of many images, workers have read a few dozen when the first is asked for."""

    def note(row):
        (tmp_path / str(row)).touch()
        return row

    with image_stream(note, 2) as stream:
        rows = stream(range(1000))
        assert next(rows) == 0
        time.sleep(0.3)
        assert len(os.listdir(tmp_path)) <= 5 * 8
        assert list(rows) == list(range(1, 1000))


def children(pid):
    """Ids of the processes that `pid` started."""
    return [child.pid for child in psutil.Process(pid).children()]


def test_no_worker_is_left(tmp_path):
    before = set(children(os.getpid()))

    def broken(row):
        if row == 300:
            raise OSError("disk on fire")
        return read_synthetic(row)

    run(tmp_path, n=50, threads=3, runtime={"workers": 2})
    with pytest.raises(OSError, match="disk on fire"):
        run(tmp_path, read=broken, threads=3, runtime={"workers": 2})
    assert set(children(os.getpid())) <= before


def test_a_killed_worker_is_told(tmp_path):
    def killed(row):
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(InputError, match=r"runtime\.workers"):
        run(tmp_path, read=killed, threads=2, runtime={"workers": 1})


@pytest.mark.parametrize(
    ("threads", "workers", "device", "shares"),
    [
        (1, "auto", "cuda", (0, 1)),
        (1, 4, "cpu", (0, 1)),
        (2, "auto", "cpu", (0, 2)),
        (8, "auto", "cpu", (2, 6)),
        (8, "auto", "cuda", (7, 1)),
        (8, "auto", "", (8, 1)),
        (8, 3, "cpu", (3, 5)),
        (4, 9, "cuda", (3, 1)),
        (4, 0, "cpu", (0, 4)),
    ],
)
def test_share_threads(threads, workers, device, shares):
    assert share_threads(threads, workers, device) == shares


def test_threads_are_limited_and_given_back(tmp_path):
    import torch

    seen, before = [], torch.get_num_threads()

    def features(batch):
        seen.append(torch.get_num_threads())
        return fake().features(batch)

    def read(row):
        return np.full((1, 1, 3), torch.get_num_threads(), np.uint8)

    run(tmp_path, n=3, backbone=fake(features), threads=4, runtime={"workers": 1})
    assert set(seen) == {3} and torch.get_num_threads() == before
    arrays, *_ = run(tmp_path, n=3, read=read, threads=4, runtime={"workers": 2})
    assert (arrays["features"] == 1).all()


def constant(batch):
    return np.ones((len(batch), 3), np.float32)


def test_a_network_that_tells_no_images_apart_is_refused(tmp_path):
    for batch in (1, 64):
        with pytest.raises(InputError, match=r"'fake' \(fake:mean\) gives 256 different images the same .*`weights`"):
            run(tmp_path, backbone=fake(constant), runtime={"batch_size": batch})


@pytest.mark.parametrize(
    ("n", "read"),
    [
        (1, read_synthetic),
        (3, lambda row: np.zeros((16, 16, 3), np.uint8)),
        (
            3,
            lambda row: np.eye(16, dtype=np.uint8)[row, :, None, None].repeat(16, 1).repeat(3, 2),
        ),  # one level, one row
    ],
)
def test_images_that_hardly_differ_may_have_the_same_features(tmp_path, n, read):
    arrays, *_ = run(tmp_path, n=n, read=read, backbone=fake(constant))
    assert (arrays["features"] == 1).all()


def test_unreadable_images_do_not_count_as_different(tmp_path):
    def read(row):
        if row:
            raise InputError("damaged")
        return read_synthetic(row)

    arrays, *_ = run(tmp_path, n=3, read=read, backbone=fake(constant), on_bad_image="skip")
    assert arrays["features"].tolist() == [[1, 1, 1]]


def limited_memory(limit, error):
    def features(batch):
        if len(batch) > limit:
            raise error
        return fake().features(batch)

    return fake(features)


def memory_errors():
    torch = pytest.importorskip("torch")
    return [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"
        ),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
    ]


@pytest.mark.parametrize("error", memory_errors(), ids=lambda error: type(error).__name__)
def test_batches_are_halved_when_memory_runs_out(tmp_path, error):
    arrays, _, log, _ = run(tmp_path, backbone=limited_memory(4, error))
    assert np.array_equal(arrays["features"], EXPECTED)
    assert "out of memory with 32 images a batch, going on with 16" in log
    assert "going on with 4" in log and log.count("out of memory with") == 3


def test_memory_too_small_for_one_image(tmp_path):
    with pytest.raises(InputError, match="too small for one image"):
        run(tmp_path, backbone=limited_memory(0, memory_errors()[0]))


def test_other_errors_are_not_taken_for_memory(tmp_path):
    with pytest.raises(RuntimeError, match="illegal memory access"):
        run(tmp_path, backbone=limited_memory(0, RuntimeError("CUDA error: an illegal memory access was encountered")))


def test_features_that_are_not_finite(tmp_path):
    def features(batch):
        values = fake().features(batch)
        values[batch[:, 0, 0, 0] == read_synthetic(270)[0, 0, 0]] = np.nan
        return values

    first = next(row for row in range(600) if read_synthetic(row)[0, 0, 0] == read_synthetic(270)[0, 0, 0])
    with pytest.raises(InputError, match=rf"image {first}\.png' are not finite.*fake"):
        run(tmp_path, backbone=fake(features))
    assert not (tmp_path / "images.h5").exists()


def unreadable(bad):
    def read(row):
        if row in bad:
            raise InputError(f"image 'image {row}.png' cannot be read: " + "ü" * 400)
        return read_synthetic(row)

    return read


@pytest.mark.parametrize("threads", [1, 3])
def test_unreadable_images(tmp_path, threads):
    bad = {0, 5, 255, 256, 599}
    runtime = {"workers": threads - 1}
    with pytest.raises(InputError, match=r"image 0\.png"):
        run(tmp_path, read=unreadable(bad), threads=threads, runtime=runtime)
    arrays, attributes, log, skipped = run(
        tmp_path, read=unreadable(bad), on_bad_image="skip", threads=threads, runtime=runtime
    )
    good = [row for row in range(600) if row not in bad]
    assert np.array_equal(arrays["features"], EXPECTED[good])
    assert list(arrays["image_id"]) == [ids(600)[row] for row in good] and set(arrays) == {"features", "image_id"}
    assert [entry["image_id"] for entry in skipped] == [ids(600)[row] for row in sorted(bad)]
    assert json.loads(attributes["skipped"]) == skipped and "cannot be read: üü" in skipped[0]["reason"]
    assert "left out 'image 255.png'" in log
    assert sorted(os.listdir(tmp_path)) == [".images.h5.sha256", "images.h5"]


def noted(read, rows):
    def read_row(row):
        rows.append(row)
        return read(row)

    return read_row


def test_what_is_done_about_bad_images_may_change_between_runs(tmp_path):
    """Every chunk is embedded once, except that a refusing run looks again at what a skipping one left out."""
    path, read = tmp_path / "images.h5", []

    def unplugged(row):
        if row == 550:
            raise OSError("unplugged")
        return unreadable({300})(row)

    with pytest.raises(InputError, match=r"image 300\.png"):
        run(tmp_path, read=unreadable({300}))
    with pytest.raises(OSError, match="unplugged"):
        run(tmp_path, read=noted(unplugged, read), on_bad_image="skip")
    assert read == list(range(256, 551))
    *_, skipped = run(tmp_path, read=noted(unreadable({300}), read := []), on_bad_image="skip")
    assert read == list(range(512, 600)) and [entry["image_id"] for entry in skipped] == ["image 300.png"]

    path.unlink()
    with pytest.raises(OSError, match="unplugged"):
        run(tmp_path, read=unplugged, on_bad_image="skip")
    with pytest.raises(InputError, match=r"image 300\.png"):
        run(tmp_path, read=unreadable({300}))
    arrays, *_, skipped = run(tmp_path, read=noted(read_synthetic, read := []))
    assert read == list(range(256, 600)) and not skipped and np.array_equal(arrays["features"], EXPECTED)


def test_the_way_of_bad_images_does_not_show_in_a_file_without_any(tmp_path):
    contents = []
    for on_bad_image in ("error", "skip"):
        run(tmp_path, on_bad_image=on_bad_image)
        contents.append((tmp_path / "images.h5").read_bytes())
    assert contents[0] == contents[1]


def test_killed_while_the_finished_file_is_written(tmp_path, monkeypatch):
    def killed(source, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(store.os, "replace", killed)
        run(tmp_path, read=unreadable({3}), on_bad_image="skip")
    assert not (tmp_path / "images.h5").exists()
    arrays, *_ = run(tmp_path, read=noted(read_synthetic, read := []), on_bad_image="skip")
    assert read == [] and len(arrays["features"]) == 599


def test_a_bad_image_is_told_in_the_words_of_the_rule(tmp_path):
    read = told(unreadable({2}), lambda row, error: f"class 'red', row {row}: {error}; set on_bad_image: skip")
    with pytest.raises(InputError, match=r"^class 'red', row 2: image 'image 2\.png'.*; set on_bad_image: skip$"):
        run(tmp_path, n=5, read=read)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("on_bad_image", ["error", "skip"])
def test_an_image_that_needs_a_key_is_never_left_out(tmp_path, on_bad_image, threads):
    def read(row):
        if row == 2:
            raise NeedsKey("image 2 cannot be read (set value_range)")
        return read_synthetic(row)

    for way in (read, told(read, lambda row, error: f"{error}{'' if isinstance(error, NeedsKey) else '; skip it'}")):
        with pytest.raises(NeedsKey, match=r"^image 2 cannot be read \(set value_range\)$"):
            run(tmp_path, read=way, on_bad_image=on_bad_image, threads=threads)


def test_nothing_readable_or_nothing_at_all(tmp_path):
    with pytest.raises(InputError, match="none of the 3 images can be read"):
        run(tmp_path, n=3, read=unreadable({0, 1, 2}), on_bad_image="skip")
    assert len(run(tmp_path, n=3)[0]["features"]) == 3, "and the images are read again once they are repaired"
    with pytest.raises(InputError, match="no image"):
        run(tmp_path, n=0)


KILLED = """
import sys, time
sys.path.insert(0, {tests!r})
from test_embed import *
def slow(row):
    if row >= 300:
        time.sleep(0.05)
    if row == 4:
        raise InputError("image 4 cannot be read")
    return read_synthetic(row)
import swsa_core.embedding.embed as module
print("started", flush=True)
embed(fake(), slow, path={path!r}, constants={{"image_id": ids(600)}}, header={{"k": 1}}, on_bad_image="skip",
      threads={threads}, runtime={{"workers": {workers}}},
      progress=lambda done, n: print(done, flush=True))
"""


@pytest.mark.parametrize("threads", [1, 3])
def test_kill_and_rerun_give_identical_bits(tmp_path, threads):
    path = tmp_path / "images.h5"
    settings = {"tests": str(Path(__file__).parent), "path": str(path), "threads": threads, "workers": threads - 1}
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED.format(**settings)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    for line in process.stdout:  # beyond the first chunk, in the middle of the second
        if line.strip().isdigit() and int(line) > CHUNK:
            break
    workers = children(process.pid)
    assert len(workers) == threads - 1
    process.kill()
    process.wait()
    assert not path.exists()
    read = []

    def bad_row(row):
        read.append(row)
        return unreadable({4})(row)

    arrays, _, log, skipped = run(tmp_path, read=bad_row, header={"k": 1}, on_bad_image="skip")
    assert f"going on after {CHUNK} of 600 rows" in log
    assert read == list(range(CHUNK, 600))
    assert [(entry["image_id"], entry["reason"]) for entry in skipped] == [("image 4.png", "image 4 cannot be read")]
    assert np.array_equal(arrays["features"], np.delete(EXPECTED, 4, axis=0))
    deadline = time.monotonic() + 5
    while any(psutil.pid_exists(worker) for worker in workers):
        assert time.monotonic() < deadline, "a worker outlived its killed parent"
        time.sleep(0.05)


def test_resuming_keeps_the_batches(tmp_path):
    """Even features that depend on the whole batch come out the same after an interruption."""

    def features(batch):
        return fake().features(batch) + batch.mean(dtype=np.float32) + len(batch)

    def stops(row):
        if row == 400:
            raise OSError("unplugged")
        return read_synthetic(row)

    settings = {"backbone": fake(features), "runtime": {"batch_size": 100}}
    whole, *_ = run(tmp_path, **settings)
    (tmp_path / "images.h5").unlink()
    with pytest.raises(OSError, match="unplugged"):
        run(tmp_path, read=stops, **settings)
    resumed, _, log, _ = run(tmp_path, **settings)
    assert "going on after 256" in log and np.array_equal(whole["features"], resumed["features"])


def test_a_partial_file_of_other_settings_is_not_resumed(tmp_path):
    def stops(row):
        if row == 400:
            raise OSError("unplugged")
        return read_synthetic(row)

    with pytest.raises(OSError, match="unplugged"):
        run(tmp_path, read=stops, header={"k": 1})
    with pytest.raises(OSError, match="unplugged"):
        run(tmp_path, read=stops, header={"k": 2})
    _, _, log, _ = run(tmp_path, header={"k": 2})
    assert "going on after 256" in log
    with pytest.raises(OSError, match="unplugged"):
        run(tmp_path, read=stops, header={"k": 1})
    _, _, log, _ = run(tmp_path, header={"k": 2})
    assert "discarded" in log and "going on" not in log


def test_readers(tmp_path):
    """Rows of files on disk, and of HDF5 files one after another, without padding, in any process."""
    images = np.stack([read_synthetic(row) for row in range(5)])
    store.write(tmp_path / "a.h5", {"images": images[:2]})
    store.write(tmp_path / "b.h5", {"images": images[2:], "sizes": np.array([[16, 16], [9, 7], [16, 3]])})
    reader = pickle.loads(pickle.dumps(RowReader([tmp_path / "a.h5", tmp_path / "b.h5"])))
    shapes = [(16, 16), (16, 16), (16, 16), (9, 7), (16, 3)]
    for row, (height, width) in enumerate(shapes):
        assert np.array_equal(reader(row), images[row, :height, :width])
    with image_stream(reader, 2) as stream:
        assert [image.shape[:2] for image in stream(range(5))] == shapes

    pytest.importorskip("swsa_core.files.images")
    Image.fromarray(images[0]).save(tmp_path / "one.png")
    reader = FileReader([tmp_path / "one.png", tmp_path / "none.png"])
    assert np.array_equal(reader(0), images[0])
    assert FileReader([tmp_path / "one.png"], {"size": 8, "crop": "center"})(0).shape == (8, 8, 3)
    with pytest.raises(InputError, match=r"none\.png"):
        reader(1)


def test_a_descriptor_is_computed_by_the_workers(tmp_path):
    backbone = load_backbone({"name": "hog", "model": "descriptor:hog", "resize": 32, "crop": 32, "args": {"cells": 4}})
    (tmp_path / "other").mkdir()
    alone, *_ = run(tmp_path, n=40, backbone=backbone)
    shared, *_ = run(tmp_path / "other", n=40, backbone=backbone, threads=2)
    assert alone["features"].shape == (40, 324) and np.array_equal(alone["features"], shared["features"])
    assert alone["features"].dtype == np.float32


def with_patches(fail_at=None):
    """A fake backbone that gives patches too; it fails at a batch."""
    batches = []

    def both(batch):
        batches.append(len(batch))
        if len(batches) == fail_at:
            raise KeyboardInterrupt
        features = batch.reshape(len(batch), -1, 3).mean(1, dtype=np.float32)
        return features, batch.reshape(len(batch), 4, -1, 3).mean(2).astype(np.float16)

    return replace(fake(), patch_size=3, with_patches=both)


def test_patches_have_a_file_of_their_own_with_the_same_rows(tmp_path):
    def read(row):
        if row in (3, 400):
            raise InputError(f"image {row} is torn")
        return read_synthetic(row)

    where = {"patches_path": tmp_path / "patches.h5", "grid": 2, "on_bad_image": "skip"}
    arrays, _, _, skipped = run(tmp_path, read=read, backbone=with_patches(), **where)
    found, attributes = store.read(tmp_path / "patches.h5")
    assert len(skipped) == 2 and found["image_id"].tolist() == arrays["image_id"].tolist()
    assert found["patches"].shape == (598, 4, 3) and found["patches"].dtype == np.float16
    np.testing.assert_allclose(found["patches"].astype(float).mean(1), arrays["features"], rtol=1e-3)
    assert attributes["grid"] == 2 and json.loads(attributes["skipped"]) == skipped


def test_a_run_that_was_stopped_between_the_two_files_goes_on_with_the_same_bits(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    run(whole, backbone=with_patches(), patches_path=whole / "patches.h5", grid=2)
    with pytest.raises(KeyboardInterrupt):
        run(parts, backbone=with_patches(fail_at=10), patches_path=parts / "patches.h5", grid=2)
    with store.h5py.File(parts / "patches.h5.partial", "a") as file:
        assert file.attrs["done"] == CHUNK
        file.attrs["done"] = 0  # as if it had been killed after the features alone
    run(parts, backbone=with_patches(), patches_path=parts / "patches.h5", grid=2)
    for name in ("images.h5", "patches.h5"):
        one, other = (store.read(place / name)[0] for place in (whole, parts))
        for column in one:
            np.testing.assert_array_equal(one[column], other[column])


def test_a_run_that_was_stopped_before_both_files_were_complete_embeds_nothing_again(tmp_path, monkeypatch):
    where, replacing = {"patches_path": tmp_path / "patches.h5", "grid": 2}, store.replacing

    def fails(path, needed):
        if path.name == "images.h5":
            raise KeyboardInterrupt
        return replacing(path, needed)

    with monkeypatch.context() as patch:
        patch.setattr(store, "replacing", fails)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, backbone=with_patches(), **where)
    complete = store.read(tmp_path / "patches.h5")[0]
    (tmp_path / "patches.h5").unlink()  # as Snakemake does with the outputs of a job that did not end
    run(tmp_path, backbone=with_patches(fail_at=1), **where)
    np.testing.assert_array_equal(store.read(tmp_path / "patches.h5")[0]["patches"], complete["patches"])
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".partial") == []


def test_patches_that_float16_cannot_hold_end_in_a_sentence(tmp_path):
    def both(batch):
        return np.ones((len(batch), 3), np.float32), np.full((len(batch), 4, 3), np.inf, np.float16)

    with pytest.raises(InputError, match=r"the features of image 'image 0\.png' are not finite"):
        run(tmp_path, 5, backbone=replace(with_patches(), with_patches=both), patches_path=tmp_path / "p.h5", grid=2)
