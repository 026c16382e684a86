"""Function: anomalies by a function of the user's own, module:function, that is given a seed image and a generator."""

from typing import Annotated, Any

import numpy as np

from swsa_core.anomalies.source import Made, Source, Task, in_turn
from swsa_core.basics.errors import InputError
from swsa_core.basics.look import Look
from swsa_core.basics.section import Anomalies, LeftOutIfNull, Section
from swsa_core.files.functions import Named, array_from, digest_of, source_of


class OwnFunction(Section):
    function: Named
    """The function as module:function (docs/bring_your_own.md): of an image (h, w, 3) uint8 and a NumPy generator to the
    anomaly, an image of the same shape. It is code that is run; an edit of its file makes the anomalies again."""
    n: Annotated[Anomalies | None, LeftOutIfNull] = None
    """Anomalies per task. If left out, (seeds / 2)², as many as the other sources have."""


def make(task: Task, section: dict[str, Any], rng: np.random.Generator) -> Made:
    """Each anomaly has a generator of its own, so that it does not depend on what was drawn for those before it."""
    parents = in_turn(task, section)
    name = section["function"]
    images = [
        _checked(name, task.seeds[image_id], generator, image_id)
        for image_id, generator in zip(parents, rng.spawn(len(parents)), strict=True)
    ]
    if all(np.array_equal(image, task.seeds[image_id]) for image, image_id in zip(images, parents, strict=True)):
        raise InputError(f"{name} returned every image as it was, expected anomalies: change the function")
    return Made(images, np.array(parents)[:, None])


def _checked(name, image, generator, image_id):
    """What the function makes of a copy of an image. Raises InputError where it is no image of that shape."""
    found = array_from(name, image.copy(), generator, of=f"the image {image_id!r}")
    if found.dtype != np.uint8 or found.shape != image.shape:
        raise InputError(
            f"{name} returned {found.dtype} of shape {found.shape} for the image {image_id!r}, expected uint8 of its shape, "
            f"{image.shape}"
        )
    return found


def check(section: dict[str, Any], preparation: Any) -> None:
    """Raise InputError where the function's module is not there."""
    try:
        source_of(section["function"])
    except InputError as error:
        raise InputError(f"sources.function.function: {error}") from None


SOURCE = Source(
    OwnFunction,
    title="own function",
    about="Seed images changed by a function of your own.",
    look=Look("#7F7F7F", "d"),
    make=make,
    parents=1,
    check=check,
    code=lambda section: digest_of(section["function"]),
)
