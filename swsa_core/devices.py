"""Where networks run, and in which precision."""

import fcntl
import tempfile
from pathlib import Path

import torch

from swsa_core.errors import InputError

_CLAIMS = []  # locks of the GPUs that this process uses, held until it ends


def find_device(device):
    """The torch device of the config's `runtime.device`: "auto" is a GPU where there is one, else the CPU.

    Of several GPUs, "auto" and "cuda" take one that no other job has taken. Raises InputError without a GPU for "cuda".
    """
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        raise InputError(f"runtime.device: received {device!r}, but torch sees no GPU: use auto or cpu")
    return device if ":" in device else f"cuda:{free_gpu()}"


def free_gpu(log=print):
    """Index of a GPU that no other process of the workflow has claimed; the first one, with a line, when all are taken.

    A claim is a lock on a file named after the GPU's own id, which ends with the process, however it ends.
    """
    count = torch.cuda.device_count()
    for index in range(count):
        name = torch.cuda.get_device_properties(index).uuid
        path = Path(tempfile.gettempdir()) / f"swsa-gpu-{name}.lock"
        if not path.exists():
            path.touch()
            path.chmod(0o644)  # whatever the umask: jobs of other users open it too, to lock it
        lock = path.open()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            _CLAIMS.append(lock)
            return index
    log(
        f"cuda:0 is shared with another job, because all GPUs here ({count}) are taken: run Snakemake with "
        f"--resources gpu={count}, as many as there are GPUs"
    )
    return 0


def find_dtype(precision, device):
    """torch dtype of the config's `precision`: "auto" is bfloat16 on a GPU and float32 on a CPU."""
    if precision == "auto":
        return torch.bfloat16 if device.startswith("cuda") else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
