"""Files of weights: read without executing anything in them, and loaded exactly."""

import argparse
import pickle
import pickletools
import re
import zipfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from swsa_core.basics.errors import InputError
from swsa_core.files.machine import fault

PREFIXES = ("visual.", "backbone.")  # of the names of an image tower in a CLIP model, of the network in a training's
MINI_WEIGHTS = Path(__file__).parents[2] / "models" / "mini"  # the bundled models
BUNDLED = "mini:"  # how a config names them, candidates and diffusion models alike
# Where checkpoints keep state dicts: those of trainings, their moving averages, and both networks of DINO.
WRAPPERS = (
    *("state_dict", "model_state_dict", "model", "ema", "model_ema", "state_dict_ema", "ema_state_dict"),
    *("student", "teacher"),
)
MOST_GROWTH, SLACK = 8, 64_000_000  # of what the model needs: two moments of an optimiser, averages, float64

Convert = Callable[[dict[str, Any]], dict[str, Any]]  # {name: tensor} of a file to {name: tensor} of a module


def load_weights(
    module: Any,
    path: Path | str,
    head: tuple[str, ...] = (),
    convert: Convert | None = None,
    in_order: bool = False,
) -> None:
    """Load a state dict from safetensors or a torch file into `module`, exactly, except for the keys of the head.

    in_order: whether tensors may have other names than the module's, if they stand in its order, head and all.
    convert: what the model's library does with weights of another image size or with other names; it is tried where the file
    does not fit as it is, and raises where it does not help.
    Raises InputError that names the file where it cannot be read, does not fit, or holds what no training leaves.
    """
    wanted = {name: value for name, value in module.state_dict().items() if not name.startswith(head)}
    given = _state_dict(path, needed=sum(value.nbytes for value in wanted.values()))
    if in_order and not given.keys() & wanted.keys():
        given = _renamed(given, module.state_dict(), path)
    for prefix in PREFIXES:
        if not any(name.startswith(prefix) for name in wanted):
            part = {name.removeprefix(prefix): value for name, value in given.items() if name.startswith(prefix)}
            given = part or given
    given = {name: value for name, value in given.items() if not name.startswith(head)}
    found = _misfits(given, wanted)
    if found and convert and (converted := _converted(given, wanted, path, convert)):
        given, found = {name: converted[name] for name in wanted}, []
    if found:
        raise InputError(
            f"the weights file {str(path)!r} does not fit the model: of its {len(wanted)} entries it "
            f"{'; it '.join(found)}; check `model`, `args` and `weights`"
        )
    _check_values(given, wanted, path)
    module.load_state_dict(given, strict=False)


def _renamed(given, wanted, path):
    """`given` under the names of `wanted`, tensor by tensor: number, kinds (the ends of names) and shapes must be the same."""
    if len(given) != len(wanted):
        raise InputError(
            f"the weights file {str(path)!r} does not fit the model: it has {len(given)} tensors, the model has {len(wanted)}; "
            "check `model` and `weights`"
        )
    for (theirs, value), (ours, own) in zip(given.items(), wanted.items(), strict=True):
        kinds = [name.rpartition(".")[2] for name in (theirs, ours)]
        if value.shape != own.shape or kinds[0] != kinds[1]:
            raise InputError(
                f"the weights file {str(path)!r} does not fit the model: it has {theirs} {tuple(value.shape)} in the place of "
                f"{ours} {tuple(own.shape)}; check `model` and `weights`"
            )
    return dict(zip(wanted, given.values(), strict=True))


def _misfits(given, wanted):
    """What keeps the tensors `given` from being those `wanted`, as parts of a sentence."""
    problems = {
        "lacks": [name for name in wanted if name not in given and not name.endswith("num_batches_tracked")],
        "has, unexpected,": [name for name in given if name not in wanted],
        "has in another shape": [
            f"{name} {tuple(given[name].shape)} instead of {tuple(value.shape)}"
            for name, value in wanted.items()
            if name in given and given[name].shape != value.shape
        ],
    }
    return [f"{what} {len(names)} ({', '.join(names[:3])})" for what, names in problems.items() if names]


def _converted(given, wanted, path, convert):
    """`convert(given)`, or None where it cannot help; positions apart, no tensor may change its shape."""
    shared = {name: value for name, value in given.items() if name in wanted}
    if any(value.shape != wanted[name].shape and "pos" not in name for name, value in shared.items()):
        return None
    _check_values(shared, wanted, path)
    try:
        return convert(given)
    except Exception:  # the weights of another network fail in many ways
        return None


