"""Weights that libraries fetch by themselves: fetched beforehand, for machines without a network."""

import gc
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from swsa_core.candidates import family_of
from swsa_core.candidates.clip import load_clip
from swsa_core.candidates.family import CandidateSpec
from swsa_core.candidates.mistakes import check_model, loading


def of_libraries(models: Iterable[CandidateSpec]) -> list[CandidateSpec]:
    """The ones among candidates and CLIP models whose weights are their library's."""
    return [model for model in models if family_of(model).prefetched and not model["weights"]]


def fetch(model: CandidateSpec) -> int:
    """Load a candidate, or a CLIP model, by its library, which fetches into its cache what is not there and checks it.

    Returns the bytes that were fetched; 0 where all was there. Raises InputError where that fails, as without a network.
    """
    before = cached()
    check_model(model)
    if model.get("section"):
        load_clip(model)  # with the tokenizer of its texts
    else:
        with loading(model):
            family_of(model).load(model)
    gc.collect()  # networks hold cycles of references: the next one may need the memory
    return sum(size for path, size in cached().items() if before.get(path) != size)


def cached() -> dict[Path, int]:
    """{file: its size} in the caches of the libraries."""
    import torch
    from huggingface_hub.constants import HF_HUB_CACHE

    folders = (torch.hub.get_dir(), HF_HUB_CACHE, os.path.expanduser("~/.cache/clip"))
    found = (Path(folder, name) for top in folders for folder, _, names in os.walk(top) for name in names)
    sizes = {}
    for path in (path for path in found if not path.is_symlink()):
        with suppress(FileNotFoundError):  # another process may just have finished a download
            sizes[path] = path.lstat().st_size
    return sizes
