"""Images in order and in bounded memory: readers of files and arrays, and worker processes that run a little ahead."""

import multiprocessing
import os
import signal
import sys
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from swsa_core.basics.errors import InputError
from swsa_core.files import store
from swsa_core.files.machine import reading

GROUP = 8  # images that a worker reads at a time; two groups a worker are under way


class FileReader:
    """Row -> the prepared image of a file; `paths` as `swsa_core.files.images.read_image` takes them."""

    def __init__(self, paths: Iterable[Path | str], preparation: dict[str, Any] | str = "original") -> None:
        self.paths, self.preparation = list(paths), preparation

    def __call__(self, row: int) -> np.ndarray:
        from swsa_core.files.images import prepared

        return prepared(self.paths[row], self.preparation)


class RowReader:
    """Row -> the image in the `images` of HDF5 files, counted through all; padding beyond `sizes` is cut off."""

    def __init__(self, paths: Iterable[Path | str]) -> None:
        self.paths = [str(path) for path in paths]
        self.ends = list(accumulate(store.count_rows(path, "images") for path in self.paths))

    def __call__(self, row: int) -> np.ndarray:
        index = bisect_right(self.ends, row)
        own = row - (self.ends[index - 1] if index else 0)
        file = store.open_file(self.paths[index])
        with reading(self.paths[index], "HDF5"):
            height, width = file["sizes"][own] if "sizes" in file else file["images"].shape[1:3]
            return file["images"][own, :height, :width]


@contextmanager
def image_stream(prepare: Callable[[int], Any], processes: int) -> Iterator[Callable[[range], Iterator[Any]]]:
    """Function from a range of rows to the iterator of prepare(row), in order, computed by `processes` workers or by none.

    The workers start at once, end with the block, and end when this process is killed.
    """
    if not processes:
        yield partial(map, prepare)
        return
    # Forked, so that the main script is not imported again; workers use neither torch nor a GPU.
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("fork"), _start_worker, (prepare,))
    try:
        pool.submit(os.getpid).result()  # forks them all now
        yield partial(_read_ahead, pool, 2 * processes)
    finally:
        pool.shutdown(cancel_futures=True)


def _read_ahead(pool, ahead, rows):
    """Results for `rows` in order, with `ahead` groups of them under way."""
    tasks = (pool.submit(_work, rows[start : start + GROUP]) for start in range(0, len(rows), GROUP))
    pending = deque(islice(tasks, ahead))
    while pending:
        try:
            images = pending.popleft().result()
        except BrokenProcessPool as error:
            raise InputError(
                "a process that reads images was killed, most likely for lack of memory: lower runtime.workers"
            ) from error
        pending.extend(islice(tasks, 1))
        yield from images


def _start_worker(prepare):
    global _prepare_row
    _prepare_row = prepare
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    threadpool_limits(1)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def _end_with_parent():
    """A parent that was killed cannot end its workers."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _work(rows):
    return [_prepare_row(row) for row in rows]
