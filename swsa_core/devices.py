"""Where networks run, and in which precision."""

import torch

from swsa_core.errors import InputError


def find_device(device):
    """The torch device of the config's `runtime.device`: "auto" is a GPU where there is one. Raises InputError."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"runtime.device: received {device!r}, but torch sees no GPU: use auto or cpu")
    return device


def find_dtype(precision, device):
    """torch dtype of the config's `precision`: "auto" is bfloat16 on a GPU and float32 on a CPU."""
    if precision == "auto":
        return torch.bfloat16 if device.startswith("cuda") else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
