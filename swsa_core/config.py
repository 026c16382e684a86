"""The config: its keys, types and defaults, and what must hold between them.

`validate` turns the merged YAML into a plain dict with every default filled in. `python -m swsa_core.config` writes the
JSON schema that editors use to complete and check config files.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from swsa_core.config_errors import sentences
from swsa_core.errors import InputError
from swsa_core.names import did_you_mean

SCHEMA = Path(__file__).parents[1] / "config" / "config.schema.json"
RESERVED_NAMES = ("tables", "figures", "pools", "benchmarks", "logs")
POOLS = ("tiny_imagenet", "procedural")
FAMILIES = ("torchvision", "timm", "open_clip", "mini", "descriptor")

PositiveInt = Annotated[int, Field(ge=1)]


def _all_different(values):
    if duplicates := sorted({str(value) for value in values if values.count(value) > 1}):
        raise ValueError(f"expected different entries, {duplicates} stand there more than once")
    return values


# For lists of names: at least one, none twice.
Several = [Field(min_length=1), AfterValidator(_all_different)]
Range = Annotated[list[float], Field(min_length=2, max_length=2)]


def _plain(path):
    if set(str(path)) & set("{}<>"):
        raise ValueError("expected a path without braces and angle brackets, which mean something to Snakemake")
    return path


AnyPath = Annotated[Path, AfterValidator(Path.expanduser)]
PlainPath = Annotated[AnyPath, AfterValidator(_plain)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class Support(Section):
    seeds: Annotated[int, Field(ge=2, multiple_of=2)] = 20
    """Images of the support set that synthetic anomalies are made from; (seeds / 2)² anomalies per source."""


class Dataset(Section):
    root: AnyPath
    """Directory of the data set in its official layout, relative to the working directory."""
    tasks: Literal["all"] | Annotated[list[str], Field(min_length=1)] = "all"
    """Names of the classes or products that are tasks."""
    support: Support | None = None
    """Overrides the top-level `support` for this data set."""
    on_bad_image: Literal["error", "skip"] = "error"
    """What to do about an image that cannot be read: stop, or go on without it and list it in the report."""
    allow_missing: bool = False
    """Go on with what is on disk when official files name images that are not."""


class Cub(Dataset):
    kind: Literal["cub"]


class Flowers(Dataset):
    kind: Literal["flowers"]
    real_split: Literal["test", "val"] = "test"
    """Official split that real evaluation uses."""


class MVTecAD(Dataset):
    kind: Literal["mvtec_ad"]


class VisA(Dataset):
    kind: Literal["visa"]
    groups: Literal["exact", "atomic"] = "exact"
    """Defect types: the exact label strings, or each of their comma-separated parts."""
    min_group_size: PositiveInt = 1
    """Defect types with fewer test images are left out of one-vs-closest and one-vs-one."""


class Classes(Dataset):
    kind: Literal["classes"]


class Folder(Dataset):
    kind: Literal["folder"]
    normal: str | None = None
    """Sub-directory that holds the normal images; the other sub-directories are defect types."""
    train: PositiveInt | None = None
    """Normal images drawn for the support set where there is no train/test split."""


class Digits(Dataset):
    kind: Literal["digits"]
    root: None = None


AnyDataset = Annotated[
    Cub | Flowers | MVTecAD | VisA | Classes | Folder | Digits,
    Field(discriminator="kind"),
]


class CutPaste(Section):
    area: Range = [0.02, 0.15]
    """Area of the pasted patch as a share of the image, drawn uniformly."""
    aspect: Range = [0.3, 3.3]
    """Width over height of the patch, drawn log-uniformly."""

    @field_validator("area", "aspect")
    @classmethod
    def _increasing(cls, value, info):
        upper = 1 if info.field_name == "area" else float("inf")
        if not 0 < value[0] <= value[1] <= upper:
            raise ValueError(f"expected 0 < low <= high{' <= 1' if upper == 1 else ''}")
        return value


class TinyImageNet(Section):
    root: AnyPath
    """Directory tiny-imagenet-200."""
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
    """Flags of an own checkpoint under guided-diffusion's names; those of the ImageNet 256 model when left out."""
    gamma: Annotated[float, Field(ge=0, le=1)] = 0.7
    """Weight of the content image's h against that of the image being generated."""
    steps: Annotated[int, Field(ge=2, le=1000)] = 50
    """Diffusion steps of inversion and generation."""
    interpolation: Literal["linear", "slerp"] = "linear"
    t_edit: Annotated[int, Field(ge=0, le=999)] = 0
    """Lowest timestep at which the content's h enters."""
    dt_lambda: Annotated[float, Field(gt=0)] = 1.0
    """Factor of the D_t term where t >= 950."""
    content_h: Literal["inversion", "reconstruction"] = "inversion"
    """Whether the content's h comes from its inversion or from its reconstruction."""


