"""The config's sections about candidates, `candidates` and `clip`: keys, types, defaults, and what must hold within each."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from swsa_core.basics.names import did_you_mean
from swsa_core.basics.section import (
    LeftOutIfNull,
    PlainPath,
    PositiveInt,
    Section,
    Several,
    Side,
    expanded,
    inconsistent,
    not_blank,
    plain,
)
from swsa_core.candidates import FAMILIES, family_of, prompts
from swsa_core.candidates.family import CandidateSpec, Texts
from swsa_core.files.images import Fit
from swsa_core.files.packaged import WEIGHTS_SUFFIXES


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


def is_weights_file(weights: str) -> bool:
    """Whether clip.weights is the path of a file, not a pretrained tag."""
    return "/" in weights or weights.endswith(WEIGHTS_SUFFIXES)


def readers() -> dict[str, Texts]:
    """{family: how its models read texts}, of the families that have CLIP models."""
    return {name: family.texts for name, family in FAMILIES.items() if family.texts}


class Exposure(Section):
    source: str
    """The source whose anomalies the network learns to tell from the support images, one of `sources`."""
    task: Literal["classification", "regression"] = "classification"
    """What is learnt: whether an image is an anomaly (`classification`), or how strong it is as one (`regression`), which needs
    a source that says so (docs/outlier_exposure.md)."""
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 30
    """Times at most that the network sees its training images. Training ends earlier where held-out anomalies are no longer
    told better."""
    patience: PositiveInt = 5
    """Epochs in which held-out anomalies may be told no better before training ends."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    """Step size of the optimizer, AdamW, for the whole network."""
    batch_size: Annotated[int, Field(ge=2, le=10_000)] = 32
    """Images of one training step. It changes results, other than that of `runtime`."""
    folds: Annotated[int, Field(ge=2, le=1000)] = 2
    """Parts of the support set. For each a network is trained without it, which scores it and the anomalies made from it when
    candidates are compared."""


class Candidate(Section):
    name: str | None = None
    """Name in tables and paths. If left out, the name of the model is used."""
    model: str
    """The model as family:model, for instance torchvision:resnet50, timm:mobilenetv2_100 or descriptor:hog."""
    weights: PlainPath | None = None
    """Local file of weights, used instead of the download of the library; or package:<package>, an installed Python package
    that holds one file of weights, whose tensors are those of the model in the same order, whatever their names."""
    optional: Annotated[bool, Field(exclude_if=lambda value: not value)] = False
    """Whether the study goes without it where its weights are not on this machine. Which these are is told before the first job
    and in the report; `snakemake weights` downloads those of all candidates."""
    licence: Annotated[Annotated[str, AfterValidator(not_blank)] | None, LeftOutIfNull] = None
    """Licence of the file that `weights` names, such as apache-2.0, for the column `licence` and the filter `licences`. It
    cannot be given beside weights of which the library or the package says the licence."""
    args: dict[str, str | int | float | bool | None] = {}
    """Arguments for the constructor of the model in its library. Of a timm model, img_size sets the image size for which it is
    made, to which the position embeddings of its weights are resampled (give `resize` and `crop` too), and dynamic_img_size
    resamples them for whatever size `crop` asks for."""
    mean: Annotated[list[float], Field(min_length=3, max_length=3)] | None = None
    """Mean of red, green and blue, which is subtracted from pixels between 0 and 1. If this key or one of those below is left
    out, the value of the library is used."""
    std: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=3, max_length=3)] | None = None
    """Standard deviation of red, green and blue, by which pixels are divided."""
    resize: Side | None = None
    """Length of the short side in pixels before the crop."""
    crop: Side | None = None
    """Side of the central crop that the network sees, in pixels."""
    interpolation: Literal["bilinear", "bicubic"] | None = None
    """Interpolation used when resizing."""
    head: Annotated[str | None, LeftOutIfNull] = None
    """How features become anomaly scores: knn (the default), cosine, mahalanobis or patch (docs/candidates.md). All heads of a
    model share its embeddings."""
    heads: Annotated[Annotated[list[str], *Several] | None, LeftOutIfNull] = None
    """Several heads, each of which makes a candidate. Its name is that of the model with the head after it, but for knn."""
    layers: Annotated[Annotated[list[Annotated[int, Field(ge=0)]], *Several] | None, LeftOutIfNull] = None
    """Stages of the network (blocks of a transformer), counted from 0, whose maps the head patch compares. If left out, two in
    the middle are taken."""
    fit: Fit | None = None
    """How an image fits the square that the network sees: `crop` (the centre, by `resize` and `crop`), `squash` (both sides are
    resized to `crop`) or `pad` (the longer side is resized to `crop`, the rest has the mean colour); the last two cut nothing
    off. If left out, that of `preparation`; with `crop` there, the library's own."""
    exposure: Annotated[Exposure | None, LeftOutIfNull] = None
    """Outlier exposure: the network is fine-tuned for each task on its support images and the anomalies of a source
    (docs/outlier_exposure.md). The candidate is then called <model>+<source> <task> if it has no name, and the same network
    without `exposure` must be a candidate too. It needs `knn.distance: l2`."""
    known_bad: Annotated[bool, Field(exclude_if=lambda value: not value)] = False
    """Whether it is known to be a bad detector, such as a network with random weights: a source by which it wins misleads, and
    the report says so. Descriptors of colour alone always are."""

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
    def _complete(self):
        if self.heads and self.head:
            raise inconsistent(f"{self.model} has both `head` and `heads`: name them all in `heads`")
        if (self.mean is None) != (self.std is None):
            raise inconsistent(f"{self.model} has only one of mean and std: give both, or none for the library's own")
        if self.resize and self.fit in ("squash", "pad"):
            raise inconsistent(
                f"{self.model} has resize {self.resize}, which `fit: {self.fit}` has no use for: remove it"
            )
        self.name = self.name or self.model
        return self


