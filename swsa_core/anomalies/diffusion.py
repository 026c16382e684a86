"""DiffStyle anomalies of a task (Sec. 3.2): which seeds give style and content, and which diffusion model serves.

The algorithm itself is `swsa_core.diffusion`; nothing here imports torch.
"""

import json
from pathlib import Path

import numpy as np

from swsa_core.downloads import PUBLISHED
from swsa_core.errors import InputError
from swsa_core.names import did_you_mean
from swsa_core.seeding import rng

MINI = Path(__file__).parents[2] / "models" / "mini"
PUBLISHED_SIZE = {"adm_imagenet_256": 256}  # side of the images, in pixels


def halves(seed_ids, seed, dataset, task):
    """The seed images in two random halves: (style ids, content ids), each in the order of `seed_ids`."""
    style = set(rng(seed, dataset, task, "halves").permutation(len(seed_ids))[: len(seed_ids) // 2].tolist())
    return (
        [image_id for i, image_id in enumerate(seed_ids) if i in style],
        [image_id for i, image_id in enumerate(seed_ids) if i not in style],
    )


def find_model(source):
    """(path of the weights, flags of guided-diffusion or None, side of its images) of a diffusion source's `model`.

    The side is None where only the loaded model can tell. Raises InputError for a name or path that does not exist.
    """
    model, flags = source["model"], source["flags"]
    if model in PUBLISHED:
        return f"resources/weights/{model}.pt", flags, PUBLISHED_SIZE[model]
    if model.startswith("mini:"):
        record = MINI / f"{model.removeprefix('mini:')}.json"
        known = sorted(f"mini:{path.stem}" for path in MINI.glob("adm_*.json"))
        if f"mini:{record.stem}" not in known:
            raise InputError(f"sources.diffusion.model: {model!r} is not in models/mini, {did_you_mean(model, known)}")
        flags = json.loads(record.read_text())["config"]
        return str(record.with_suffix(".safetensors")), flags, flags["image_size"]
    if not Path(model).exists():
        raise InputError(
            f"sources.diffusion.model: {model!r} is neither a file or directory nor a known model, "
            f"{did_you_mean(model, [*PUBLISHED, 'mini:adm_32'])}"
        )
    config = Path(model) / "unet" / "config.json"
    config = config if config.exists() else Path(model) / "config.json"
    side = (
        json.loads(config.read_text()).get("sample_size") if config.exists() else (flags or {}).get("image_size", 256)
    )
    return model, flags, side


def check_size(config):
    """Raise InputError when the diffusion model makes images of another size than `preparation.size`."""
    source = config["sources"].get("diffusion")
    if source is None:
        return
    _, _, side = find_model(source)
    if side is not None and side != config["preparation"]["size"]:
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
