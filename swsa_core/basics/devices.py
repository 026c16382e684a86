"""Where networks run, and in which precision.

The Snakefile reads this too, to ask for GPUs: torch is imported by the functions that compute with it.
"""

import ctypes
import importlib.util
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from swsa_core.basics.errors import InputError
from swsa_core.basics.lease import claim, free_gpu

# Parameters of malloc.h, and what the first is set to: glibc before 2.35 refuses more than 32 MB.
MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
THRESHOLDS = (2**30, 2**25)
HIDDEN = ("", "-1", "NoDevFiles")  # values of CUDA_VISIBLE_DEVICES that hide every GPU


def uses_gpu(device: str, available: bool | None = None) -> bool:
    """Whether a job on this machine computes on a GPU under the config's `runtime.device`; rules and jobs ask this alike.

    available: what torch.cuda.is_available() says; None, as in the Snakefile: told without torch, see `gpu_problem`.
    """
    if device != "auto":
        return device.startswith("cuda")
    return has_gpu() and gpu_problem() is None if available is None else available


def requested_gpus(device: str, elsewhere: bool = False) -> int:
    """The resource `gpu` of a rule that computes with a network, 0 or 1.

    elsewhere: whether another machine runs the job (any executor but local and dry run). What this one has says nothing
    about that one: `auto` asks for a GPU there, and the job decides by what it finds.
    """
    return int(uses_gpu(device) or (elsewhere and device == "auto"))


def threads_of(gpu_job: bool, cores: int | None, gpus: int | None, wanted: int) -> int:
    """Threads of a job that wants `wanted`, so that there are cores for as many jobs at a time as there are GPUs.

    cores, gpus: of Snakemake's --cores and --resources gpu=; None where they have no limit, as on a cluster.

    >>> threads_of(True, cores=8, gpus=4, wanted=4), threads_of(False, cores=8, gpus=4, wanted=4)
    (2, 4)
    """
    if not gpu_job or not cores or not gpus:
        return wanted
    return max(1, min(wanted, cores // gpus))


def has_gpu(root: str = os.sep) -> bool:
    """Whether an NVIDIA GPU is here, by its device files or its tool, and not hidden by CUDA_VISIBLE_DEVICES."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in HIDDEN:
        return False
    return any(Path(root).glob("dev/nvidia[0-9]*")) or shutil.which("nvidia-smi") is not None


def gpu_problem(available: bool | None = None) -> str | None:
    """Why torch cannot use the GPU that is here, as a clause; None where it can, and where there is no GPU.

    available: as in `uses_gpu`; None: judged by the CUDA that torch was built for and the one that the driver offers. A driver
    runs every build of its own major version and of older ones.
    """
    if available or not has_gpu():
        return None
    build, offered = torch_cuda(), driver_cuda()
    if build is None:
        return "the installed torch was built without CUDA"
    if offered is None:
        needed = f"CUDA {build}" if build else "its CUDA"
        return f"torch needs a driver for {needed}, and no driver library (libcuda.so.1) can be loaded"
    told = f"the driver here offers CUDA {offered[0]}.{offered[1]}"
    if build and offered[0] < int(build.partition(".")[0]):
        return f"torch needs a driver for CUDA {build}, and {told}"
    if available is None:
        return None
    return f"torch finds none that it can use (it was built for CUDA {build or 'of an unknown version'}, {told})"


def torch_cuda() -> str | None:
    """Version of CUDA that the installed torch was built for, such as "13.2", without importing it.

    None for a build without CUDA; "" where there is no torch to look at, as jobs may have an environment of their own.
    """
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return ""
    try:
        text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(r"^cuda\b[^=\n]*=\s*(?:None|['\"]([\d.]+)['\"])", text, re.M)
    return found[1] if found else ""


def driver_cuda() -> tuple[int, int] | None:
    """(major, minor) version of the newest CUDA that this machine's driver runs; None where it cannot be asked."""
    version = ctypes.c_int()
    try:
        failed = ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return None
    return None if failed else (version.value // 1000, version.value % 1000 // 10)


def find_device(device: str, log: Callable[[str], None] = print) -> str:
    """The torch device of the config's `runtime.device`: "auto" is a GPU where torch can use one, else the CPU.

    Of several GPUs, "auto" and "cuda" take one that no other job has taken. Where "auto" passes over a GPU, one line says why.
    On the CPU the process keeps the memory that networks free (`keep_memory`). Raises InputError for a GPU that is not there.
    """
    if device == "cpu":
        keep_memory()
        return "cpu"
    import torch

    available = torch.cuda.is_available()
    problem = gpu_problem(available)
    if not uses_gpu(device, available):
        if problem:
            log(
                f"WARNING: there is a GPU here, but {problem}. This job computes on the CPU, which may take many times longer. "
                "Update the driver or install a torch that suits it; `runtime: {device: cpu}` in the config silences this line."
            )
        keep_memory()
        return "cpu"
    if not available:
        why = f", as {problem}" if problem else ""
        raise InputError(f"runtime.device: received {device!r}, but torch sees no GPU{why}: use auto or cpu")
    if ":" not in device:
        return f"cuda:{free_gpu(log)}"
    count = torch.cuda.device_count()
    if int(device.partition(":")[2]) >= count:
        found = ", ".join(f"cuda:{index}" for index in range(count))
        raise InputError(f"runtime.device: received {device!r}, but torch sees {found}: use one of these, or auto")
    claim(int(device.partition(":")[2]))  # so that others pass it over; whoever names a card may share it
    return device


def keep_memory() -> None:
    """Keep memory that is freed for what this process allocates next, where the C library is glibc.

    By itself it gives each large activation back to the system, which then clears its pages for the next one: that took more
    time than the computation (benchmarks/allocator.py). From 1 GB on (32 MB with glibc before 2.35) an allocation goes back as
    before.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt and any(mallopt(MMAP_THRESHOLD, value) for value in THRESHOLDS):
        mallopt(TRIM_THRESHOLD, 2**31 - 1)


def find_dtype(precision: str, device: str) -> Any:
    """torch dtype of the config's `precision`: "auto" is bfloat16 on a GPU and float32 on a CPU."""
    import torch

    if precision == "auto":
        return torch.bfloat16 if device.startswith("cuda") else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]


def inference(function: Callable) -> Callable:
    """`function` without gradients, with float32 that is float32, and with algorithms that are the same in every run."""
    import torch

    return torch.no_grad()(exact_float32()(function))


@contextmanager
def exact_float32() -> Iterator[None]:
    """Within the block a GPU computes float32 convolutions and matrix products in float32, by deterministic algorithms.

    By itself it would use TF32 in convolutions, and in products where TORCH_ALLOW_TF32_CUBLAS_OVERRIDE=1 is set, as in NVIDIA's
    containers. `set_float32_matmul_precision` keeps PyTorch's two records of that choice in agreement; writing
    `cuda.matmul.fp32_precision` alone would not, and torch.compile, which reads the older record, would then fail.
    """
    import torch

    backends: Any = torch.backends  # whose types lack cuda.matmul
    before = torch.get_float32_matmul_precision()
    of_products = [(module, module.fp32_precision) for module in (backends.cuda.matmul, backends.mkldnn.matmul)]
    torch.set_float32_matmul_precision("highest")
    try:
        with backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
        for module, precision in of_products:  # the line above sets the CPU's too
            module.fp32_precision = precision
