"""The sections of a config but its data sets and candidates: keys, types, defaults, and what must hold within each."""

import os
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from swsa_core.basics.errors import InputError
from swsa_core.basics.section import (
    AnyPath,
    PlainPath,
    PositiveInt,
    Range,
    Removable,
    Section,
    Several,
    inconsistent,
    plain,
)
from swsa_core.files.diffusion_flags import adm_arguments


class CutPaste(Section):
    form: Literal["patch", "scar"] = "patch"
    """What is pasted elsewhere: a rectangle, or a thin one that is rotated (CutPaste-Scar)."""
    area: Range = [0.02, 0.15]
    """Area of the pasted patch as a share of the image, drawn uniformly; of form patch, without effect for scars."""
    aspect: Range = [0.3, 3.3]
    """Width over height of the patch, drawn log-uniformly; of form patch, without effect for scars."""
    scar_width: Range = [2, 16]
    """Width of a scar in pixels of an image of 256, drawn uniformly and scaled to other sizes."""
    scar_length: Range = [10, 25]
    """Length of a scar in pixels of an image of 256."""
    scar_rotation: Range = [-45, 45]
    """Degrees by which a scar is rotated."""
    jitter: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Strength of the colour jitter of what is pasted; 0.1 in Li et al."""

    @field_validator("area", "aspect", "scar_width", "scar_length")
    @classmethod
    def _increasing(cls, value, info):
        upper = {"area": 1, "aspect": float("inf")}.get(info.field_name, 128)
        if not 0 < value[0] <= value[1] <= upper:
            raise ValueError(f"expected 0 < low <= high{f' <= {upper}' if upper < float('inf') else ''}")
        return value

    @field_validator("scar_rotation")
    @classmethod
    def _degrees(cls, value):
        if not -180 <= value[0] <= value[1] <= 180:
            raise ValueError("expected -180 <= low <= high <= 180")
        return value

    @model_validator(mode="after")
    def _of_the_form(self):
        for name, key in type(self).model_fields.items():
            if self.form == "patch" and name.startswith("scar_") and getattr(self, name) != key.default:
                raise inconsistent(f"{name} is about scars: add `form: scar`, or remove it")
        return self


class TinyImageNet(Section):
    root: AnyPath
    """Directory tiny-imagenet-200."""
    archive: PlainPath | None = None
    """The official archive where `snakemake datasets` shall take a copy of your own, instead of a download."""
    pool: PositiveInt = 2000
    """Images of the train split drawn once for all tasks."""
    allow_missing: bool = False
    """Go on with a smaller pool when fewer images are on disk."""


class Procedural(Section):
    pool: PositiveInt = 500
    """Procedurally drawn letters that stand in for an image pool where there is no Tiny-ImageNet."""


class Diffusion(Section):
    model: str = "adm_imagenet_256"
    """A published model (adm_imagenet_256, fetched by `snakemake weights`), mini:adm_32, or a path: a guided-diffusion
    checkpoint, or the directory of a diffusers UNet2DModel."""
    flags: dict[str, str | int | float | bool] | None = None
    """Flags of an own guided-diffusion checkpoint under its names, others at its defaults; without this key, the ImageNet
    256 model's."""
    gamma: Annotated[float, Field(ge=0, le=1)] = 0.7
    """Weight of the content image's h against that of the image being generated."""
    steps: Annotated[int, Field(ge=2, le=1000)] = 50
    """Diffusion steps of inversion and generation."""
    interpolation: Literal["linear", "slerp"] = "linear"
    """Path from one h to the other: Eq. 2's straight line, or along the sphere at equal norms."""
    t_edit: Annotated[int, Field(ge=0, le=999)] = 0
    """Lowest timestep at which the content's h enters."""
    dt_lambda: Annotated[float, Field(gt=0)] = 1.0
    """Factor of the D_t term where t >= 950."""
    content_h: Literal["inversion", "reconstruction"] = "inversion"
    """Whether the content's h comes from its inversion or from its reconstruction."""

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


