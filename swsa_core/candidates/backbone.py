"""Backbones: a candidate's "family:model" as a function from images to features, the penultimate layer of a network.

    torchvision   any classification model, as torchvision.models names it
    timm          any model of timm, with its tag: vit_base_patch16_224.orig_in21k
    open_clip     the image tower of a CLIP model; args: {pretrained: <tag>}
    mini          the small networks in models/mini/
    descriptor    classical features, see descriptors.py

Libraries are imported by the family that needs them, so that descriptors and mini models start quickly.
"""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean
from swsa_core.candidates import library_models
from swsa_core.candidates.descriptors import DESCRIPTORS
from swsa_core.candidates.networks import LOADERS, loading
from swsa_core.candidates.transforms import Transform
from swsa_core.files.provenance import file_sha256, library_versions, parameters_sha256
from swsa_core.files.weights import MINI_WEIGHTS, load_weights


@dataclass(frozen=True)
class Description:
    """A descriptor as a transform: prepares the image and describes it, (H, W, 3) uint8 to (d,) float32."""

    prepare: Transform
    descriptor: str
    args: dict

    def __call__(self, image):
        return DESCRIPTORS[self.descriptor](self.prepare(image), **self.args)

    def __str__(self):
        size = f"resize {self.prepare.resize} {self.prepare.interpolation}, crop {self.prepare.crop}"
        return ", ".join([size, self.descriptor, *(f"{key} {value}" for key, value in self.args.items())])


@dataclass(frozen=True)
class Backbone:
    """What turns images into features.

    transform: image (H, W, 3) uint8 to an array of fixed shape; picklable, and needs no torch.
    features: n transformed images, stacked, to (n, feature_size) float32.
    n_parameters: of the feature extractor, the head left out.
    weights_sha256: of the weights file where there is one, of the parameters where the library downloads them.
    device: "cpu" or "cuda" for networks; "" for descriptors, whose work is all in `transform`.
    precision: that the network computes in, "float32" or "bfloat16"; "" for descriptors.
    """

    name: str
    model: str
    feature_size: int
    n_parameters: int
    transform: Callable
    features: Callable
    weights_sha256: str
    versions: str
    device: str = ""
    precision: str = ""

    def attributes(self):
        """{name: str or int}: what an embeddings file says about its backbone."""
        return {
            "backbone": self.name,
            "model": self.model,
            "n_parameters": self.n_parameters,
            "weights_sha256": self.weights_sha256,
            "transform": str(self.transform),
            "precision": self.precision,
            "versions": self.versions,
        }


def families():
    """Names of the families that `family:model` may begin with."""
    return (*LOADERS, "descriptor")


def check_model(candidate):
    """(family, model) of a candidate, checked as far as it goes without torch or a download. Raises InputError."""
    family, _, model = candidate["model"].partition(":")
    weights = candidate.get("weights")
    if family not in families():
        raise InputError(f"{_key(candidate)}: there is no family {family!r}: {did_you_mean(family, families())}")
    if family == "descriptor":
        if model not in DESCRIPTORS:
            raise InputError(f"{_key(candidate)}: there is no descriptor {model!r}: {did_you_mean(model, DESCRIPTORS)}")
        if unused := [key for key in ("weights", "mean", "std") if candidate.get(key)]:
            raise InputError(f"{_key(candidate)}: a descriptor has no {' and no '.join(unused)}: remove it")
        options = list(inspect.signature(DESCRIPTORS[model]).parameters)[1:]
        for unknown in set(candidate.get("args") or {}) - set(options):
            raise InputError(
                f"{_key(candidate)}: {model} takes no argument {unknown!r}: {did_you_mean(unknown, options)}"
            )
    if family == "mini" and not weights and not (MINI_WEIGHTS / f"{model}.safetensors").is_file():
        known = [path.stem for path in MINI_WEIGHTS.glob("*.safetensors")]
        raise InputError(f"{_key(candidate)}: models/mini has no {model}.safetensors: {did_you_mean(model, known)}")
    if weights and not Path(weights).is_file():
        raise InputError(f"{_key(candidate)}: the weights file {str(weights)!r} is not there")
    try:
        _check_names(candidate, family, model)
    except InputError as error:
        raise InputError(f"{_key(candidate)}: {error}") from None
    return family, model


def _check_names(candidate, family, model):
    """Raise InputError for names that the family's library does not have."""
    if family == "torchvision":
        library_models.check_torchvision(model)
    elif family == "timm":
        library_models.check_timm(model)
    elif family == "open_clip":
        tag = (candidate.get("args") or {}).get("pretrained")
        for_text = candidate.get("section") == "clip"
        library_models.check_open_clip(model, candidate.get("weights"), tag, for_text)


