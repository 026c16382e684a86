"""Backbones: a candidate's "family:model" as a function from images to features, the penultimate layer of a network.

The families, and what each does, are `candidates.FAMILIES`. Libraries are imported by the family that needs them, so that
descriptors and mini models start quickly.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.candidates import family_of
from swsa_core.candidates.family import CandidateSpec, Description, Function, Network
from swsa_core.candidates.forward_pass import features_and_patches, features_of, runner
from swsa_core.candidates.maps import by_hooks
from swsa_core.candidates.mistakes import check_model, key_of, loading, one_line
from swsa_core.candidates.transforms import Transform
from swsa_core.files.packaged import is_packaged
from swsa_core.files.provenance import file_sha256, library_versions, parameters_sha256
from swsa_core.files.weights import load_weights

GREY = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Backbone:
    """What turns images into features.

    transform: image (H, W, 3) uint8 to an array of fixed shape; picklable, and needs no torch.
    features: n transformed images, stacked, to (n, feature_size) float32.
    n_parameters: of the feature extractor, the head left out.
    weights_sha256: of the weights file where there is one, of the parameters where the library downloads them.
    device: "cpu" or "cuda" for networks; "" for descriptors, whose work is all in `transform`.
    precision: that the network computes in, "float32" or "bfloat16"; "" for descriptors.
    with_patches: where patches were asked for, n images to their features and, of the same pass, those of their patches
    (n, grid², patch_size) float16.
    network, run: what `features` computes with, for those who train it: the network, and a function of a forward pass and n
    transformed images to what the pass returns of them, normalised, on the device and in the precision; None for descriptors.
    """

    name: str
    model: str
    feature_size: int
    n_parameters: int
    transform: Transform | Description
    features: Callable[[np.ndarray], np.ndarray]
    weights_sha256: str
    versions: str
    device: str = ""
    precision: str = ""
    patch_size: int = 0
    with_patches: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None
    network: Network | None = None
    run: Callable[[Any, np.ndarray], Any] | None = None

    def attributes(self) -> dict[str, str | int]:
        """{name: value}: what an embeddings file says about its backbone."""
        return {
            "backbone": self.name,
            "model": self.model,
            "n_parameters": self.n_parameters,
            "weights_sha256": self.weights_sha256,
            "transform": str(self.transform),
            "precision": self.precision,
            "versions": self.versions,
        }


def transform_of(candidate: CandidateSpec) -> Transform:
    """What a candidate does with an image before it looks, without its weights. Raises InputError as `load_backbone` does."""
    check_model(candidate)
    family = family_of(candidate)
    with loading(candidate):
        described = (family.blank or family.load)(candidate)
    return _override(described.transform if isinstance(described, Network) else described.prepare, candidate)


def load_backbone(
    candidate: CandidateSpec, device: str = "auto", precision: str = "auto", grid: int | None = None
) -> Backbone:
    """Backbone of a candidate, ready to use.

    device: "auto" (a GPU where there is one), "cpu", "cuda" or "cuda:1".
    precision: "float32", "bfloat16" (autocast) or "auto" (bfloat16 on a GPU, float32 on a CPU).
    grid: side of the grid of patches whose features are wanted too, of the stages `layers` of the candidate.
    Raises InputError for what the config got wrong: names, arguments, weights, sizes.
    """
    check_model(candidate)
    if family_of(candidate).blank is None:
        return _describing(candidate)
    return _computing(candidate, device, precision, grid)


def _describing(candidate: CandidateSpec) -> Backbone:
    """Backbone of a descriptor: all is done in the transform, and `features` passes on what it made."""
    description = family_of(candidate).load(candidate)
    if isinstance(description, Function):
        return _calling(candidate, description)
    assert isinstance(description, Description)  # as its family has no network
    # no mean is subtracted, and mid-grey is what padding is made of
    prepare = _override(replace(description.prepare, mean=GREY), candidate)
    transform = replace(description, prepare=prepare)
    try:
        size = len(transform(np.zeros((prepare.crop, prepare.crop, 3), np.uint8)))
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise InputError(
            f"{key_of(candidate)}: {description.name} cannot describe an image of {prepare.crop} px: {error}"
        ) from error
    return _without_network(candidate, transform, lambda batch: np.asarray(batch, np.float32), size)


def _calling(candidate: CandidateSpec, function: Function) -> Backbone:
    """Backbone of a function of the user's own."""
    transform = _override(replace(function.prepare, mean=GREY), candidate)
    sizes: set[int] = set()

    def features(batch):
        try:
            found = function.features(batch)
        except InputError as error:
            raise InputError(f"{key_of(candidate)}: {error}") from error
        if len(sizes | {found.shape[1]}) > 1:
            raise InputError(
                f"{key_of(candidate)}: {candidate['model']} returned {found.shape[1]} features for an image and "
                f"{sizes.pop()} for another, expected as many for all: mend the function"
            )
        sizes.add(found.shape[1])
        return found

    size = features(np.zeros((1, transform.crop, transform.crop, 3), np.uint8)).shape[1]
    return _without_network(candidate, transform, features, size, function.digest)


