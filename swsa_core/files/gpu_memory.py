"""The GPU memory that a job took: a line of its log, as Snakemake's own measurements know the main memory alone."""

import re
import sys
from pathlib import Path


def peak_gpu_mb() -> float | None:
    """Largest memory in MB (2^20 bytes) that this process had allocated on a GPU, None where it used none."""
    torch = sys.modules.get("torch")  # which a job without a network does not import
    if torch is None or not torch.cuda.is_initialized():
        return None
    return max(torch.cuda.max_memory_allocated(index) for index in range(torch.cuda.device_count())) / 2**20


def as_line(peak_mb: float) -> str:
    """The line of a log.

    >>> as_line(1234.56)
    'peak GPU memory: 1234.6 MB'
    """
    return f"peak GPU memory: {peak_mb:.1f} MB"


def of_log(path: Path) -> float:
    """The peak that a log tells, in MB; NaN where there is none or no log."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    found = re.findall(r"^peak GPU memory: ([\d.]+) MB$", text, re.M)
    return float(found[-1]) if found else float("nan")
