"""Files of diffusion weights: torch and safetensors checkpoints, diffusers directories. No code in them is ever run."""

import json
import os
import pickle
import warnings
import zipfile

import torch
from diffusers import UNet2DModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from swsa_core.errors import InputError

# What a diffusers model and its scheduler must have: an unconditional pixel DDPM with the schedule of `ddim.ALPHA_BAR`.
MODEL = {
    "in_channels": (3,),
    "out_channels": (3, 6),
    "center_input_sample": (False,),
    "time_embedding_type": ("positional",),
    "class_embed_type": (None,),
    "num_class_embeds": (None,),
    "mid_block_type": ("UNetMidBlock2D",),
}
SCHEDULER = {
    "num_train_timesteps": (1000,),
    "beta_schedule": ("linear",),
    "beta_start": (1e-4,),
    "beta_end": (0.02,),
    "trained_betas": (None,),
    "prediction_type": ("epsilon",),
}


def read_state(path):
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
    except (RuntimeError, EOFError, OSError, SafetensorError) as error:
        reason = str(error).split("\n")[0] or type(error).__name__
        raise InputError(f"{path} is damaged or truncated ({reason}), {again}") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        keys = f"a dict with {first_names(state)}" if isinstance(state, dict) else f"a {type(state).__name__}"
        raise InputError(f"{path} holds {keys}, expected a flat dict of tensors under guided-diffusion's names")
    return state


def kept_beside(path, arguments, convert):
    """convert(), a state dict; a torch file's is kept beside `path`, memory-mapped, until file or `arguments` change."""
    if path.suffix == ".safetensors":
        return convert()
    kept = path.with_name(path.name + ".converted.safetensors")
    stat = path.stat()
    origin = json.dumps([stat.st_size, stat.st_mtime_ns, arguments], sort_keys=True)
    if _origin(kept) == origin:
        return load_file(kept)
    state = convert()
    if not os.access(path.parent, os.W_OK):
        warnings.warn(f"{path.parent} is read-only: the converted weights are not kept there", stacklevel=3)
        return state
    temporary = kept.with_name(f"{kept.name}.{os.getpid()}.tmp")
    try:
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, temporary, {"origin": origin})
        os.replace(temporary, kept)
    finally:
        temporary.unlink(missing_ok=True)
    return load_file(kept)


def _origin(kept):
    try:
        with safe_open(kept, "pt") as file:
            return file.metadata()["origin"]
    except (OSError, SafetensorError):  # absent or damaged: converted again
        return None


def read_diffusers(folder, dtype):
    """The `UNet2DModel` of a diffusers model or pipeline directory, strict. Raises InputError for any other model."""
    root = folder / "unet" if (folder / "unet" / "config.json").exists() else folder
    if not (root / "config.json").exists():
        raise InputError(f"{folder} is no diffusers model: expected config.json or unet/config.json in it")
    config = _json(root / "config.json")
    if config.get("_class_name") != "UNet2DModel":
        raise InputError(f"{root / 'config.json'} is of a {config.get('_class_name')}, expected a UNet2DModel")
    _check(root / "config.json", config, MODEL)
    for schedule in (folder / "scheduler" / "scheduler_config.json", folder / "scheduler_config.json"):
        if schedule.exists():
            _check(schedule, _json(schedule), SCHEDULER)
    try:
        unet, found = UNet2DModel.from_pretrained(
            root, torch_dtype=dtype, output_loading_info=True, local_files_only=True, low_cpu_mem_usage=False
        )
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise InputError(f"{root} cannot be loaded as a diffusers model: {str(error).splitlines()[0]}") from error
    for problem in ("missing_keys", "unexpected_keys"):
        if found[problem]:
            raise InputError(f"{root} has {problem.replace('_', ' ')}: {first_names(found[problem])}")
    return unet


def _json(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}): fetch it again") from error


def _check(path, config, expected):
    for name, values in expected.items():
        if name in config and config[name] not in values:
            raise InputError(
                f"{path} has {name}={config[name]!r}, which is not supported: expected "
                f"{' or '.join(map(repr, values))} (an unconditional pixel DDPM with the linear noise schedule)"
            )


def first_names(names, n=3):
    """The first of `names` in sorted order, for messages."""
    names = sorted(map(str, names))
    return ", ".join(names[:n]) + (", ..." if len(names) > n else "")
