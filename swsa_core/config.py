"""The config: its keys, types and defaults, and what must hold between them.

`validate` turns the merged YAML into a plain dict with every default filled in. `python -m swsa_core.config` writes the
JSON schema that editors use to complete and check config files.
"""

import json
import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from swsa_core.config_errors import sentences
from swsa_core.detectors import prompts
from swsa_core.errors import InputError
from swsa_core.names import did_you_mean

SCHEMA = Path(__file__).parents[1] / "config" / "config.schema.json"
RESERVED_NAMES = ("tables", "figures", "paper_figures", "pools", "benchmarks", "logs")
POOLS = ("tiny_imagenet", "procedural")
COMBINED_DETECTORS = (prompts.ENSEMBLE, "rank_ensemble")
FAMILIES = ("torchvision", "timm", "open_clip", "mini", "descriptor")
WEIGHTS_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")

PositiveInt = Annotated[int, Field(ge=1)]


def _all_different(values):
    if duplicates := sorted({str(value) for value in values if values.count(value) > 1}):
        raise ValueError(f"expected different entries, {duplicates} stand there more than once")
    return values


def _without_removed(value):
    """A dict without the entries that a later config file set to null."""
    return {name: entry for name, entry in value.items() if entry is not None} if isinstance(value, dict) else value


# For lists of names: at least one, none twice.
Several = [Field(min_length=1), AfterValidator(_all_different)]
Removable = BeforeValidator(_without_removed)
Range = Annotated[list[float], Field(min_length=2, max_length=2)]


def _plain(path):
    if set(str(path)) & set("{}<>"):
        raise ValueError("expected a path without braces and angle brackets, which mean something to Snakemake")
    return path


AnyPath = Annotated[Path, AfterValidator(Path.expanduser)]
PlainPath = Annotated[AnyPath, AfterValidator(_plain)]


def _usable_templates(value):
    try:
        prompts.check_templates(value)
    except ValueError as error:
        raise _inconsistent(str(error)) from None
    return value


# Checked before the union, whose members would each complain about the same value.
AnyTemplates = str | list[Annotated[list[str], Field(min_length=2, max_length=2)]]
Templates = Annotated[AnyTemplates, BeforeValidator(_usable_templates)]
OwnTemplates = Annotated[
    AnyTemplates | None, BeforeValidator(lambda value: None if value is None else _usable_templates(value))
]


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
    templates: OwnTemplates = None
    """Overrides clip.templates for this data set."""


class Official(Dataset):
    archive: PlainPath | None = None
    """The official archive where `snakemake datasets` shall take a copy of your own, instead of a download."""


class Licensed(Official):
    accept_license: bool = False
    """Accept the licence that `snakemake datasets` names."""


class Cub(Official):
    kind: Literal["cub"]


class Flowers(Official):
    kind: Literal["flowers"]
    real_split: Literal["test", "val"] = "test"
    """Official split that real evaluation uses."""


class MVTecAD(Licensed):
    kind: Literal["mvtec_ad"]


class VisA(Licensed):
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
    class_name: str | None = None
    """What the images show, for prompts; the directory's name when left out."""


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


class Clip(Section):
    model: str
    """open_clip:<model>, or mini:clip, which is bundled."""
    weights: Annotated[str, Field(min_length=1)] | None = None
    """A pretrained tag of open_clip, or a local file (with a / in its path, or ending in .safetensors, .pt, .pth, .bin)."""
    tag: str | None = None
    """Where `weights` is a file: the pretrained tag that it is a copy of, whose image preparation it wants."""
    templates: Templates = prompts.PAPER
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
        return _plain(os.path.expanduser(value)) if value and is_weights_file(value) else value

    @model_validator(mode="after")
    def _with_weights(self):
        if self.tag and (self.model == "mini:clip" or not self.weights or not is_weights_file(self.weights)):
            raise _inconsistent(f"tag {self.tag!r} goes with a file of open_clip weights: remove it, or name the file")
        if self.model == "mini:clip" and self.weights and not is_weights_file(self.weights):
            raise _inconsistent(
                f"mini:clip has bundled weights and no tag {self.weights!r}: remove `weights`, or name a file"
            )
        if self.weights is None and self.model.count(":") == 1 and self.model != "mini:clip":
            raise _inconsistent(f"{self.model} needs `weights`, a pretrained tag of open_clip or the path of a file")
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


