"""Files of weights: read without executing anything in them, and loaded exactly."""

from pathlib import Path

from swsa_core.basics.errors import InputError

TOWER = "visual."  # beginning of the names of a CLIP model's image tower
MINI_WEIGHTS = Path(__file__).parents[2] / "models" / "mini"  # the bundled models


def load_weights(module, path, head=()):
    """Load a state dict from safetensors or a torch file into `module`, exactly, except for the keys of the head."""
    wanted = {name: value for name, value in module.state_dict().items() if not name.startswith(head)}
    given = _state_dict(path)
    if not any(name.startswith(TOWER) for name in wanted):  # the image tower alone, perhaps out of a CLIP model
        tower = {name.removeprefix(TOWER): value for name, value in given.items() if name.startswith(TOWER)}
        given = tower or given
    given = {name: value for name, value in given.items() if not name.startswith(head)}
    problems = {
        "lacks": [name for name in wanted if name not in given and not name.endswith("num_batches_tracked")],
        "has, unexpected,": [name for name in given if name not in wanted],
        "has in another shape": [
            f"{name} {tuple(given[name].shape)} instead of {tuple(value.shape)}"
            for name, value in wanted.items()
            if name in given and given[name].shape != value.shape
        ],
    }
    found = [f"{what} {len(names)} ({', '.join(names[:3])})" for what, names in problems.items() if names]
    if found:
        raise InputError(
            f"the weights file {str(path)!r} does not fit the model: of its {len(wanted)} entries it "
            f"{'; it '.join(found)}; check `model`, `args` and `weights`"
        )
    module.load_state_dict(given, strict=False)


def _state_dict(path):
    """{name: tensor} of a weights file: out of a checkpoint's outer dict, and of the wrapper of several GPUs."""
    import torch
    from safetensors.torch import load_file

    try:
        if Path(path).suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # safetensors, pickle, zip and torch each have their own
        raise InputError(
            f"the weights file {str(path)!r} cannot be read, it is damaged or no weights file ({type(error).__name__}); "
            "expected safetensors or a torch file of tensors: fetch it again"
        ) from error
    for key in ("state_dict", "model"):
        state = state.get(key, state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"the weights file {str(path)!r} holds no state dict of tensors")
    return {name.removeprefix("module."): value for name, value in state.items()}