def _check_values(given, wanted, path):
    """Raise InputError where weights are no finite floating-point numbers, or most matrices are one number repeated."""
    import torch

    given = {name: value for name, value in given.items() if wanted[name].is_floating_point()}
    for name, value in given.items():
        if value.layout != torch.strided or value.is_meta or not value.is_floating_point():
            kind = "without data" if value.is_meta else f"{value.layout} {value.dtype}".replace("torch.", "")
            raise InputError(
                f"the weights file {str(path)!r} has {name} {kind}, expected dense floating-point numbers: give weights "
                "that are not quantised"
            )
        if not value.float().isfinite().all():
            raise InputError(
                f"the weights file {str(path)!r} has NaN or infinite numbers in {name}: give weights of a training that "
                "did not diverge"
            )
    matrices = {name: value for name, value in given.items() if value.ndim > 1 and value.numel() > 1}
    constant = [name for name, value in matrices.items() if (value == value.flatten()[0]).all()]
    if len(constant) > len(matrices) / 2:
        raise InputError(
            f"the weights file {str(path)!r} is empty of content: {len(constant)} of its {len(matrices)} matrices "
            f"({', '.join(constant[:3])}) hold one number repeated, so that all images would have the same features: give "
            "trained weights"
        )


def _state_dict(path, needed):
    """{name: tensor} of a weights file: out of a checkpoint's outer dicts, and of the wrapper of several GPUs.

    needed: bytes of the model's own state dict, by which those of a compressed file are judged.
    """
    import torch

    state = _content(path, needed)
    while isinstance(state, dict):
        inner = [key for key in WRAPPERS if isinstance(state.get(key), dict)]
        if not inner:
            break
        if len(inner) > 1:
            raise InputError(
                f"the weights file {str(path)!r} holds several state dicts, {' and '.join(map(repr, inner))}, expected one: "
                "save the one that you want to a file of its own with torch.save"
            )
        state = state[inner[0]]
    tensors = isinstance(state, dict) and all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    )
    if not tensors or not state:
        raise InputError(
            f"the weights file {str(path)!r} holds no state dict, {{name: tensor}}; it is looked for in the file itself and "
            f"below {', '.join(WRAPPERS)}: save model.state_dict()"
        )
    return {name.removeprefix("module."): value for name, value in state.items()}


def _content(path, needed):
    import torch
    from safetensors.torch import load_file

    try:
        if Path(path).suffix == ".safetensors":
            return load_file(path)
        _check_growth(path, needed)
        with torch.serialization.safe_globals([argparse.Namespace]):  # the settings of a training; it executes nothing
            return torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # safetensors, pickle, zip and torch each have their own
        reason = (isinstance(error, OSError) and fault(error, path, "read")) or _kind(path, str(error))
        raise InputError(
            reason
            or f"the weights file {str(path)!r} cannot be read, it is damaged or no weights file ({type(error).__name__}); "
            "expected safetensors or a torch file of tensors: fetch it again"
        ) from error


def _check_growth(path, needed):
    """Raise InputError for a compressed file that would fill the memory: torch itself never compresses."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    size, most = Path(path).stat().st_size, MOST_GROWTH * needed + SLACK
    if unpacked > max(size, most):
        raise InputError(
            f"the weights file {str(path)!r} would unpack from {size:,} to {unpacked:,} bytes; the model's own weights "
            f"are {needed:,}, at most {most:,} are expected: fetch it again, or save it anew with torch.save"
        )


def _kind(path, message):
    """A sentence for a file that holds something else than tensors, as torch's message tells, "" for any other."""
    remedy = "expected a state dict of tensors; save model.state_dict()"
    if "TorchScript" in message:
        return f"the weights file {str(path)!r} is a TorchScript archive, which is not executed, {remedy}"
    if not (found := re.search(r"[Uu]nsupported (?:global: GLOBAL|GLOBAL|class) (\S+)", message)):
        return ""
    if found[1] == _outermost(path):
        return f"the weights file {str(path)!r} holds a whole pickled module, a {found[1]}, {remedy}"
    return f"the weights file {str(path)!r} holds a pickled {found[1]}, which could execute code, {remedy}"


def _outermost(path):
    """The class of the outermost object in a torch file, "" where it is a dict or not known."""
    if not zipfile.is_zipfile(path):
        return ""
    with zipfile.ZipFile(path) as archive:
        name = next((name for name in archive.namelist() if name.endswith("data.pkl")), None)
        pickled = archive.open(name).read(10_000) if name else pickle.dumps({})
    _, (operation, argument, _) = islice(pickletools.genops(pickled), 2)  # the first one is the protocol
    return argument.replace(" ", ".") if operation.name == "GLOBAL" else ""
