"""Rows in batches as large as the device gains from and memory allows."""

from math import ceil

import torch


def in_batches(run, unet, x, batch_size=None):
    """Yield run(rows) for slices `rows` that cover the rows of x (n, 3, H, W) in order, in batches of even size.

    batch_size None: `automatic_batch_size`. After an out-of-memory error the batch runs again at half the size.
    """
    batch_size = batch_size or automatic_batch_size(unet, x)
    start = 0
    while start < len(x):
        left = len(x) - start
        rows = slice(start, start + ceil(left / ceil(left / batch_size)))
        try:
            result = run(rows)
        except torch.OutOfMemoryError:
            if rows.stop - rows.start == 1:
                raise
            result = None
        if result is None:  # not in the handler, which keeps the failed run's tensors alive
            batch_size = (rows.stop - rows.start) // 2
            torch.cuda.empty_cache()
            continue
        yield result
        start = rows.stop


def automatic_batch_size(unet, x):
    """How many rows of x (n, 3, H, W) to take at once through a step with both decoder passes."""
    weight = unet.conv_in.weight  # (C0, 3, 3, 3)
    # The decoder's widest feature maps: twice C0 channels at full resolution, for both passes.
    widest = 4 * len(weight) * x.shape[-1] * x.shape[-2] * weight.element_size()
    if weight.device.type == "cuda":
        # Skips and the maps that live at once are about six times that; beyond 64 rows nothing is gained.
        return int(min(max(0.8 * torch.cuda.mem_get_info(weight.device)[0] / (6 * widest), 1), 64))
    # A CPU slows down as soon as the maps leave its cache.
    return max(2**24 // widest, 1)
