"""DiffStyle anomalies of a task (Sec. 3.2): which seeds give style and content, and which diffusion model serves.

The algorithm itself is `swsa_core.diffusion`; torch is imported by what runs it.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field, field_validator

from swsa_core.anomalies.source import Network, Reconstruction, Source, Stream, Task, Work
from swsa_core.basics.errors import InputError
from swsa_core.basics.look import Look
from swsa_core.basics.names import did_you_mean
from swsa_core.basics.section import LeftOutIfNull, Section, Several, inconsistent, plain
from swsa_core.basics.seeding import rng
from swsa_core.files.diffusion_flags import adm_arguments, diffusers_weights, read_diffusers_config
from swsa_core.files.downloads import PLACE, PUBLISHED
from swsa_core.files.weights import BUNDLED, MINI_WEIGHTS

KEY = "sources.diffusion"


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


def halves(seed_ids: Sequence[str], seed: int, dataset: str, task: str) -> tuple[list[str], list[str]]:
    """The seed images in two random halves: (style ids, content ids), each in the order of `seed_ids`."""
    style = set(rng(seed, dataset, task, "halves").permutation(len(seed_ids))[: len(seed_ids) // 2].tolist())
    return (
        [image_id for i, image_id in enumerate(seed_ids) if i in style],
        [image_id for i, image_id in enumerate(seed_ids) if i not in style],
    )


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


def to_network(images: Sequence[np.ndarray]) -> np.ndarray:
    """List of (H, W, 3) uint8 images as (n, 3, H, W) float32 in [-1, 1]."""
    return (np.stack(images).astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2)


def from_network(images: ArrayLike) -> np.ndarray:
    """(n, 3, H, W) float images in [-1, 1], clipped here, as (n, H, W, 3) uint8."""
    return np.clip(np.rint((np.asarray(images) + 1) * 127.5), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


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


def passes(section: dict, seeds: int) -> tuple[int, int]:
    """(encoder, decoder) passes, in images, of one task's anomalies; see docs/diffusion.md.

    The encoder runs once per step, the decoder twice where the content enters. A style's first step is shared by its pairs,
    and a last step that is edited needs one decoder pass.
    """
    from swsa_core.diffusion import timesteps

    steps, styles = section["steps"], seeds // 2
    pairs = styles**2
    edited = sum(t >= section["t_edit"] for t in timesteps(steps)) - 1  # the first step always is, and is shared
    inversion = seeds * (steps - 1)
    reconstruction = styles * steps if section["content_h"] == "reconstruction" else 0
    encoder = inversion + reconstruction + styles + pairs * (steps - 1)
    decoder = inversion + reconstruction + styles + pairs * (steps + edited)
    return encoder, decoder - pairs if section["t_edit"] == 0 else decoder


def work(section: dict, seeds: int) -> Work:
    """The `Work` of one task; the memory is that of the weights and of the h of all inversions, in float32."""
    return work_of_passes(section, seeds, *passes(section, seeds))


def work_of_reconstruction(section: dict, seeds: int) -> Work:
    """The `Work` of inverting each seed image of one task and generating it again."""
    again = seeds * (2 * section["steps"] - 1)
    return work_of_passes(section, seeds, again, again)


def work_of_passes(section: dict, seeds: int, encoder: float, decoder: float) -> Work:
    """The `Work` of so many passes, in images; the memory holds the h of `seeds` inversions."""
    from swsa_core.diffusion.cost import diffusion_cost

    cost = diffusion_cost(*find_model(section)[:2])
    flops = round(encoder * cost.encoder + decoder * cost.decoder)
    memory = 4 * (cost.parameters + seeds * section["steps"] * cost.h)
    return Work(flops / (cost.encoder + cost.decoder), flops, memory)


def speed(section: dict, device: str, dtype: Any) -> float:
    """FLOPs per second of the network on `device`, measured."""
    from swsa_core.basics.devices import find_dtype
    from swsa_core.diffusion.cost import diffusion_cost, diffusion_speed

    model = find_model(section)
    cost = diffusion_cost(model.path, model.flags)
    dtype = find_dtype(section["precision"], device) if section.get("precision") else dtype
    return diffusion_speed(model.path, model.flags, cost.encoder + cost.decoder, device, dtype)


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
