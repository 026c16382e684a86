"""Files of diffusion weights: torch and safetensors checkpoints, diffusers directories. No code in them is ever run."""

import json
import os
import pickle
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DModel
from diffusers.utils import logging
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from swsa_core.basics.errors import InputError
from swsa_core.diffusion.hspace import UNet, decode, encode
from swsa_core.files.diffusion_flags import diffusers_weights, read_diffusers_config
from swsa_core.files.downloads import check_file, published_at
from swsa_core.files.provenance import file_sha256, tensors_sha256

FORMAT = 1  # of the weights that are kept: one more with every change to what they are converted to
TOLERANCE = 1e-3  # of the largest output, between the two orders in which a diffusers model's layers can be run


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """{name: tensor} of a safetensors or torch file, memory-mapped where its format allows.

    Raises InputError for a damaged file and for one that holds anything but tensors.
    """
    again = "expected a plain state dict; delete it and fetch it again"
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        reason = next((line for line in str(error).splitlines() if "nsupported" in line), "no pickle of tensors")
        if "operand" in reason:  # bytes that are no pickle at all
            raise InputError(f"{path} is damaged, truncated or no torch file ({reason}), {again}") from error
        raise InputError(f"{path} is refused, it holds code or objects beside tensors ({reason}), {again}") from error
    except Exception as error:  # of a damaged file, whatever its bytes happen to ask for
        reason = str(error).split("\n")[0] or type(error).__name__
        raise InputError(f"{path} is damaged or truncated ({reason}), {again}") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        keys = f"a dict with {first_names(state)}" if isinstance(state, dict) else f"a {type(state).__name__}"
        raise InputError(f"{path} holds {keys}, expected a flat dict of tensors under guided-diffusion's names")
    return state


def kept_beside(
    path: Path, arguments: dict[str, Any], shapes: dict[str, torch.Size], convert: Callable[[], dict[str, torch.Tensor]]
) -> dict[str, torch.Tensor]:
    """convert(), a state dict; a torch file's is kept beside `path`, memory-mapped, until file, `arguments` or FORMAT change.

    shapes: {name: shape} that the state dict has. Before a file at the place of a published one is converted, its size and
    digest are checked.
    """
    if path.suffix == ".safetensors":
        return convert()
    kept = path.with_name(path.name + ".converted.safetensors")
    published = published_at(path)
    # not by its time, which a copy of other weights may share
    origin = {"sha256": file_sha256(path), "arguments": arguments, "file": published, "format": FORMAT}
    if (state := _kept(kept, origin, shapes)) is not None:
        return state
    if published:
        check_file(path, published)
    state = convert()
    try:
        # In a directory of its own, where no other process writes, on whatever machine.
        with tempfile.TemporaryDirectory(
            dir=path.parent, prefix=f"{kept.name}.", ignore_cleanup_errors=True
        ) as directory:
            temporary = Path(directory) / kept.name
            told = json.dumps([origin, tensors_sha256(state)], sort_keys=True)
            save_file({name: tensor.contiguous() for name, tensor in state.items()}, temporary, {"origin": told})
            os.replace(temporary, kept)
    except (OSError, SafetensorError) as error:  # a directory that is read-only, or a full disk
        warnings.warn(f"the converted weights cannot be kept beside {path} ({error})", stacklevel=3)
        return state
    return load_file(kept)


def _kept(path, origin, shapes):
    """The state dict kept at `path`, None where it is absent, damaged, of another origin or not of `shapes`."""
    try:
        with safe_open(path, "pt") as file:
            told, digest = json.loads((file.metadata() or {})["origin"])
        if told != json.loads(json.dumps(origin)):
            return None
        state = load_file(path)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):  # absent, of an older version, or damaged
        return None
    same_shapes = {name: tensor.shape for name, tensor in state.items()} == shapes
    return state if same_shapes and tensors_sha256(state) == digest else None


def check_tensors(state: dict[str, torch.Tensor], source: Path | str) -> None:
    """Raise InputError that names a tensor of `state` which is sparse, without data, not of floating point or not finite."""
    for name, tensor in state.items():
        if tensor.layout != torch.strided or tensor.is_meta or not tensor.is_floating_point():
            kind = "without data" if tensor.is_meta else f"{tensor.layout} {tensor.dtype}".replace("torch.", "")
            raise InputError(f"{source}: {name} is {kind}, expected a dense tensor of floating-point numbers")
        if not tensor.float().isfinite().all():
            raise InputError(
                f"{source}: {name} holds NaN or infinite numbers, the checkpoint is damaged: fetch it again"
            )


def read_diffusers(folder: Path) -> UNet:
    """The `UNet2DModel` of a diffusers model or pipeline directory, float32, strict. Raises InputError for any other model."""
    root, _ = read_diffusers_config(folder)
    safe = ".safetensors" in diffusers_weights(root)[0].name
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # what it would warn of is refused below, by name
    try:
        unet, found = UNet2DModel.from_pretrained(
            root,
            torch_dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            local_files_only=True,
            use_safetensors=safe,
            low_cpu_mem_usage=False,
        )
    except Exception as error:  # of a damaged file, whatever its bytes happen to ask for
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{root} cannot be loaded as a diffusers model: {reason:.300}") from error
    finally:
        logging.set_verbosity(verbosity)
    mismatched = [
        f"{name} {tuple(given)} instead of {tuple(wanted)}" for name, given, wanted in found["mismatched_keys"]
    ]
    problems = {
        "lacks": found["missing_keys"],
        "has, unexpected,": found["unexpected_keys"],
        "has in another shape": mismatched,
    }
    if told := [f"{what} {len(names)} ({first_names(names)})" for what, names in problems.items() if names]:
        raise InputError(f"the weights in {root} do not fit its config.json: of the parameters it {'; it '.join(told)}")
    check_tensors(unet.state_dict(), root)
    _check_halves(unet, root)
    return unet


def _check_halves(unet, root):
    """Raise InputError unless `hspace`, which runs the layers itself, computes what the model's own `forward` does."""
    side = 2 ** len(unet.down_blocks)  # the smallest images: 2 x 2 in the mid block
    images = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    try:
        with torch.no_grad():
            expected = unet(images, 500).sample[:, :3]
            difference = (decode(unet, *encode(unet, images, 500)) - expected).abs().max()
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"the diffusers model in {root} cannot be run ({error}): check its config.json") from error
    if not difference <= TOLERANCE * expected.abs().max():
        raise InputError(
            f"the diffusers model in {root} is not supported: cut at its mid block it computes something else "
            f"(difference {difference:.2g}); expected a UNet2DModel of plain residual and attention blocks"
        )


def first_names(names: Iterable[object], n: int = 3) -> str:
    """The first of `names` in sorted order, for messages."""
    names = sorted(map(str, names))
    return ", ".join(names[:n]) + (", ..." if len(names) > n else "")
