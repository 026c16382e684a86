"""Family python: features by a function of the user's own, module:function.

The function takes n images (n, side, side, 3) uint8 RGB and returns numbers, their features (n, d). The file that it stands in
is what weights are elsewhere: its SHA-256 is tracked, and kept with what was made by it.
"""

from functools import partial

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.candidates.family import NO_WEIGHTS, CandidateSpec, Family, Function, args_of, model_name
from swsa_core.candidates.transforms import Transform
from swsa_core.files.functions import array_from, digest_of, source_of


def check(candidate: CandidateSpec) -> None:
    """Raise InputError for a module that is not there, and for keys that mean something to networks alone."""
    source_of(model_name(candidate))
    if unused := [key for key in ("weights", "mean", "std") if candidate.get(key)]:
        raise InputError(f"a function gets images as they are and has no {' and no '.join(unused)}: remove it")
    if args_of(candidate):
        raise InputError("a function gets images alone: remove `args`, or write a function for each of their values")


def load(candidate: CandidateSpec) -> Function:
    """The function, of images of 224 x 224 pixels."""
    name = model_name(candidate)
    return Function(Transform(resize=224, crop=224), partial(features, name), digest_of(name))


def features(name: str, images: np.ndarray) -> np.ndarray:
    """What the function returns of images (n, side, side, 3) uint8, (n, d) float32. Raises InputError where it is not that."""
    n = len(images)
    array = array_from(name, images.copy(), of=f"{n} images of shape {images.shape[1:]}")
    if array.ndim != 2 or len(array) != n or not array.shape[1] or array.dtype.kind not in "fiu":
        raise InputError(
            f"{name} returned {array.dtype} of shape {array.shape} for {n} images, expected numbers of shape ({n}, d): "
            "a row of features for each"
        )
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise InputError(
            f"{name} returned features that are not finite, first for image {row} of {n}: mend the function"
        )
    return array


FAMILY = Family(
    title="functions of your own (docs/bring_your_own.md)",
    licence="that of your code",
    licence_of=lambda candidate: NO_WEIGHTS,
    packages=lambda candidate: (),
    check=check,
    load=load,
    blank=None,
    code=lambda candidate: digest_of(model_name(candidate)),
    gpu=False,
)
