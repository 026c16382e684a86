"""Rows in batches that are as large as memory allows and the device can make use of."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TypeVar

import torch

from swsa_core.basics.errors import InputError, is_out_of_memory
from swsa_core.diffusion.hspace import UNet, largest_map

T = TypeVar("T")
INDEXED = 2**31 - 1  # elements of a tensor, at most: kernels that count in 32 bits refuse more, or write nonsense


@dataclass
class BatchSize:
    """How many rows several calls take at once: the first call finds the number, which is halved when memory runs out."""

    rows: int = 0  # 0: `automatic_batch_size` of the first call


def in_batches(
    run: Callable[[slice], T], unet: UNet, x: torch.Tensor, batch_size: int | BatchSize | None = None
) -> Iterator[T]:
    """Yield run(rows) for slices `rows` that cover the rows of x (n, 3, H, W) in order, in batches of even size.

    batch_size: rows at most, an int; None: `automatic_batch_size`; a `BatchSize`: that of earlier calls, for later ones.
    After an out-of-memory error the batch runs again at half the size; InputError when one row is too much.
    """
    size = decided(batch_size, unet, x)
    start = 0
    while start < len(x):
        left = len(x) - start
        rows = slice(start, start + ceil(left / ceil(left / size.rows)))
        try:
            result = run(rows)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if rows.stop - rows.start == 1:
                raise InputError(f"sources.diffusion: memory is too small for one image ({error})") from error
            result = None
        if result is None:  # not in the handler, which keeps the failed run's tensors alive
            size.rows = (rows.stop - rows.start) // 2
            torch.cuda.empty_cache()
            continue
        yield result
        start = rows.stop


def decided(batch_size: int | BatchSize | None, unet: UNet, x: torch.Tensor) -> BatchSize:
    """The `batch_size` of `in_batches` as a `BatchSize` whose number is known, and within `most_rows`."""
    size = batch_size if isinstance(batch_size, BatchSize) else BatchSize(batch_size or 0)
    size.rows = min(size.rows or automatic_batch_size(unet, x), most_rows(unet, *x.shape[-2:]))
    return size


def most_rows(unet: UNet, height: int, width: int) -> int:
    """Rows of `height` x `width` pixels whose feature maps have elements that 32 bits can count, at least 1."""
    return max(INDEXED // largest_map(unet, height, width), 1)


def automatic_batch_size(unet: UNet, x: torch.Tensor) -> int:
    """How many rows of x (n, 3, H, W) to take at once through a step with both decoder passes."""
    weight = unet.conv_in.weight  # (C0, 3, 3, 3)
    # The decoder's widest feature maps: twice C0 channels at full resolution, for both passes; in float32 where norms are.
    element_size = max(weight.element_size(), unet.conv_norm_out.weight.element_size())
    widest = 4 * len(weight) * x.shape[-1] * x.shape[-2] * element_size
    if weight.device.type == "cuda":
        # Skips and maps that live at once are 3.5 to 3.8 times that; a fifth of the memory is left to the libraries'
        # workspaces. Beyond 64 rows nothing is gained.
        return int(min(max(0.8 * free_memory(weight.device) / (4 * widest), 1), 64))
    # A CPU slows down as soon as the maps leave its cache.
    return max(2**24 // widest, 1)


def free_memory(device: torch.device) -> int:
    """Bytes of a GPU that tensors can take: those that are free, and those that PyTorch holds without using them."""
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def counted(steps: Sequence[T], rows: slice, progress: Callable[[float], None] | None = None) -> Iterator[T]:
    """Iterate over `steps`, a list, of the batch `rows`; after each, call `progress` with the rows done so far.

    An unfinished batch counts by its share of steps, so that the number may be a fraction.
    """
    for done, step in enumerate(steps, 1):
        yield step
        if progress:
            progress(rows.start + (rows.stop - rows.start) * done / len(steps))
