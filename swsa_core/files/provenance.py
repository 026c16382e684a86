"""What a file of results says about how it was made: digests of weights and versions of libraries."""

from collections.abc import Mapping
from hashlib import file_digest, sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any


def file_sha256(path: Path | str) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()


def parameters_sha256(module: Any, head: tuple[str, ...] = ()) -> str:
    """SHA-256 over names and bytes of a module's parameters and buffers, without the head, in order of the names."""
    return tensors_sha256({name: value for name, value in module.state_dict().items() if not name.startswith(head)})


def tensors_sha256(state: Mapping[str, Any]) -> str:
    """SHA-256 over names and bytes of tensors {name: tensor}, in order of the names."""
    import torch

    digest = sha256()
    for name, value in sorted(state.items()):
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def library_versions(*packages: str) -> str:
    """The installed versions of NumPy, Pillow and `packages`, as a text."""
    return ", ".join(f"{package} {version(package)}" for package in ("numpy", "pillow", *packages))