class Sources(Section):
    diffusion: Diffusion | None = None
    cutpaste: CutPaste | None = None
    tiny_imagenet: TinyImageNet | None = None
    procedural: Procedural | None = None


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
    std: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=3, max_length=3)] | None = None
    resize: PositiveInt | None = None
    crop: PositiveInt | None = None
    interpolation: Literal["bilinear", "bicubic"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value):
        return {"model": value} if isinstance(value, str) else value

    @field_validator("model")
    @classmethod
    def _known_family(cls, value):
        family, _, model = value.partition(":")
        if not model or family not in FAMILIES:
            raise ValueError(f"expected family:model, {did_you_mean(family, FAMILIES)}")
        return value

    @model_validator(mode="after")
    def _named(self):
        self.name = self.name or self.model
        return self


class KNN(Section):
    k: PositiveInt = 3
    """Neighbours whose distances are summed, Eq. 4."""
    distance: Literal["squared_l2"] = "squared_l2"
    l2_normalize: bool = False
    """Scale each feature vector to unit length first."""


class Preparation(Section):
    size: Annotated[int, Field(ge=16)] = 256
    """Side in pixels of the images that synthetic anomalies are made from and compared with."""
    crop: Literal["center"] = "center"


class Runtime(Section):
    """Settings that change no number beyond rounding, so that editing them computes nothing again."""

    device: str = "auto"
    """auto, cpu, cuda or cuda:<index>."""
    batch_size: Literal["auto"] | PositiveInt = "auto"
    threads: PositiveInt = 4
    """CPU cores of one embedding job: decoding workers and the network together."""
    workers: Literal["auto"] | Annotated[int, Field(ge=0)] = "auto"
    """Processes that decode images, out of `threads`."""
    compile: bool = False
    """Compile the diffusion network with torch.compile: minutes at first, then faster on a GPU."""

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


