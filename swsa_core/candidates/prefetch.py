"""Weights that torchvision, timm and open_clip fetch by themselves: fetched beforehand, for machines without a network."""

import gc
import os
from contextlib import suppress
from pathlib import Path

from swsa_core.candidates.backbone import check_model
from swsa_core.candidates.clip import load_clip
from swsa_core.candidates.networks import LOADERS, loading

LIBRARIES = ("torchvision", "timm", "open_clip")


def of_libraries(models):
    """Those of the candidates and the CLIP model whose weights are their library's."""
    return [model for model in models if model["model"].split(":")[0] in LIBRARIES and not model["weights"]]


def fetch(model):
    """Load a candidate, or the CLIP model, by its library, which fetches into its cache what is not there and checks it.

    Returns the bytes that were fetched; 0 where all was there. Raises InputError where that fails, as without a network.
    """
    before = cached()
    family, name = check_model(model)
    if model.get("section") == "clip":
        load_clip(model)  # with the tokenizer of its texts
    else:
        with loading(f"candidates.{model['name']}", family, name):
            LOADERS[family](name, None, dict(model["args"]))
    gc.collect()  # networks hold cycles of references: the next one may need the memory
    return sum(size for path, size in cached().items() if before.get(path) != size)


def cached():
    """{file: its size} in the caches of the libraries."""
    import torch
    from huggingface_hub.constants import HF_HUB_CACHE

    folders = (torch.hub.get_dir(), HF_HUB_CACHE, Path.home() / ".cache" / "clip")
    found = (Path(folder, name) for top in folders for folder, _, names in os.walk(top) for name in names)
    sizes = {}
    for path in (path for path in found if not path.is_symlink()):
        with suppress(FileNotFoundError):  # another process may just have finished a download
            sizes[path] = path.lstat().st_size
    return sizes
