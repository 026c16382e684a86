"""The GPU memory of a job, from the process that used it to the report."""

import sys
from types import SimpleNamespace

import numpy as np

from swsa_core.files import gpu_memory


def test_a_job_that_uses_no_gpu_tells_nothing(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert gpu_memory.peak_gpu_mb() is None
    monkeypatch.setitem(sys.modules, "torch", torch_with([5], initialised=False))
    assert gpu_memory.peak_gpu_mb() is None


def test_the_peak_is_that_of_the_fullest_gpu_and_is_read_from_the_log(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", torch_with([5 * 2**20, 1234.56 * 2**20]))
    peak = gpu_memory.peak_gpu_mb()
    log = tmp_path / "job.log"
    log.write_text(f"100 of 200 images\n{gpu_memory.as_line(peak)}\n")
    assert gpu_memory.of_log(log) == 1234.6


def test_a_log_without_the_line_or_no_log_gives_nothing(tmp_path):
    log = tmp_path / "job.log"
    assert np.isnan(gpu_memory.of_log(log))
    log.write_bytes(b"\xff the peak GPU memory: 5 MB of a sentence\n")
    assert np.isnan(gpu_memory.of_log(log))


def torch_with(peaks, initialised=True):
    """What of torch is asked, for GPUs of which so many bytes were in use."""
    cuda = SimpleNamespace(
        is_initialized=lambda: initialised,
        device_count=lambda: len(peaks),
        max_memory_allocated=lambda index: peaks[index],
    )
    return SimpleNamespace(cuda=cuda)