def most_words(candidate):
    """Words that a text of a CLIP model has at most, None where it is not known before the model is loaded."""
    family, _, model = candidate["model"].partition(":")
    if family == "open_clip":
        return library_models.open_clip_most_words(model)
    made_of = json.loads((MINI_WEIGHTS / f"{model}.json").read_text(encoding="utf-8"))
    return made_of["config"]["text_cfg"]["context_length"] - 2


def load_backbone(candidate, device="auto", precision="auto"):
    """Backbone of a candidate, ready to use.

    candidate: {"name", "model"} and, where the defaults shall not hold, "weights", "args", "mean", "std", "resize",
    "crop", "interpolation".
    device: "auto" (a GPU where there is one), "cpu", "cuda" or "cuda:1".
    precision: "float32", "bfloat16" (autocast) or "auto" (bfloat16 on a GPU, float32 on a CPU).
    Raises InputError for what the config got wrong: names, arguments, weights, sizes.
    """
    family, model = check_model(candidate)
    if family == "descriptor":
        return _load_descriptor(candidate, model)
    return _load_network(candidate, family, model, device, precision)


def _load_descriptor(candidate, model):
    prepare = _override(Transform(resize=128, crop=128), candidate)
    transform = Description(prepare, model, dict(candidate.get("args") or {}))
    try:
        size = len(transform(np.zeros((prepare.crop, prepare.crop, 3), np.uint8)))
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise InputError(
            f"{_key(candidate)}: {model} cannot describe an image of {prepare.crop} px: {error}"
        ) from error
    return Backbone(
        candidate["name"],
        candidate["model"],
        feature_size=size,
        n_parameters=0,
        transform=transform,
        features=lambda batch: np.asarray(batch, np.float32),
        weights_sha256="",
        versions=library_versions("scikit-image"),
    )


def _load_network(candidate, family, model, device, precision):
    from swsa_core.basics.devices import find_device, find_dtype

    device = find_device(device)
    dtype = find_dtype(precision, device)
    weights = candidate.get("weights")
    with loading(_key(candidate), family, model):
        network = LOADERS[family](model, weights, dict(candidate.get("args") or {}))
        if network.weights:
            load_weights(network.module, network.weights, network.head)
    transform = _override(network.transform, candidate)
    features = _features(network, transform, device, dtype)
    try:
        size = features(np.zeros((1, transform.crop, transform.crop, 3), np.uint8)).shape[1]
    except (RuntimeError, AssertionError, ValueError, IndexError) as error:
        raise InputError(
            f"{_key(candidate)}: {model} cannot take images of {transform.crop} x {transform.crop} px ({error}); "
            "check `crop` and `args`"
        ) from error
    module, head = network.module, network.head
    return Backbone(
        candidate["name"],
        candidate["model"],
        feature_size=size,
        n_parameters=sum(value.numel() for name, value in module.named_parameters() if not name.startswith(head)),
        transform=transform,
        features=features,
        weights_sha256=file_sha256(network.weights) if network.weights else parameters_sha256(module, head),
        versions=library_versions("torch", *network.packages),
        device=device.split(":")[0],
        precision=str(dtype).removeprefix("torch."),
    )


def _features(network, transform, device, dtype):
    """Function from (n, crop, crop, 3) uint8 to (n, d) float32: normalisation, network, and back to NumPy."""
    import torch

    from swsa_core.basics.devices import inference

    network.module.requires_grad_(False).eval().to(device, memory_format=torch.channels_last)
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (transform.mean, transform.std))
    on_gpu = device.startswith("cuda")
    half = dtype == torch.bfloat16
    forward = inference(network.forward)

    def features(batch):
        images = torch.from_numpy(batch)  # (n, h, w, 3) uint8
        if on_gpu:
            images = images.pin_memory()
        images = images.to(device, non_blocking=True).permute(0, 3, 1, 2)  # (n, 3, h, w), channels last in memory
        images = images.float().div(255).sub(mean).div(std)
        with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=half):
            return forward(images).float().cpu().numpy()  # (n, d)

    return features


def _override(transform, candidate):
    """`transform` with what the candidate declares itself."""
    keys = ("mean", "std", "resize", "crop", "interpolation")
    own = {key: candidate[key] for key in keys if candidate.get(key) is not None}
    own |= {key: tuple(own[key]) for key in ("mean", "std") if key in own}
    transform = replace(transform, **own)
    if transform.crop > transform.resize:
        raise InputError(
            f"{_key(candidate)}: crop {transform.crop} is larger than resize {transform.resize}: raise `resize`"
        )
    return transform


def _key(candidate):
    """The config key that an error names: the candidate's, or the section of a backbone that is no candidate."""
    return candidate.get("section") or f"candidates.{candidate['name']}"
