"""What the model libraries have downloaded, told without torch and without a network."""

import os
from collections.abc import Iterable
from pathlib import Path


def in_torch_hub(url: str) -> bool:
    """Whether torch has downloaded a file of weights, by the folder that `torch.hub` uses."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    home = os.path.expanduser(os.environ.get("TORCH_HOME") or os.path.join(cache, "torch"))
    return Path(home, "hub", "checkpoints", os.path.basename(url)).is_file()


def in_hugging_face_cache(model: str, names: Iterable[str]) -> bool:
    """Whether one of the files `names` of a model of the Hugging Face hub, owner/name[@revision], was downloaded."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    model, _, revision = model.partition("@")
    try:
        return any(isinstance(try_to_load_from_cache(model, name, revision=revision or None), str) for name in names)
    except HFValidationError:  # the hub has no such names
        return False