class Config(Section):
    seed: Annotated[int, Field(ge=0)] = 0
    results: PlainPath = Path("results")
    """Directory of everything that is computed; several studies live side by side."""
    datasets: Annotated[dict[str, AnyDataset], Field(min_length=1), Removable]
    support: Support = Support()
    sources: Annotated[Sources, Removable]
    """Sources of synthetic anomalies; leave one out to skip it."""
    candidates: Annotated[list[Candidate], Field(min_length=1)]
    """Detectors to choose from; on a tie the one listed first is picked, so list the largest first."""
    knn: KNN = KNN()
    clip: Clip | None = None
    """CLIP model whose prompts are chosen among; left out, no prompt is selected."""
    preparation: Preparation | Literal["original"] = Preparation()
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the networks: auto is bfloat16 on a GPU and float32 on a CPU."""
    runtime: Runtime = Runtime()
    evaluation: Evaluation = Evaluation()
    figures: Figures = Figures()
    strategies: Annotated[list[str], *Several] | None = None
    """How a candidate is picked: largest_model, random, swsa_<source>, with `clip` also default_prompt and prompt_ensemble;
    all that sources and `clip` allow when left out. The first swsa_<source> makes the recommendation. Beyond the paper,
    see docs/strategies.md: swsa_combined, fixed_best_<source>, rank_ensemble, model_centrality, hits, xie_beni."""

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
        known = all_strategies(sources, self.clip) + further_strategies(sources)
        for strategy in (name for name in self.strategies or () if name not in known):
            if strategy in PROMPT_STRATEGIES:
                raise _inconsistent(f"strategies: {strategy!r} is about prompts: add the section `clip`, or remove it")
            source = strategy.removeprefix("swsa_").removeprefix("fixed_best_")
            if source != strategy and source in Sources.model_fields:
                raise _inconsistent(f"strategies: {strategy!r} needs the source {source!r}: add it to `sources`")
            raise _inconsistent(f"strategies: {strategy!r} is unknown, {did_you_mean(strategy, known)}")
        if self.sources.diffusion is not None and self.preparation == "original":
            raise _inconsistent(
                "preparation: 'original' cannot go with the source 'diffusion', whose model makes images of one size: "
                "give preparation.size"
            )
        if self.strategies and not any(f"swsa_{source}" in self.strategies for source in sources):
            raise _inconsistent(
                f"strategies: received {self.strategies}, one of {', '.join(f'swsa_{source}' for source in sources)} must be "
                "among them"
            )
        self._check_names()
        self._check_figures()
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

    def _check_figures(self):
        candidates = [candidate.name for candidate in self.candidates]
        if self.figures.space is not None and self.figures.space not in candidates:
            raise _inconsistent(
                f"figures.space: {self.figures.space!r} is not a candidate, {did_you_mean(self.figures.space, candidates)}"
            )
        for key in ("tsne", "contact_sheets"):
            for name in getattr(self.figures, key):
                if name not in self.datasets:
                    raise _inconsistent(
                        f"figures.{key}: {name!r} is not a data set of this config, {did_you_mean(name, self.datasets)}"
                    )
        if self.figures.contact_sheets and self.sources.diffusion is None:
            raise _inconsistent(
                "figures.contact_sheets: shows what the source 'diffusion' made: add it to `sources`, or remove the key"
            )

    def _check_names(self):
        """A name in tables is a kNN candidate, the CLIP model or a prompt, never two of them."""
        for name, dataset in self.datasets.items():
            if dataset.templates is not None and self.clip is None:
                raise _inconsistent(
                    f"datasets.{name}.templates: there is no section `clip` whose prompts they are: add it, or remove the key"
                )
        candidates = {candidate.name for candidate in self.candidates}
        if taken := sorted(candidates & set(COMBINED_DETECTORS)):
            raise _inconsistent(
                f"candidates: {taken[0]!r} names a combination of candidates in tables: give another `name`"
            )
        if self.clip is None:
            return
        if self.clip.model in candidates:
            raise _inconsistent(
                f"candidates: {self.clip.model!r} is the CLIP model of `clip` too: give the candidate its own `name`"
            )
        for name, dataset in self.datasets.items():
            templates = prompts.resolve(dataset.templates or self.clip.templates, dataset.kind)
            names = [*prompts.prompt_names(templates), *COMBINED_DETECTORS]
            if taken := sorted({one for one in names if names.count(one) > 1 or one in candidates}):
                raise _inconsistent(
                    f"datasets.{name}: {taken[0]!r} would name two prompts, or a prompt and a candidate: change one of them"
                )


KINDS = {model.model_fields["kind"].annotation.__args__[0]: model for model in AnyDataset.__args__[0].__args__}
# {step of a pydantic location: the section whose keys are allowed there}
SECTIONS = KINDS | {
    "config": Config,
    "support": Support,
    "sources": Sources,
    "knn": KNN,
    "clip": Clip,
    "preparation": Preparation,
    "Preparation": Preparation,
    "runtime": Runtime,
    "evaluation": Evaluation,
    "figures": Figures,
    "candidates": Candidate,
    "diffusion": Diffusion,
    "cutpaste": CutPaste,
    "tiny_imagenet": TinyImageNet,
    "procedural": Procedural,
}


PROMPT_STRATEGIES = ("default_prompt", "prompt_ensemble")


def all_strategies(sources, clip):
    """Names of the strategies that the config's sources and its section `clip` (or None) allow."""
    of_prompts = PROMPT_STRATEGIES if clip else ()
    return ["largest_model", *of_prompts, "random", *(f"swsa_{source}" for source in sources)]


