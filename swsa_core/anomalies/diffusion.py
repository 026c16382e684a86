"""DiffStyle anomalies of a task (Sec. 3.2): which seeds give style and content, and the images made of them.

The algorithm itself is `swsa_core.diffusion`, its network `swsa_core.anomalies.diffusion_model`; torch is imported by what
runs them.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator

from swsa_core.anomalies.diffusion_model import (
    KEY,
    check,
    find_model,
    from_network,
    load_network,
    overflow,
    precision_of,
    to_network,
)
from swsa_core.anomalies.diffusion_work import speed, work, work_of_reconstruction
from swsa_core.anomalies.source import Network, Reconstruction, Source, Stream, Task
from swsa_core.basics.errors import InputError
from swsa_core.basics.look import Look
from swsa_core.basics.section import LeftOutIfNull, Section, Several, inconsistent, plain
from swsa_core.basics.seeding import rng
from swsa_core.files.diffusion_flags import adm_arguments


class Diffusion(Section):
    model: str = "adm_imagenet_256"
    """The diffusion model: the published adm_imagenet_256 (fetched by `snakemake weights`), the bundled mini:adm_32, or the
    path of a guided-diffusion checkpoint or of the directory of a diffusers UNet2DModel."""
    flags: dict[str, str | int | float | bool] | None = None
    """Training flags of your own guided-diffusion checkpoint, under the names of guided-diffusion. Flags that are left out
    have its defaults; without this key the checkpoint is read as the ImageNet 256 model."""
    gamma: Annotated[float, Field(ge=0, le=1)] = 0.7
    """Weight of the h of the content image, against the h of the image that is being generated."""
    gammas: Annotated[Annotated[list[Annotated[float, Field(ge=0, le=1)]], *Several] | None, LeftOutIfNull] = None
    """Several values of gamma, which pairs take in turn, so that the anomalies are of graded strength. Replaces `gamma`."""
    steps: Annotated[int, Field(ge=2, le=1000)] = 50
    """Number of diffusion steps of inversion and of generation."""
    interpolation: Literal["linear", "slerp"] = "linear"
    """How the two h are mixed: along the straight line of Eq. 2 (`linear`), or along the sphere at equal norms (`slerp`)."""
    t_edit: Annotated[int, Field(ge=0, le=999)] = 0
    """The lowest timestep at which the h of the content enters."""
    dt_lambda: Annotated[float, Field(gt=0)] = 1.0
    """Factor of the D_t term at timesteps of 950 and above."""
    content_h: Literal["inversion", "reconstruction"] = "inversion"
    """Whether the h of the content comes from its inversion or from its reconstruction."""
    precision: Annotated[Literal["auto", "float32", "bfloat16", "float16"] | None, LeftOutIfNull] = None
    """Precision of the diffusion network. When null it is the top-level `precision`; `float16` keeps its norms in float32."""

    @field_validator("model")
    @classmethod
    def _plain_path(cls, value):
        return plain(os.path.expanduser(value))

    @field_validator("flags")
    @classmethod
    def _known_flags(cls, value):
        if value is not None:
            try:
                adm_arguments(value)
            except InputError as error:
                raise inconsistent(str(error)) from None
        return value


def halves(seed_ids: Sequence[str], seed: int, dataset: str, task: str) -> tuple[list[str], list[str]]:
    """The seed images in two random halves: (style ids, content ids), each in the order of `seed_ids`."""
    style = set(rng(seed, dataset, task, "halves").permutation(len(seed_ids))[: len(seed_ids) // 2].tolist())
    return (
        [image_id for i, image_id in enumerate(seed_ids) if i in style],
        [image_id for i, image_id in enumerate(seed_ids) if i not in style],
    )


def stream(task: Task, section: dict) -> Stream:
    """All pairs of a style and a content image of a task, style by style."""
    from swsa_core.diffusion.generate import gammas_of

    style_ids, content_ids = halves(list(task.seeds), task.seed, task.dataset, task.name)
    gammas = gammas_of(section, len(style_ids), len(content_ids))
    graded = {} if gammas is None else {"gamma": gammas.flatten().numpy()}

    def generated(unet, size, done):
        from swsa_core.diffusion.generate import generate, invert_halves

        images, what = tensor(task, style_ids + content_ids), f"diffusion {task.dataset} {task.name}"
        style, content = invert_halves(unet, images, len(style_ids), section, size, tell(task, f"{what}, inversion"))
        return generate(unet, style, content, section, done // len(content_ids), size, tell(task, what))

    pairs = np.array(list(product(style_ids, content_ids)))
    return streamed(task, section, pairs, generated, ("styles", len(content_ids)), graded)


def reconstruction(task: Task, section: dict, key: str = KEY) -> Stream:
    """The seed images of a task, inverted and generated again in the same steps, each by itself: `stream` at gamma = 0."""
    ids = list(task.seeds)

    def regenerated(unet, size, done):
        from swsa_core.diffusion.generate import regenerate

        what = f"reconstructions {task.dataset} {task.name}"
        return regenerate(unet, tensor(task, ids), section, done, size, tell(task, what))

    return streamed(task, section, np.array(ids)[:, None], regenerated, ("images", 1), key=key)


def streamed(
    task: Task,
    section: dict,
    parents: np.ndarray,
    blocks: Callable[[Any, Any, int], Iterator[Any]],
    unit: tuple[str, int],
    columns: dict[str, np.ndarray] | None = None,
    key: str = KEY,
) -> Stream:
    """The `Stream` of what a network makes; blocks: function of it, a `BatchSize` and the rows done to float images."""
    from swsa_core.basics.devices import find_device, find_dtype
    from swsa_core.diffusion.generate import made_by

    device = find_device(task.runtime["device"])
    dtype = find_dtype(precision_of(section, task.precision), device)
    model = find_model(section, key)

    def images(done: int) -> Iterator[np.ndarray]:
        """Raises `overflow` where the network's values leave the range of `dtype`."""
        try:
            for block in blocks(*load_network(task, model, device, dtype), done):
                yield from_network(block.cpu())
        except FloatingPointError:
            raise overflow(task.dataset, task.name, str(dtype).removeprefix("torch."), key) from None

    attributes = made_by(section["model"], model.files, dtype)
    return Stream(parents, attributes, device.partition(":")[0], images, unit, columns or {})


def tensor(task: Task, ids: Sequence[str]) -> Any:
    """The seed images `ids` as `to_network` has them, a tensor."""
    import torch

    return torch.from_numpy(to_network([task.seeds[image_id] for image_id in ids]))


def tell(task: Task, what: str) -> Callable[[float, float], None] | None:
    """Progress in images through the whole network, which come in fractions."""
    if task.progress is None:
        return None
    show = task.progress(what)
    return lambda done, total: show(round(done, 1), total)


SOURCE = Source(
    Diffusion,
    title="diffusion",
    about="Pairs of seed images mixed by a diffusion model (DiffStyle).",
    look=Look("#000000", "o"),
    stream=stream,
    network=Network(lambda section: find_model(section).files, work, speed),
    reconstruct=Reconstruction(reconstruction, work_of_reconstruction),
    strength="gamma",
    grades=lambda section: section.get("gammas") or [],
    parents=2,
    pairs=True,
    fixed_size=True,
    version=2,
    check=check,
    in_paper=True,
    reference="Jeong et al. 2023",
)
