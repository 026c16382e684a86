"""The diffusion model of a source: which one its section names, and its network in a job, with images in and out of it.

Configs are checked with it: torch is imported by what runs a network.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from swsa_core.anomalies.source import Task
from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean
from swsa_core.files.diffusion_flags import adm_arguments, diffusers_weights, read_diffusers_config
from swsa_core.files.downloads import PLACE, PUBLISHED
from swsa_core.files.weights import BUNDLED, MINI_WEIGHTS

KEY = "sources.diffusion"


class DiffusionModel(NamedTuple):
    """Where a diffusion source's model is, and what it is.

    path: its checkpoint, or the directory of a diffusers model or pipeline; a published one may not be there yet.
    flags: guided-diffusion's, None for those of the ImageNet 256 model and for a diffusers directory.
    side: of its images, in pixels.
    """

    path: str
    flags: dict | None
    side: int

    @property
    def files(self) -> list[str]:
        """Paths of all files that say what it computes."""
        path = Path(self.path)
        if path.is_dir():
            root, _ = read_diffusers_config(path)
            return [str(file) for file in (root / "config.json", *diffusers_weights(root))]
        return [self.path, str(path.with_suffix(".json"))] if path.parent == MINI_WEIGHTS else [self.path]


def find_model(source: dict[str, Any], key: str = KEY) -> DiffusionModel:
    """The `DiffusionModel` of a source's `model` and `flags`; key: of its section, for errors.

    Raises InputError for a name or path that does not exist, for flags of a model that brings its own, and for a diffusers
    model that is not supported.
    """
    model, flags = source["model"], source["flags"]
    if flags is not None and (model in PUBLISHED or model.startswith(BUNDLED) or Path(model).is_dir()):
        raise InputError(
            f"{key}.flags: {model!r} brings its own, they are for the checkpoint of another guided-diffusion "
            "model: remove them"
        )
    if model in PUBLISHED:
        return DiffusionModel(PLACE.format(name=model), None, adm_arguments()["image_size"])
    if model.startswith(BUNDLED):
        record = MINI_WEIGHTS / f"{model.removeprefix(BUNDLED)}.json"
        known = sorted(f"{BUNDLED}{path.stem}" for path in MINI_WEIGHTS.glob("adm_*.json"))
        if f"{BUNDLED}{record.stem}" not in known:
            raise InputError(f"{key}.model: {model!r} is not in models/mini, {did_you_mean(model, known)}")
        flags = json.loads(record.read_text())["config"]
        return DiffusionModel(str(record.with_suffix(".safetensors")), flags, flags["image_size"])
    if not Path(model).exists():
        raise InputError(
            f"{key}.model: {model!r} is neither a file or directory nor a known model, "
            f"{did_you_mean(model, [*PUBLISHED, f'{BUNDLED}adm_32'])}"
        )
    if Path(model).is_dir():
        return DiffusionModel(model, None, _diffusers_side(model, key))
    return DiffusionModel(model, flags, adm_arguments(flags)["image_size"])


def _diffusers_side(folder, key):
    try:
        root, config = read_diffusers_config(folder)
    except InputError as error:
        raise InputError(f"{key}.model: {error}") from None
    side = config.get("sample_size")
    if not isinstance(side, int) or side < 1:
        raise InputError(
            f"{key}.model: {root / 'config.json'} has sample_size={side!r}, expected the side of its square "
            "images in pixels"
        )
    return side


def check(section: dict, preparation: Any, key: str = KEY) -> None:
    """Raise InputError when the diffusion model makes images of another size than `preparation.size`; key: as above."""
    side = find_model(section, key).side
    if side != preparation["size"]:
        raise InputError(
            f"preparation.size: received {preparation['size']}, but the diffusion model {section['model']!r} "
            f"makes images of {side} pixels: set preparation.size: {side} or take another model"
        )


def precision_of(section: dict, precision: str) -> str:
    """The precision of a diffusion source's network: its own, else the top-level `precision` of the config."""
    return section.get("precision") or precision


def overflow(dataset: str, task: str, precision: str, key: str = KEY) -> InputError:
    """The InputError about a task whose images have values beyond the range of `precision`, the network's own."""
    cure = {
        "float16": f"set {key}.precision to bfloat16, which has the range of float32, or to float32",
        "bfloat16": f"set {key}.precision to float32; where that overflows too, check the model's weights",
    }.get(precision, "check the model's weights and flags")
    return InputError(
        f"{key}, data set {dataset!r}, task {task!r}: the diffusion network's values overflow in {precision}, "
        f"and its images would not be numbers: {cure}"
    )


def load_network(task: Task, model: DiffusionModel, device: str, dtype: Any) -> tuple[Any, Any]:
    """(Network, its `BatchSize`) of a job; the network is loaded for the first of the job's tasks."""
    import torch

    from swsa_core.diffusion import load_adm
    from swsa_core.diffusion.batches import BatchSize
    from swsa_core.diffusion.hspace import compile_network

    torch.set_num_threads(task.threads)
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(Path("resources/torchinductor").resolve()))
    known = model.path, device, dtype
    if known not in task.networks:
        unet = load_adm(model.path, model.flags, device, dtype)
        task.networks[known] = compile_network(unet) if task.runtime["compile"] else unet
    batch_size = task.runtime["batch_size"]
    return task.networks[known], BatchSize(0 if batch_size == "auto" else batch_size)


def to_network(images: Sequence[np.ndarray]) -> np.ndarray:
    """List of (H, W, 3) uint8 images as (n, 3, H, W) float32 in [-1, 1]."""
    return (np.stack(images).astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2)


def from_network(images: ArrayLike) -> np.ndarray:
    """(n, 3, H, W) float images in [-1, 1], clipped here, as (n, H, W, 3) uint8."""
    return np.clip(np.rint((np.asarray(images) + 1) * 127.5), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
