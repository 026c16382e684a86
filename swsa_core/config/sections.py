"""The sections of a config but its data sets: keys, types, defaults, and what must hold within each."""

import os
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, create_model, field_validator, model_validator

from swsa_core.anomalies import SOURCES
from swsa_core.basics.names import did_you_mean
from swsa_core.basics.section import (
    PlainPath,
    PositiveInt,
    Removable,
    Section,
    Several,
    inconsistent,
    plain,
)
from swsa_core.candidates import prompts
from swsa_core.candidates.backbone import families

WEIGHTS_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")


def usable_templates(value: Any) -> Any:
    """`value`, which is what `templates` may be. Raises the error of a validator where it is not."""
    try:
        prompts.check_templates(value)
    except ValueError as error:
        raise inconsistent(str(error)) from None
    return value


# Checked before the union, whose members would each complain about the same value.
AnyTemplates = str | list[Annotated[list[str], Field(min_length=2, max_length=2)]]
Templates = Annotated[AnyTemplates, BeforeValidator(usable_templates)]


def is_weights_file(weights):
    """Whether clip.weights is the path of a file, not a pretrained tag."""
    return "/" in weights or weights.endswith(WEIGHTS_SUFFIXES)


Sources = create_model(
    "Sources",
    __base__=Section,
    **{
        name: (source.section | None, Field(default=None, description=source.about)) for name, source in SOURCES.items()
    },
)


class Candidate(Section):
    name: str | None = None
    """Name in tables and paths; the model's name when left out."""
    model: str
    """family:model, e.g. torchvision:resnet50, timm:mobilenetv2_100, descriptor:hog."""
    weights: PlainPath | None = None
    """Local file of weights instead of the library's own download."""
    args: dict[str, str | int | float | bool | None] = {}
    """Arguments for the library's model constructor."""
    mean: Annotated[list[float], Field(min_length=3, max_length=3)] | None = None
    """Mean of red, green and blue that is subtracted, of pixels in 0..1; the library's own when left out, as all below."""
    std: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=3, max_length=3)] | None = None
    """Standard deviation of red, green and blue that is divided by."""
    resize: PositiveInt | None = None
    """Pixels of the short side before the crop."""
    crop: PositiveInt | None = None
    """Side in pixels of the central crop that the network sees."""
    interpolation: Literal["bilinear", "bicubic"] | None = None
    """Interpolation used when resizing."""

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value):
        return {"model": value} if isinstance(value, str) else value

    @field_validator("model")
    @classmethod
    def _known_family(cls, value):
        family, _, model = value.partition(":")
        if not model or family not in families():
            raise ValueError(f"expected family:model, {did_you_mean(family, families())}")
        return value

    @model_validator(mode="after")
    def _complete(self):
        if (self.mean is None) != (self.std is None):
            raise inconsistent(f"{self.model} has only one of mean and std: give both, or none for the library's own")
        self.name = self.name or self.model
        return self


class Clip(Section):
    model: str
    """open_clip:<model>, or mini:clip, which is bundled."""
    weights: Annotated[str, Field(min_length=1)] | None = None
    """A pretrained tag of open_clip, or a local file (with a / in its path, or ending in .safetensors, .pt, .pth, .bin)."""
    tag: str | None = None
    """Where `weights` is a file: the pretrained tag that it is a copy of, whose image preparation it wants."""
    templates: Annotated[Templates, Field(validate_default=True)] = prompts.PAPER
    """Prompts to choose from: paper (the set that suits each data set), the name of a bundled set, or a list of pairs
    [normal, anomalous], {} standing for the class name. The first one is the default prompt."""

    @field_validator("model")
    @classmethod
    def _known_model(cls, value):
        family, _, model = value.partition(":")
        if value != "mini:clip" and (family != "open_clip" or not model):
            raise ValueError("expected open_clip:<model> or mini:clip")
        return value

    @field_validator("weights")
    @classmethod
    def _plain_path(cls, value):
        return plain(os.path.expanduser(value)) if value and is_weights_file(value) else value

    @model_validator(mode="after")
    def _with_weights(self):
        if self.tag and (self.model == "mini:clip" or not self.weights or not is_weights_file(self.weights)):
            raise inconsistent(f"tag {self.tag!r} goes with a file of open_clip weights: remove it, or name the file")
        if self.model == "mini:clip" and self.weights and not is_weights_file(self.weights):
            raise inconsistent(
                f"mini:clip has bundled weights and no tag {self.weights!r}: remove `weights`, or name a file"
            )
        if self.weights is None and self.model.count(":") == 1 and self.model != "mini:clip":
            raise inconsistent(f"{self.model} needs `weights`, a pretrained tag of open_clip or the path of a file")
        return self


