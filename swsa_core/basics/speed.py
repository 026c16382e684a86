"""How fast a network runs on this machine, measured without its weights."""

import time
from collections.abc import Callable
from typing import Any

# FLOPs of a batch whose time is measured, where the stage itself would take a larger one.
MOST_WORK = {"cpu": 2e10, "cuda": 2e13}
LEAST_SECONDS = 2  # of a measurement, unless one pass takes longer


def materialise(module: Any, device: str) -> Any:
    """`module` on `device` with arbitrary ordinary numbers for weights."""
    import torch

    on_meta = any(value.is_meta for value in module.parameters())
    module = module.to_empty(device=device) if on_meta else module.to(device)
    for value in (*module.parameters(), *module.buffers()) if on_meta else ():
        value.data.uniform_(0.01, 0.05) if value.is_floating_point() else value.data.zero_()
    layout = torch.channels_last if device.startswith("cuda") else torch.contiguous_format
    return torch.nn.Module.to(module, memory_format=layout)


def batch_of(size: int, flops: int, device: str) -> int:
    """Images of the batch whose time is measured: `size` of the stage, fewer where that would take long."""
    return max(1, min(size, int(MOST_WORK[device.split(":")[0]] / flops)))


def mean_seconds(run: Callable[[], Any], device: str) -> float:
    """Mean seconds of one `run`; the first, which loads libraries and chooses kernels, counts only where it is long."""
    import torch

    def timed():
        start = time.perf_counter()
        run()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    first = timed()
    seconds: list[float] = []
    while first < LEAST_SECONDS and sum(seconds) < LEAST_SECONDS:
        seconds.append(timed())
    return sum(seconds) / len(seconds) if seconds else first
