"""DiffStyle anomalies of a task (Sec. 3.2): which seeds give style and content, and which diffusion model serves.

The algorithm itself is `swsa_core.diffusion`; nothing here imports torch.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean
from swsa_core.basics.seeding import rng
from swsa_core.files.diffusion_flags import adm_arguments, diffusers_weights, read_diffusers_config
from swsa_core.files.downloads import PLACE, PUBLISHED
from swsa_core.files.weights import MINI_WEIGHTS


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
    def files(self):
        """Paths of all files that say what it computes."""
        path = Path(self.path)
        if path.is_dir():
            root, _ = read_diffusers_config(path)
            return [str(file) for file in (root / "config.json", *diffusers_weights(root))]
        return [self.path, str(path.with_suffix(".json"))] if path.parent == MINI_WEIGHTS else [self.path]


def halves(seed_ids, seed, dataset, task):
    """The seed images in two random halves: (style ids, content ids), each in the order of `seed_ids`."""
    style = set(rng(seed, dataset, task, "halves").permutation(len(seed_ids))[: len(seed_ids) // 2].tolist())
    return (
        [image_id for i, image_id in enumerate(seed_ids) if i in style],
        [image_id for i, image_id in enumerate(seed_ids) if i not in style],
    )


def find_model(source):
    """The `DiffusionModel` of a diffusion source's `model` and `flags`.

    Raises InputError for a name or path that does not exist, for flags of a model that brings its own, and for a diffusers
    model that is not supported.
    """
    model, flags = source["model"], source["flags"]
    if flags is not None and (model in PUBLISHED or model.startswith("mini:") or Path(model).is_dir()):
        raise InputError(
            f"sources.diffusion.flags: {model!r} brings its own, they are for the checkpoint of another guided-diffusion "
            "model: remove them"
        )
    if model in PUBLISHED:
        return DiffusionModel(PLACE.format(name=model), None, adm_arguments()["image_size"])
    if model.startswith("mini:"):
        record = MINI_WEIGHTS / f"{model.removeprefix('mini:')}.json"
        known = sorted(f"mini:{path.stem}" for path in MINI_WEIGHTS.glob("adm_*.json"))
        if f"mini:{record.stem}" not in known:
            raise InputError(f"sources.diffusion.model: {model!r} is not in models/mini, {did_you_mean(model, known)}")
        flags = json.loads(record.read_text())["config"]
        return DiffusionModel(str(record.with_suffix(".safetensors")), flags, flags["image_size"])
    if not Path(model).exists():
        raise InputError(
            f"sources.diffusion.model: {model!r} is neither a file or directory nor a known model, "
            f"{did_you_mean(model, [*PUBLISHED, 'mini:adm_32'])}"
        )
    if Path(model).is_dir():
        return DiffusionModel(model, None, _diffusers_side(model))
    return DiffusionModel(model, flags, adm_arguments(flags)["image_size"])


def _diffusers_side(folder):
    try:
        root, config = read_diffusers_config(folder)
    except InputError as error:
        raise InputError(f"sources.diffusion.model: {error}") from None
    side = config.get("sample_size")
    if not isinstance(side, int) or side < 1:
        raise InputError(
            f"sources.diffusion.model: {root / 'config.json'} has sample_size={side!r}, expected the side of its square "
            "images in pixels"
        )
    return side


def check_size(config):
    """Raise InputError when the diffusion model makes images of another size than `preparation.size`."""
    source = config["sources"].get("diffusion")
    if source is None:
        return
    side = find_model(source).side
    if side != config["preparation"]["size"]:
        raise InputError(
            f"preparation.size: received {config['preparation']['size']}, but the diffusion model {source['model']!r} "
            f"makes images of {side} pixels: set preparation.size: {side} or take another model"
        )


def to_network(images):
    """List of (H, W, 3) uint8 images as (n, 3, H, W) float32 in [-1, 1]."""
    return (np.stack(images).astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2)


def from_network(images):
    """(n, 3, H, W) float images in [-1, 1], clipped here, as (n, H, W, 3) uint8."""
    return np.clip(np.rint((np.asarray(images) + 1) * 127.5), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
