"""Text-guided anomalies of a task (App. A.2): seed images, generated again with a direction in h-space that a text gives.

The direction Δh is trained with CLIP, the algorithm is `swsa_core.diffusion.text_direction`; torch is imported by what runs it.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import AfterValidator, Field, field_validator

from swsa_core.anomalies.diffusion import Diffusion, reconstruction, streamed, tell, tensor
from swsa_core.anomalies.diffusion_model import check, find_model, load_network, overflow, precision_of, to_network
from swsa_core.anomalies.diffusion_work import speed, work_of_passes, work_of_reconstruction
from swsa_core.anomalies.source import Network, Reconstruction, Source, Stream, Task, Training, Work
from swsa_core.basics.errors import InputError
from swsa_core.basics.look import Look
from swsa_core.basics.section import PositiveInt, Section, Several, not_blank
from swsa_core.basics.seeding import rng

if TYPE_CHECKING:
    import pandas as pd

KEY = "sources.text_guided"


class ClipModel(Section):
    model: str
    """The model that compares images with the texts: open_clip:<model>, or the bundled mini:clip. Asyrp was trained with
    open_clip:ViT-B-16-quickgelu and weights openai."""
    weights: str | None = None
    """A pretrained tag of open_clip, or a local file, as `clip.weights`."""
    tag: str | None = None
    """If `weights` is a file, the pretrained tag of which it is a copy, as `clip.tag`."""


class TextGuided(Section):
    model: str = "adm_imagenet_256"
    """The diffusion model, as `model` of the source diffusion."""
    flags: dict[str, str | int | float | bool] | None = None
    """Training flags of your own guided-diffusion checkpoint, as `flags` of the source diffusion."""
    steps: Annotated[int, Field(ge=2, le=1000)] = 50
    """Number of diffusion steps of inversion, training and generation."""
    t_edit: Annotated[int, Field(ge=0, le=999)] = 500
    """The lowest timestep at which h is edited, in training and in generation."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] | None = None
    """Precision of the diffusion network. When null it is the top-level `precision`; CLIP and what is trained are float32."""
    clip: ClipModel
    """The CLIP model that training follows."""
    texts: Annotated[list[Annotated[str, AfterValidator(not_blank)]], *Several] = [
        "a rusty object",
        "a furry animal",
        "fire",
        "a pencil drawing",
    ]
    """The auxiliary texts, each of which gives a direction; they need not be about the images. The paper names none: the
    default is this library's."""
    alphas: Annotated[list[Annotated[float, Field(ge=0)]], *Several] = [0.5, 1.0, 1.5]
    """Edit strengths: the direction is added so many times. Each seed image is generated with each text at each strength; 0
    gives its reconstruction. The paper names none: the default is this library's."""
    share: Literal["dataset", "task"] = "dataset"
    """Whether a text's direction is trained once for all tasks of a data set, or for each task on its own seed images."""
    images: PositiveInt = 100
    """Most seed images that a direction is trained on, drawn at random."""
    epochs: Annotated[int, Field(ge=2, le=10_000)] = 5
    """How often training sees each of its images."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.5
    """Step of the gradient descent (SGD)."""
    l1_weight: Annotated[float, Field(ge=0)] = 3.0
    """Weight of the distance to the unedited image in the loss, against that of the direction."""

    @field_validator("model", "flags")
    @classmethod
    def _as_of_diffusion(cls, value, info):
        return getattr(Diffusion(**{info.field_name: value}), info.field_name)

    @field_validator("texts")
    @classmethod
    def _different_to_clip(cls, value):
        read = [" ".join(text.split()).lower() for text in value]
        if same := [text for i, text in enumerate(value) if read[i] in read[:i]]:
            raise ValueError(f"{same[0]!r} stands there twice as CLIP reads it, without letter case: remove one")
        return value


def rows(section: dict, ids: list[str]) -> dict[str, np.ndarray]:
    """What each anomaly is made of, text after text, strength after strength: columns parents (n, 1), text, alpha."""
    made = [(image_id, text, alpha) for text in section["texts"] for alpha in section["alphas"] for image_id in ids]
    parents, texts, alphas = zip(*made, strict=True)
    return {
        "parents": np.array(parents, dtype=object)[:, None],
        "text": np.array(texts, dtype=object),
        "alpha": np.array(alphas, dtype=np.float64),
    }


def number(seeds: int, section: dict) -> int:
    """Anomalies of a task with so many seed images."""
    return seeds * len(section["texts"]) * len(section["alphas"])


def stream(task: Task, section: dict) -> Stream:
    """Each seed image with each text at each strength, from its inversion `task.ways` and the directions `task.trained`."""
    ids = list(task.seeds)
    columns = rows(section, ids)

    def blocks(unet: Any, size: Any, done: int) -> Iterator[Any]:
        import torch

        from swsa_core.diffusion.asyrp import asyrp
        from swsa_core.diffusion.delta_h import as_edit, read_delta_h
        from swsa_core.files import store

        found, _ = store.read(task.ways, ["x_T", "image_ids"])
        if found["image_ids"].tolist() != ids:
            raise InputError(f"{task.ways} is not of the seed images of this task: delete it and run again")
        x_T, device = torch.from_numpy(found["x_T"]), unet.conv_in.weight.device
        directions = [as_edit(unet, read_delta_h(path, unet)) for path in task.trained]
        show = tell(task, f"text_guided {task.dataset} {task.name}")
        edits = [(edit, alpha) for edit in directions for alpha in section["alphas"]]
        for i, (edit, alpha) in list(enumerate(edits))[done // len(ids) :]:
            counted = partial(_shown, show, i * len(ids), len(columns["alpha"])) if show else None
            yield asyrp(unet, x_T.to(device), edit, alpha, section["steps"], size, section["t_edit"], counted)

    graded = {name: columns[name] for name in ("text", "alpha")}
    return streamed(task, section, columns["parents"], blocks, ("pairs of text and strength", len(ids)), graded, KEY)


class Ways(NamedTuple):
    """The unedited ways of the seed images of a task.

    blocks: function of the images done to blocks of x_T (b, 3, H, W) float32 and P_t (b, n_edited, 3, H, W) float16, at the
    timesteps that are edited. attributes: what made them; device: where.
    """

    blocks: Callable[[int], Iterator[tuple[np.ndarray, np.ndarray]]]
    n_edited: int
    attributes: dict[str, str]
    device: str


def ways(task: Task, section: dict) -> Ways:
    """`Ways` of a task's seed images, inverted and generated again down to `t_edit`."""
    from swsa_core.basics.devices import find_device, find_dtype
    from swsa_core.diffusion.batches import decided
    from swsa_core.diffusion.ddim import invert
    from swsa_core.diffusion.generate import made_by
    from swsa_core.diffusion.text_direction import unedited

    device = find_device(task.runtime["device"])
    dtype = find_dtype(precision_of(section, task.precision), device)
    model, steps = find_model(section, KEY), section["steps"]

    def blocks(done: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        unet, size = load_network(task, model, device, dtype)
        images, total = tensor(task, list(task.seeds)), 2 * len(task.seeds)
        show = tell(task, f"text_guided {task.dataset} {task.name}, inversion")
        size = decided(size, unet, images)
        try:
            while done < len(images):
                rows = slice(done, done + size.rows)
                befores = 2 * done, 2 * done + len(images[rows])
                first, second = (partial(_shown, show, before, total) if show else None for before in befores)
                x_T = invert(unet, images[rows], steps, size, first).x_T
                predicted = unedited(unet, x_T, steps, section["t_edit"], size, second)
                yield x_T.cpu().numpy(), predicted.cpu().numpy().astype(np.float16)
                done = min(rows.stop, len(images))
        except FloatingPointError:
            raise overflow(task.dataset, task.name, str(dtype).removeprefix("torch."), KEY) from None

    attributes = made_by(section["model"], model.files, dtype)
    return Ways(blocks, len(edited(section)), attributes, device.partition(":")[0])


def to_train_on(paths: Sequence[str], section: dict, seed: int) -> list[tuple[str, int]]:
    """(file, row) of the seed images that a direction is trained on: all of the files of `Ways`, or as many as `images`."""
    from swsa_core.files import store

    every = [(path, row) for path in paths for row in range(store.count_rows(path, "x_T"))]
    chosen = rng(seed, "text_guided", "images").permutation(len(every))[: section["images"]]
    return [every[i] for i in sorted(chosen)]


def read_way(path: str, row: int, device: str) -> Any:
    """One image and its unedited way, a `swsa_core.diffusion.text_direction.Way`, on a device."""
    import torch

    from swsa_core.diffusion.text_direction import Way
    from swsa_core.files import store

    found = {name: np.asarray(store.OnDisk(path, name)[[row]]) for name in ("images", "x_T", "predicted")}
    predicted = found["predicted"][0].astype(np.float32)
    arrays = to_network(list(found["images"])), found["x_T"], predicted
    return Way(*(torch.from_numpy(array).to(device) for array in arrays))


def of_epochs(losses: list[float], images: int) -> "pd.DataFrame":
    """Rows of `LOSSES`, the mean loss of each epoch, of the losses of all its images.

    Raises InputError where the last epoch's is not below the first one's.
    """
    import pandas as pd

    means = np.reshape(losses, (-1, images)).mean(1)
    if not means[-1] < means[0]:
        raise InputError(
            f"the loss did not fall: {means[0]:.3f} in the first epoch, {means[-1]:.3f} in the last; lower "
            f"{KEY}.learning_rate, raise {KEY}.epochs, or take another text"
        )
    return pd.DataFrame({"epoch": np.arange(1, len(means) + 1), "loss": means})


def passes(section: dict, seeds: int) -> tuple[int, int]:
    """(encoder, decoder) passes, in images, of one task's anomalies."""
    plain = sum(not alpha for alpha in section["alphas"])
    per_image = len(edited(section)) * (len(section["alphas"]) - plain) / len(section["alphas"])
    n = number(seeds, section)
    return n * section["steps"], round(n * (section["steps"] + per_image))


def work(section: dict, seeds: int) -> Work:
    """The `Work` of generating one task's anomalies."""
    return work_of_passes(section, seeds, *passes(section, seeds))


def work_of_inversion(section: dict, seeds: int) -> Work:
    """The `Work` of inverting one task's seed images, and of generating them again down to `t_edit`."""
    n = seeds * (section["steps"] - 1 + len(edited(section)))
    return work_of_passes(section, seeds, n, n)


def work_of_training(section: dict, images: int) -> Work:
    """The `Work` of training one direction, without CLIP's: the gradient costs as much as a pass of the decoder."""
    n = min(images, section["images"]) * section["epochs"] * len(edited(section))
    return work_of_passes(section, 1, n, 3 * n)


def _shown(show, before, total, done):
    """Show `done` more than `before` of `total`."""
    show(before + done, total)


def edited(section: dict) -> list[tuple[int, int]]:
    """Pairs (t, next t) at which h is edited."""
    from swsa_core.diffusion.text_direction import edited_steps

    return edited_steps(section["steps"], section["t_edit"])


INVERTED_BY = ("model", "flags", "steps", "t_edit", "precision")
SOURCE = Source(
    TextGuided,
    title="text-guided",
    about="Seed images changed towards a text, by a graded strength (Asyrp).",
    look=Look("#A16928", "*"),
    stream=stream,
    network=Network(lambda section: find_model(section, KEY).files, work, speed),
    reconstruct=Reconstruction(
        lambda task, section: reconstruction(task, section | {"dt_lambda": 1.0}, KEY), work_of_reconstruction
    ),
    training=Training(
        clip=lambda section: section["clip"],
        texts=lambda section: section["texts"],
        shared=lambda section: section["share"] == "dataset",
        inverted_by=INVERTED_BY,
        trained_by=(*INVERTED_BY, "clip", "images", "epochs", "learning_rate", "l1_weight"),
        edited=edited,
        inversion=work_of_inversion,
        work=work_of_training,
    ),
    number=number,
    strength="alpha",
    grades=lambda section: section["alphas"],
    parents=1,
    fixed_size=True,
    check=partial(check, key=KEY),
    in_paper=True,
    reference="Kwon et al. 2023",
)