def further_strategies(sources):
    """Names of the strategies beyond the paper's, which a config has to ask for."""
    fixed = [f"fixed_best_{source}" for source in sources]
    return ["swsa_combined", *fixed, "rank_ensemble", "model_centrality", "hits", "xie_beni"]


def is_weights_file(weights):
    """Whether clip.weights is the path of a file, not a pretrained tag."""
    return "/" in weights or weights.endswith(WEIGHTS_SUFFIXES)


def clip_backbone(clip):
    """The CLIP model of the section `clip` in the form of a candidate, for the embed rules; `section` is its config key."""
    weights = clip["weights"]
    of_file = weights is not None and is_weights_file(weights)
    tag = clip["tag"] if of_file else weights
    own = {"weights": weights if of_file else None, "args": {"pretrained": tag} if tag else {}}
    return Candidate(model=clip["model"], **own).model_dump(mode="json") | {"section": "clip"}


def _inconsistent(sentence):
    """Error between keys, whose sentence begins with the key."""
    return PydanticCustomError("consistency", "{sentence}", {"sentence": sentence})


def validate(config):
    """The merged config as a plain dict, with every default filled in and each data set's `support` and `templates`.

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
    clip = plain["clip"]
    plain["figures"]["space"] = plain["figures"]["space"] or plain["candidates"][0]["name"]
    plain["strategies"] = plain["strategies"] or all_strategies(plain["sources"], clip)
    for dataset in plain["datasets"].values():
        dataset["support"] = dataset["support"] or plain["support"]
        if clip:
            dataset["templates"] = prompts.resolve(dataset["templates"] or clip["templates"], dataset["kind"])
    return plain


def schema():
    """JSON schema of the config, as text."""
    return json.dumps(Config.model_json_schema(), indent=1) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema(), encoding="utf-8")