class Clip(Section):
    model: str
    """The model: open_clip:<model>, or the bundled mini:clip."""
    weights: Annotated[str, Field(min_length=1)] | None = None
    """A pretrained tag of open_clip, or a local file whose path has a / in it or ends in .safetensors, .pt, .pth or .bin."""
    tag: str | None = None
    """If `weights` is a file, the pretrained tag of which it is a copy; images are then prepared as this tag needs it."""
    templates: Annotated[Templates, Field(validate_default=True)] = prompts.PAPER
    """The prompts to choose from: `paper` (the set that suits each data set), the name of a bundled set, or a list of pairs
    [normal, anomalous] in which {} stands for the class name. The first pair is the default prompt."""

    @field_validator("model")
    @classmethod
    def _known_model(cls, value):
        family, _, model = value.partition(":")
        known = readers()
        if family not in known or not known[family].has(model):
            raise ValueError(f"expected {' or '.join(texts.form for texts in known.values())}")
        return value

    @field_validator("weights")
    @classmethod
    def _plain_path(cls, value):
        if not value or not is_weights_file(value):
            return value
        expanded(Path(value))  # raises for a home directory that is not there
        return plain(os.path.expanduser(value))  # a ./ at the beginning stays

    @model_validator(mode="after")
    def _with_weights(self):
        tagged = family_of({"name": self.model, "model": self.model}).texts.tagged
        libraries = " or ".join(family for family, texts in readers().items() if texts.tagged)
        if self.tag and (not tagged or not self.weights or not is_weights_file(self.weights)):
            raise inconsistent(f"tag {self.tag!r} goes with a file of {libraries} weights: remove it, or name the file")
        if not tagged and self.weights and not is_weights_file(self.weights):
            raise inconsistent(
                f"{self.model} has bundled weights and no tag {self.weights!r}: remove `weights`, or name a file"
            )
        # With a second colon it is on the Hugging Face hub or in a folder, with its weights.
        if tagged and self.weights is None and self.model.count(":") == 1:
            raise inconsistent(f"{self.model} needs `weights`, a pretrained tag of {libraries} or the path of a file")
        return self


def clip_backbone(clip: dict[str, Any], section: str = "clip") -> CandidateSpec:
    """A CLIP model in the form of a candidate, for the embed rules; `section`, its config key, is one of its keys."""
    weights = clip["weights"]
    of_file = weights is not None and is_weights_file(weights)
    tag = clip["tag"] if of_file else weights
    own: dict[str, Any] = {"weights": weights if of_file else None, "args": {"pretrained": tag} if tag else {}}
    return cast(CandidateSpec, Candidate(model=clip["model"], **own).model_dump(mode="json") | {"section": section})