class Sources(Section):
    diffusion: Diffusion | None = None
    """Pairs of seed images mixed by a diffusion model (DiffStyle)."""
    cutpaste: CutPaste | None = None
    """A part of a seed image pasted elsewhere (Li et al. 2021)."""
    tiny_imagenet: TinyImageNet | None = None
    """Unrelated photographs."""
    procedural: Procedural | None = None
    """Procedurally drawn letters, as unrelated images without a download."""


class KNN(Section):
    k: PositiveInt = 3
    """Neighbours whose distances are summed, Eq. 4."""
    distance: Literal["squared_l2", "l2"] = "squared_l2"
    """Distance that is summed: the squared one of Eq. 4, or the Euclidean one of its text."""
    l2_normalize: bool = False
    """Scale each feature vector to unit length first."""


class Preparation(Section):
    size: Annotated[int, Field(ge=16)] = 256
    """Side in pixels of the images that synthetic anomalies are made from and compared with."""
    crop: Literal["center"] = "center"
    """The central square, as large as the short side allows."""


class Runtime(Section):
    """Settings whose edit computes nothing again. They change no number beyond rounding, but for `device` with
    `precision: auto`, which decides between bfloat16 and float32."""

    device: str = "auto"
    """auto, cpu, cuda or cuda:<index>."""
    batch_size: Literal["auto"] | PositiveInt = "auto"
    """Images that go through a network at a time."""
    threads: PositiveInt = 4
    """CPU cores of one embedding job: decoding workers and the network together."""
    workers: Literal["auto"] | Annotated[int, Field(ge=0)] = "auto"
    """Processes that decode images, out of `threads`."""
    compile: bool = False
    """Compile the diffusion network with torch.compile: minutes at first; whether that pays was not measured."""
    tflops: Annotated[float, Field(gt=0)] | None = None
    """TFLOP/s that one GPU sustains, for the estimate of `snakemake plan`; measured on this machine when left out."""

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
    """How normals and bank are chosen; the first makes the recommendation."""
    settings: Annotated[list[Literal["one_vs_closest", "one_vs_rest", "one_vs_one"]], *Several] = [
        "one_vs_closest",
        "one_vs_rest",
    ]
    """What a task's normal test images stand against: the out-class (defect type) that is hardest, all, or each on average."""
    hardest: Annotated[list[Literal["all"] | PositiveInt], *Several] = ["all", 10, 5]
    """Sizes of the synthetic validation set: all anomalies, or the n with the lowest scores."""
    hardest_by: Literal["candidate", "mean_rank"] = "candidate"
    """Whose scores say which anomalies are hard: each candidate's own, or the mean rank over all."""
    closest: Literal["candidate", "shared"] = "candidate"
    """The closest out-class: each candidate's own worst, or the worst on average over candidates."""
    bootstrap: Annotated[int, Field(ge=100)] = 1000
    """Resamples of the support set behind each probability and interval."""

    @field_validator("hardest")
    @classmethod
    def _with_all(cls, value):
        if "all" not in value:
            raise ValueError("expected a list with 'all', by which candidates are picked")
        return value


class Figures(Section):
    """Tasks that the paper's figures show."""

    space: str | None = None
    """Candidate whose features t-SNE (Figure 4) and total variation (Table 3) are about; the first one when left out."""
    tsne: Annotated[dict[str, str], Removable] = {}
    """Task of each data set for Figure 4 and Table 3, {data set: task}; of a data set that is not named, the first one."""
    contact_sheets: Annotated[dict[str, Annotated[list[str], *Several]], Removable] = {}
    """Tasks whose style and content images Figure 2 shows with what diffusion made of them, {data set: [task, ...]}; the first
    one of each data set when left out."""
    rows: PositiveInt = 5
    """Content images of a contact sheet of Figure 2, at most."""
    columns: PositiveInt = 3
    """Style images of a contact sheet of Figure 2, at most."""
