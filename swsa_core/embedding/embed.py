"""Embeddings: stream images through a backbone into a resumable file of features.

Memory does not grow with the number of images. Features are written in chunks of fixed boundaries: a job that was
killed goes on at the last one, with the same batches and hence the same bits.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from swsa_core.basics.errors import InputError, NeedsKey, is_out_of_memory
from swsa_core.embedding.image_stream import image_stream
from swsa_core.files import store

CHUNK = 256  # rows between two points of resuming, and the largest batch
BATCH_SIZE = {"": CHUNK, "cpu": 32, "cuda": CHUNK}  # by `Backbone.device`
REASON_BYTES = 500
VISIBLE = 1.0  # mean difference of two prepared images, of 255, that no working network is blind to


class Embedder(Protocol):
    """What is asked of a `swsa_core.candidates.backbone.Backbone`, whose docstring tells what these are."""

    @property
    def name(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def weights_sha256(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def feature_size(self) -> int: ...
    @property
    def transform(self) -> Callable[[np.ndarray], np.ndarray]: ...
    @property
    def features(self) -> Callable[[np.ndarray], np.ndarray]: ...
    @property
    def patch_size(self) -> int: ...
    @property
    def with_patches(self) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None: ...
    def attributes(self) -> dict[str, str | int]: ...


def embed(
    backbone: Embedder,
    read: Callable[[int], np.ndarray],
    *,
    path: Path | str,
    patches_path: Path | str | None = None,
    grid: int = 0,
    constants: Mapping[str, Sequence[Any] | np.ndarray],
    header: Any = None,
    attributes: Mapping[str, Any] | None = None,
    runtime: Mapping[str, Any] | None = None,
    threads: int = 1,
    on_bad_image: str = "error",
    progress: Callable[[int, int], None] | None = None,
    log: Callable[[str], None] = print,
) -> list[dict[str, str]]:
    """Write the features of n images to the embeddings file `path`.

    read: row -> image (H, W, 3) uint8, in any process, InputError when it cannot be read; see image_stream.py.
    patches_path, grid: file of the patches' features (grid², d) float16 of each image, where the backbone gives them too; they
    come from the same pass, and the two files have the same rows.
    constants: {"image_id": n ids, and e.g. "task", "parents"}, the other columns of the file.
    header: inputs and settings that the features depend on beside the backbone, see `store.writer`.
    attributes: of the file, beside the backbone's own and `skipped`.
    runtime: {"batch_size", "workers"}, numbers or "auto"; with `threads` see `share_threads`.
    on_bad_image: "error", or "skip" to leave out images that cannot be read. One that needs a key ends it always.
    progress: called with (images done, n) after each batch.
    Returns the images left out, [{"image_id", "reason"}], also in the file's attribute `skipped` as JSON.
    Raises InputError for an unreadable image, features that are not finite or all the same, and memory too small for one image.
    """
    path, runtime, n = Path(path), runtime or {}, len(constants["image_id"])
    if not n:
        raise InputError(f"{path}: there is no image to embed")
    processes, compute = share_threads(threads, runtime.get("workers", "auto"), backbone.device)
    size = _batch_size(runtime.get("batch_size", "auto"), backbone.device)
    log(f"{path}: {n} images, {processes} reading processes, {compute} compute threads, batches of {size}")
    # Until the end every image has its row, also an unreadable one, so that chunks keep their places when resumed.
    reason = {"reason": ((), store.text_type(REASON_BYTES))}
    columns = {"features": ((backbone.feature_size,), "float32")} | reason
    attributes = backbone.attributes() | dict(attributes or {})
    # What is done about bad images is no part of it: an interrupted file goes on when that is changed.
    identity = [header, backbone.attributes(), backbone.device]
    started = time.perf_counter()
    with (
        # The workers start before the file is opened: one that outlives a killed parent must not hold its lock.
        image_stream(partial(_prepare, read, backbone.transform), processes) as stream,
        compute_threads(compute),
        store.writer(path, n, columns, identity, constants, attributes, scratch=["reason"], log=log) as rows,
        _patch_writer(backbone, patches_path, grid, n, identity, constants, attributes, log) as patch_rows,
    ):
        if patch_rows:  # one may be a chunk behind the other
            rows.rewind(patch_rows.done)
        if on_bad_image == "error":
            _rewind_to_unreadable(rows)
        if patch_rows:
            patch_rows.rewind(rows.done)
        first = rows.done
        images = stream(range(first, n))
        if on_bad_image == "error":
            images = _refuse_unreadable(images)
        while rows.done < n:
            count = min(CHUNK, n - rows.done)
            report = partial(_report, progress, rows.done, n) if progress else None
            features, patches, reasons, size = _embed_chunk(backbone, images, count, size, grid, report, log)
            for array in (features, patches):
                _check_finite(array, constants, rows.done, path, backbone)
            if rows.done == first:
                readable = [first + row for row, reason in enumerate(reasons) if not reason]
                _check_distinct(features[[row - first for row in readable]], readable, read, path, backbone)
            rows.append(features=features, reason=[_shortened(reason) for reason in reasons])
            if patch_rows:
                patch_rows.append(patches=patches)
        skipped = _leave_out_unreadable(rows, path, constants["image_id"], log)
        if patch_rows:
            patch_rows.keep(rows.kept, **rows.attributes)
    if patch_rows:
        patch_rows.discard()
    seconds = time.perf_counter() - started
    log(f"{path}: read {n - first} images in {seconds:.1f} s, {(n - first) / seconds:.1f} per second")
    return skipped


def share_threads(threads: int, workers: int | Literal["auto"], device: str) -> tuple[int, int]:
    """(reading processes, threads of the network) that together stay within `threads`.

    workers: number of reading processes, or "auto": on a GPU all threads but one; on a CPU a quarter of them, as a
    network costs far more there than reading; for descriptors (device "") all of them, as the reading processes compute
    those and this one only waits. With one thread there is no other process.
    """
    most = threads if device == "" else threads - 1
    auto = {"": threads, "cpu": threads // 4, "cuda": threads - 1}[device]
    processes = min(auto if isinstance(workers, str) else workers, most) if threads > 1 else 0
    return processes, max(1, threads - processes)


def _batch_size(wanted, device):
    return BATCH_SIZE[device] if wanted == "auto" else min(wanted, CHUNK)


def _prepare(read, transform, row):
    """(transformed image, ""), or (None, why it cannot be read). NeedsKey passes: such an image is not left out."""
    try:
        return transform(read(row)), ""
    except NeedsKey:
        raise
    except InputError as error:
        return None, str(error)


def _refuse_unreadable(prepared):
    """The results of `_prepare` as they come; InputError at the first image that cannot be read."""
    for image, reason in prepared:
        if reason:
            raise InputError(reason)
        yield image, reason


def _rewind_to_unreadable(rows):
    """Go back to the chunk of the first image that an interrupted run left out: it may be readable by now."""
    unreadable = np.flatnonzero(rows.read("reason") != "")
    if len(unreadable):
        rows.rewind(unreadable[0] // CHUNK * CHUNK)


def _shortened(reason):
    return reason.encode()[:REASON_BYTES].decode(errors="ignore")


@contextmanager
def compute_threads(threads: int) -> Iterator[None]:
    """Limit OpenMP, BLAS and torch to `threads` within the block."""
    torch = sys.modules.get("torch")  # descriptors do without
    before = torch.get_num_threads() if torch else None
    with threadpool_limits(threads):
        try:
            if torch:
                torch.set_num_threads(threads)
            yield
        finally:
            if torch:
                torch.set_num_threads(before)


def _patch_writer(backbone, path, grid, n, identity, constants, attributes, log):
    """The writer of the file of patches, or a block without one."""
    if path is None:
        return nullcontext()
    columns = {"patches": ((grid**2, backbone.patch_size), "float16")}
    return store.writer(
        path, n, columns, [*identity, grid], constants, attributes | {"grid": grid}, leave=True, log=log
    )


def _embed_chunk(backbone, images, count, size, grid, report, log):
    """Features and patches of the next `count` images, zero where one is missing; the reasons; the last batch size."""
    features = np.zeros((count, backbone.feature_size), np.float32)
    patches = np.zeros((count, grid**2, backbone.patch_size), np.float16)
    reasons = []
    while len(reasons) < count:
        batch = list(islice(images, min(size, count - len(reasons))))
        rows = [len(reasons) + index for index, (image, _) in enumerate(batch) if image is not None]
        if rows:
            found, size = in_batches(backbone, [image for image, _ in batch if image is not None], size, log)
            features[rows] = found[0]
            if grid:
                patches[rows] = found[1]
        reasons += [reason for _, reason in batch]
        if report:
            report(len(reasons))
    return features, patches, reasons, size


def in_batches(
    backbone: Embedder, images: Sequence[np.ndarray] | np.ndarray, size: int, log: Callable[[str], None]
) -> tuple[list[np.ndarray], int]:
    """Features (n, d), and where the backbone gives them patches, of n transformed images in batches of `size`, halved whenever
    memory runs out; the last size."""

    def of_features(batch: np.ndarray) -> tuple[np.ndarray, ...]:
        return (backbone.features(batch),)

    run = backbone.with_patches or of_features
    parts, done = [], 0
    while done < len(images):
        try:
            parts.append(run(np.asarray(images[done : done + size])))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            message = f"{type(error).__name__}: {error}".splitlines()[0]
        else:
            done += size
            continue
        tried = min(size, len(images) - done)
        if tried == 1:
            raise InputError(
                f"{backbone.name}: memory is too small for one image ({message}); use a smaller `crop`, model or device"
            )
        size = tried // 2
        log(f"{backbone.name}: out of memory with {tried} images a batch, going on with {size} ({message})")
        _free_gpu_memory()
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)], size


def _free_gpu_memory():
    if torch := sys.modules.get("torch"):
        torch.cuda.empty_cache()


def _check_finite(features, constants, start, path, backbone):
    bad = np.flatnonzero(~np.isfinite(features).all(axis=tuple(range(1, features.ndim))))
    if len(bad):
        raise InputError(
            f"{path}: the features of image {constants['image_id'][start + bad[0]]!r} are not finite (backbone "
            f"{backbone.name}, {len(bad)} of {len(features)} images); check its weights, or use precision: float32"
        )


def _check_distinct(features, rows, read, path, backbone):
    """Raise InputError where a network gives images that differ to the eye one and the same features.

    features: those of the images `rows`. Only where all are equal, and some images are not, is any image read again.
    """
    if len(rows) < 2 or not backbone.device or not (features == features[0]).all():
        return
    prepared = (np.asarray(_prepare(read, backbone.transform, row)[0], np.float32) for row in rows)
    first = next(prepared)
    if any(np.abs(image - first).mean() >= VISIBLE for image in prepared):
        raise InputError(
            f"{path}: the candidate {backbone.name!r} ({backbone.model}) gives {len(rows)} different images the same features, "
            f"so that it can tell nothing apart: its weights (SHA-256 {backbone.weights_sha256}) or its `args` make it "
            "constant; check `weights` and `args`, or remove the candidate"
        )


def _report(progress, start, n, done):
    progress(start + done, n)


def _leave_out_unreadable(rows, path, image_ids, log):
    """Leave the rows with a reason out of the finished file; [{"image_id", "reason"}] of them."""
    reasons = rows.read("reason")
    readable = reasons == ""
    skipped = [{"image_id": image_ids[row], "reason": reasons[row]} for row in np.flatnonzero(~readable)]
    for entry in skipped:
        log(f"{path}: left out {entry['image_id']!r}: {entry['reason']}")
    if not readable.any():
        rows.rewind(0)  # there is nothing to go on from
        raise InputError(f"{path}: none of the {len(reasons)} images can be read; the first: {skipped[0]['reason']}")
    rows.keep(readable, skipped=json.dumps(skipped, ensure_ascii=False))
    return skipped
