"""Where networks run, and in which precision."""

import fcntl
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import torch

from swsa_core.basics.errors import InputError

_CLAIMS = {}  # {index: lock} of the GPUs that this process uses, held until it ends


def find_device(device):
    """The torch device of the config's `runtime.device`: "auto" is a GPU where there is one, else the CPU.

    Of several GPUs, "auto" and "cuda" take one that no other job has taken. Raises InputError for a GPU that is not there.
    """
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        raise InputError(f"runtime.device: received {device!r}, but torch sees no GPU: use auto or cpu")
    if ":" not in device:
        return f"cuda:{free_gpu()}"
    count = torch.cuda.device_count()
    if int(device.partition(":")[2]) >= count:
        available = ", ".join(f"cuda:{index}" for index in range(count))
        raise InputError(f"runtime.device: received {device!r}, but torch sees {available}: use one of these, or auto")
    return device


def free_gpu(log=print):
    """Index of a GPU that no other process of the workflow has claimed; if all are taken the first one, with a line in the log.

    A claim is a lock on a file named after the GPU's own id, which ends with the process, however it ends.
    """
    if _CLAIMS:
        return min(_CLAIMS)
    count = torch.cuda.device_count()
    for index in range(count):
        name = torch.cuda.get_device_properties(index).uuid
        lock = _open_for_all(Path(tempfile.gettempdir()) / f"swsa-gpu-{name}.lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            _CLAIMS[index] = lock
            return index
    log(
        f"cuda:0 is shared with another job, because all GPUs here ({count}) are taken: run Snakemake with "
        f"--resources gpu={count}, as many as there are GPUs"
    )
    return 0


def _open_for_all(path):
    """The file at `path`, open; made where absent, readable from its first moment by other users, who lock it too."""
    if not path.exists():
        with tempfile.NamedTemporaryFile(dir=path.parent) as made:
            os.fchmod(made.fileno(), 0o644)  # whatever the umask
            with suppress(FileExistsError):  # another job was faster
                os.link(made.name, path)
    return path.open()


def find_dtype(precision, device):
    """torch dtype of the config's `precision`: "auto" is bfloat16 on a GPU and float32 on a CPU."""
    if precision == "auto":
        return torch.bfloat16 if device.startswith("cuda") else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]


def inference(function):
    """Run `function` without gradients, and with convolutions that compute float32 in true float32.

    By itself a GPU would use TF32 in them, and algorithms that differ between runs.
    """
    exact = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    return torch.no_grad()(exact(function))
