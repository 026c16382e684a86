"""What the model libraries have downloaded, told without torch and without a network."""

import os
from pathlib import Path

NAMES = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")
INDEX = "model.safetensors.index.json"  # of weights in several files


def in_torch_hub(url: str) -> bool:
    """Whether torch has downloaded a file of weights, by the folder that `torch.hub` uses."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    home = os.path.expanduser(os.environ.get("TORCH_HOME") or os.path.join(cache, "torch"))
    return Path(home, "hub", "checkpoints", os.path.basename(url)).is_file()


def in_hugging_face_cache(model: str, name: str = "") -> bool:
    """Whether weights of a model of the Hugging Face hub, owner/name, have been downloaded; name: of the file, where known."""
    from huggingface_hub import try_to_load_from_cache

    names = [name] if name else [*NAMES, INDEX]
    return any(isinstance(try_to_load_from_cache(model, one), str) for one in names)
