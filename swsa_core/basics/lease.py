"""Which GPU a job takes: one that no other job of this machine has, whoever runs it.

A claim is a kernel lock on a file of a directory that all users of the machine share. It ends with the process, however that
ends. The file is named after the physical device, so that jobs which see one card under different numbers agree about it.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from swsa_core.basics.errors import InputError

ANSWERS_WITHIN = 30  # seconds, of nvidia-smi
_HELD: dict[int, Any] = {}  # {index: lock} of the GPUs that this process has claimed, held until it ends
_SHARED: list[int] = []  # the GPU that it shares, where all were claimed


def free_gpu(log: Callable[[str], None] = print) -> int:
    """Index of the GPU with the most free memory that no other job has claimed; later calls return the same.

    Where all are claimed, that with the most free memory is shared, with a line. torch sees only what CUDA_VISIBLE_DEVICES
    lets it see, so that a scheduler's choice stands.
    """
    if _HELD or _SHARED:
        return min(_HELD or _SHARED)
    import torch

    count = torch.cuda.device_count()
    # By memory, as a program outside the workflow, which claims nothing, may fill a card.
    free = free_memory() if count > 1 else {}
    order = sorted(range(count), key=lambda index: free.get(physical_id(index), 0), reverse=True)
    for index in order:
        if claim(index):
            return index
    log(
        f"cuda:{order[0]} is shared with another job, because all GPUs here ({count}) are taken: run Snakemake with "
        f"--resources gpu={count}, as many as there are GPUs"
    )
    _SHARED.append(order[0])
    return order[0]


def claim(index: int) -> bool:
    """Whether the GPU `index` is this process's now: it was already, or no other job had claimed it.

    Raises InputError where its file cannot be locked.
    """
    if index in _HELD:
        return True
    from filelock import FileLock, Timeout

    folder = Path(tempfile.gettempdir()) / "swsa-gpus"
    # A lock that is a file's mere presence, as filelock's where the kernel has none, would outlive a killed job.
    lock = FileLock(folder / f"{physical_id(index)}.lock", blocking=False, fallback_to_soft=False)
    try:
        with _for_all_users():
            folder.mkdir(mode=0o1777, exist_ok=True)
            lock.acquire()
    except Timeout:
        return False
    except OSError as error:
        raise InputError(
            f"{lock.lock_file}: cannot be locked ({error.strerror}), and so this job cannot claim cuda:{index}: delete "
            f"{folder}, or set TMPDIR to a directory of this machine in which all its users write"
        ) from error
    _HELD[index] = lock
    return True


def physical_id(index: int) -> str:
    """What the GPU `index` is called whoever looks: the UUID of a slice or of a card, else a card's place on the PCI bus.

    A slice of a card (MIG) can only be chosen by its UUID, in CUDA_VISIBLE_DEVICES; what torch says of it may be the card's.
    """
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    if index < len(visible) and (chosen := visible[index].strip()).startswith("MIG-"):
        return chosen.replace("/", "-")  # older drivers: MIG-GPU-<uuid>/<GPU instance>/<compute instance>
    card: Any = torch.cuda.get_device_properties(index)  # whose type lacks the bus
    if uuid := getattr(card, "uuid", None):
        return f"GPU-{uuid}"
    return f"PCI-{card.pci_domain_id:04x}-{card.pci_bus_id:02x}-{card.pci_device_id:02x}"


@contextmanager
def _for_all_users() -> Iterator[None]:
    """A block in which new files and directories can be written by all from their first moment, whatever the umask."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def free_memory() -> dict[str, int]:
    """{card, by its `physical_id`: free MiB} as the driver's own tool tells it, {} where it does not.

    torch.cuda.mem_get_info would take memory of every card that it asks about, until the job ends, and would keep other jobs
    from those that their owner keeps to a single process.
    """
    command = ["nvidia-smi", "--query-gpu=uuid,memory.free", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=ANSWERS_WITHIN).stdout
    except (OSError, subprocess.TimeoutExpired):
        return {}
    rows = [line.split(",") for line in told.splitlines()]
    return {row[0].strip(): int(row[1]) for row in rows if len(row) == 2 and row[1].strip().isdigit()}