class KNN(Section):
    k: PositiveInt = 3
    """Number of neighbours whose distances are summed (Eq. 4)."""
    distance: Literal["squared_l2", "l2"] = "squared_l2"
    """The distance that is summed: squared, as in Eq. 4 (`squared_l2`), or Euclidean, as in the text on it (`l2`)."""
    l2_normalize: bool = False
    """Whether each feature vector is scaled to unit length first."""


class Preparation(Section):
    size: Annotated[int, Field(ge=16)] = 256
    """Side of the images that synthetic anomalies are made from and compared with, in pixels."""
    crop: Literal["center"] = "center"
    """Which part of an image is kept: the central square, as large as the short side allows."""


class Runtime(Section):
    """Settings whose edit computes nothing again. They change no number beyond rounding, but for `device` with
    `precision: auto`, which decides between bfloat16 and float32."""

    device: str = "auto"
    """Where networks run: auto (a GPU if there is one), cpu, cuda or cuda:<index>."""
    batch_size: Literal["auto"] | PositiveInt = "auto"
    """Number of images that go through a network at a time."""
    threads: PositiveInt = 4
    """Number of CPU cores of one embedding job, for reading images and for the network together."""
    workers: Literal["auto"] | Annotated[int, Field(ge=0)] = "auto"
    """Number of processes that read images; they are part of `threads`."""
    compile: bool = False
    """Whether the diffusion network is compiled with torch.compile. This takes minutes at first; whether it pays was not
    measured."""
    tflops: Annotated[float, Field(gt=0)] | None = None
    """TFLOP/s that one GPU sustains, for the estimate of `snakemake plan`. If left out, this machine is measured."""

    @field_validator("device")
    @classmethod
    def _known_device(cls, value):
        if value not in ("auto", "cpu", "cuda") and not (value.startswith("cuda:") and value[5:].isdigit()):
            raise ValueError("expected auto, cpu, cuda or cuda:<index>")
        return value


class Evaluation(Section):
    protocols: Annotated[list[Literal["leave_one_out", "paired", "paper"]], *Several] = [
        "leave_one_out",
        "paired",
        "paper",
    ]
    """Which normal images anomalies are compared with, and what the bank holds (docs/protocols.md). The first one makes the
    recommendation."""
    settings: Annotated[list[Literal["one_vs_closest", "one_vs_rest", "one_vs_one"]], *Several] = [
        "one_vs_closest",
        "one_vs_rest",
    ]
    """What the normal test images of a task are compared with: the hardest class or defect type, all anomalies together, or
    each class on average. The first one is shown in the recommendations."""
    hardest: Annotated[list[Literal["all"] | PositiveInt], *Several] = ["all", 10, 5]
    """Sizes of the synthetic validation set: `all` anomalies, or a number of those with the lowest scores."""
    hardest_by: Literal["candidate", "mean_rank"] = "candidate"
    """Whose scores say which anomalies are hard: those of each candidate itself, or the mean rank over all candidates."""
    closest: Literal["candidate", "shared"] = "candidate"
    """The closest class: the worst one of each candidate itself, or the one that is worst on average over all candidates."""
    bootstrap: Annotated[int, Field(ge=100)] = 1000
    """Number of bootstrap resamples behind each probability and interval."""

    @field_validator("hardest")
    @classmethod
    def _with_all(cls, value):
        if "all" not in value:
            raise ValueError("expected a list with 'all', by which candidates are picked")
        return value


class Figures(Section):
    """Tasks that the paper's figures show."""

    space: str | None = None
    """The candidate whose features Figure 4 (t-SNE) and Table 3 (total variation) use. If left out, the first one."""
    tsne: Annotated[dict[str, str], Removable] = {}
    """The task of each data set in Figure 4 and Table 3, as {data set: task}. If a data set is not named, its first task."""
    contact_sheets: Annotated[dict[str, Annotated[list[str], *Several]], Removable] = {}
    """The tasks that Figure 2 shows with their style and content images and what diffusion made of them, as
    {data set: [task, ...]}. If left out, the first task of each data set."""
    rows: PositiveInt = 5
    """The largest number of content images in a contact sheet of Figure 2."""
    columns: PositiveInt = 3
    """The largest number of style images in a contact sheet of Figure 2."""