def _without_network(
    candidate: CandidateSpec,
    transform: Any,
    features: Callable[[np.ndarray], np.ndarray],
    size: int,
    code_sha256: str = "",
) -> Backbone:
    """Backbone without a network; code_sha256: of the user's own code that computes the features, where there is some."""
    return Backbone(
        candidate["name"],
        candidate["model"],
        feature_size=size,
        n_parameters=0,
        transform=transform,
        features=features,
        weights_sha256=code_sha256,
        versions=library_versions(*family_of(candidate).packages(candidate)),
    )


def _computing(candidate: CandidateSpec, device: str, precision: str, grid: int | None) -> Backbone:
    """Backbone of a network, which is moved to the device."""
    from swsa_core.basics.devices import find_device, find_dtype, inference

    family = family_of(candidate)
    device = find_device(device if family.gpu else "cpu")
    dtype = find_dtype(precision, device)
    with loading(candidate):
        network = family.load(candidate)
        assert isinstance(network, Network)
        if network.weights:
            in_order = is_packaged(candidate.get("weights"))
            load_weights(network.module, network.weights, network.head, network.convert, in_order)
    transform = _override(network.transform, candidate)
    run = runner(network, transform, device, dtype)
    features = partial(features_of, run, inference(network.forward))
    look, layers = network.look or by_hooks(network.module, network.forward), candidate.get("layers")
    with_patches = partial(features_and_patches, run, inference(lambda images: look(images, layers)), grid or 0)
    blank = np.zeros((1, transform.crop, transform.crop, 3), np.uint8)
    try:
        size = features(blank).shape[1]
        patch_size = with_patches(blank)[1].shape[2] if grid else 0
    except InputError as error:
        raise InputError(f"{key_of(candidate)}: {error}") from None
    except (RuntimeError, AssertionError, ValueError, IndexError) as error:
        model = candidate["model"].partition(":")[2]
        raise InputError(
            f"{key_of(candidate)}: {model} cannot take images of {transform.crop} x {transform.crop} px ({one_line(error)}); "
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
        versions=library_versions(*family.packages(candidate)),
        device=device.split(":")[0],
        precision=str(dtype).removeprefix("torch."),
        patch_size=patch_size,
        with_patches=with_patches if grid else None,
        network=network,
        run=run,
    )


def _override(transform: Transform, candidate: CandidateSpec) -> Transform:
    """`transform` with what the candidate declares itself."""
    keys = ("mean", "std", "resize", "crop", "interpolation")
    given: Mapping[str, Any] = candidate
    own = {key: given[key] for key in keys if given.get(key) is not None}
    own |= {key: tuple(own[key]) for key in ("mean", "std") if key in own}
    transform = replace(transform, **own)
    if fit := candidate.get("fit"):
        transform = transform.fitted(fit)
    if transform.crop > transform.resize:
        raise InputError(
            f"{key_of(candidate)}: crop {transform.crop} is larger than resize {transform.resize}: raise `resize`"
        )
    return transform