class Config(Section):
    seed: Annotated[int, Field(ge=0)] = 0
    results: PlainPath = Path("results")
    """Directory of everything that is computed; several studies live side by side."""
    datasets: Annotated[dict[str, AnyDataset], Field(min_length=1)]
    support: Support = Support()
    sources: Sources
    """Sources of synthetic anomalies; leave one out to skip it."""
    candidates: Annotated[list[Candidate], Field(min_length=1)]
    """Detectors to choose from; on a tie the one listed first is picked, so list the largest first."""
    knn: KNN = KNN()
    preparation: Preparation | Literal["original"] = Preparation()
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the networks: auto is bfloat16 on a GPU and float32 on a CPU."""
    runtime: Runtime = Runtime()
    evaluation: Evaluation = Evaluation()
    strategies: Annotated[list[str], *Several] | None = None
    """How a candidate is picked: largest_model, random, swsa_<source>; all that the sources allow when left out. The first
    swsa_<source> makes the recommendation."""

    @field_validator("datasets", "sources", mode="before")
    @classmethod
    def _without_removed_entries(cls, value):
        return {name: entry for name, entry in value.items() if entry is not None} if isinstance(value, dict) else value

    @field_validator("datasets")
    @classmethod
    def _usable_names(cls, value):
        for name in value:
            if name in RESERVED_NAMES or not re.fullmatch(r"[a-z0-9_-]+", name):
                raise ValueError(
                    f"{name!r} cannot name a data set: use lower-case letters, digits, _ and -, "
                    f"and none of {', '.join(RESERVED_NAMES)}"
                )
        return value

    @field_validator("candidates")
    @classmethod
    def _distinct_names(cls, value):
        names = [candidate.name for candidate in value]
        if duplicates := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"duplicate candidate names {duplicates}: give each its own `name`")
        return value

    @model_validator(mode="after")
    def _consistent(self):
        sources = [name for name, value in self.sources if value is not None]
        if not sources:
            raise _inconsistent("sources: none is given; name at least one of " + ", ".join(Sources.model_fields))
        known = ["largest_model", "random", *(f"swsa_{source}" for source in sources)]
        for strategy in (name for name in self.strategies or () if name not in known):
            source = strategy.removeprefix("swsa_")
            if strategy.startswith("swsa_") and source in Sources.model_fields:
                raise _inconsistent(f"strategies: {strategy!r} needs the source {source!r}: add it to `sources`")
            raise _inconsistent(f"strategies: {strategy!r} is unknown, {did_you_mean(strategy, known)}")
        if self.sources.diffusion is not None and self.preparation == "original":
            raise _inconsistent(
                "preparation: 'original' cannot go with the source 'diffusion', whose model makes images of one size: "
                "give preparation.size"
            )
        if self.strategies and not any(strategy.startswith("swsa_") for strategy in self.strategies):
            raise _inconsistent(
                f"strategies: received {self.strategies}, one of {', '.join(known[2:])} must be among them"
            )
        for name, dataset in self.datasets.items():
            seeds = (dataset.support or self.support).seeds
            anomalies = (seeds // 2) ** 2
            for pool in POOLS:
                entry = getattr(self.sources, pool)
                if entry is not None and entry.pool < anomalies:
                    raise _inconsistent(
                        f"sources.{pool}.pool: received {entry.pool}, fewer than the {anomalies} anomalies that a task of "
                        f"data set {name!r} samples ((seeds / 2)² with {seeds} seeds)"
                    )
        return self


KINDS = {model.model_fields["kind"].annotation.__args__[0]: model for model in AnyDataset.__args__[0].__args__}
# {step of a pydantic location: the section whose keys are allowed there}
SECTIONS = KINDS | {
    "config": Config,
    "support": Support,
    "sources": Sources,
    "knn": KNN,
    "preparation": Preparation,
    "Preparation": Preparation,
    "runtime": Runtime,
    "evaluation": Evaluation,
    "candidates": Candidate,
    "diffusion": Diffusion,
    "cutpaste": CutPaste,
    "tiny_imagenet": TinyImageNet,
    "procedural": Procedural,
}


def _inconsistent(sentence):
    """Error between keys, whose sentence begins with the key."""
    return PydanticCustomError("consistency", "{sentence}", {"sentence": sentence})


def validate(config):
    """The merged config as a plain dict, with every default filled in and each data set's `support`.

    Raises InputError with one line per mistake: key, value received, what is allowed, near match.
    """
    if missing := [key for key in ("datasets", "sources", "candidates") if key not in config]:
        raise InputError(
            f"The config lacks {', '.join(missing)}; config/my_images.yaml shows a complete one. A file that changes a few "
            "keys comes after a complete one: --configfile <complete>.yaml <changes>.yaml"
        )
    try:
        model = Config.model_validate(config)
    except ValidationError as error:
        raise InputError(sentences(config, error.errors(), KINDS, SECTIONS)) from None
    plain = model.model_dump(mode="json")
    # in the order of the file: the first source makes the recommendation
    plain["sources"] = {
        name: plain["sources"][name] for name in config["sources"] if plain["sources"][name] is not None
    }
    plain["strategies"] = plain["strategies"] or ["largest_model", "random", *map("swsa_{}".format, plain["sources"])]
    for dataset in plain["datasets"].values():
        dataset["support"] = dataset["support"] or plain["support"]
    return plain


def schema():
    """JSON schema of the config, as text."""
    return json.dumps(Config.model_json_schema(), indent=1) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema(), encoding="utf-8")
