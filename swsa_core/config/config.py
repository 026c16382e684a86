"""The whole config, and the plain dict that is made of a user's YAML.

`validate` turns the merged YAML into a plain dict with every default filled in. `python -m swsa_core.config` writes the JSON
schema, which editors use to complete and check config files, and config/README.md, which describes every key.
"""

import json
import re
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from swsa_core import strategies
from swsa_core.anomalies import SOURCES
from swsa_core.basics.errors import InputError
from swsa_core.basics.section import LeftOutIfNull, PlainPath, Removable, Section, Several
from swsa_core.candidates import prompts
from swsa_core.candidates.section import Candidate, Clip, Exposure, usable_templates
from swsa_core.config.candidates import with_heads
from swsa_core.config.consistent import check_consistent
from swsa_core.config.errors import sentences, strange_entries
from swsa_core.config.reference import markdown
from swsa_core.config.sections import (
    KNN,
    Evaluation,
    Figures,
    Patch,
    Preparation,
    Runtime,
    Scoring,
    Selection,
    Sources,
)
from swsa_core.datasets import KINDS, kind_of, support_sizes
from swsa_core.datasets.section import MOST_SEEDS, Dataset, Support
from swsa_core.datasets.support import fitting_seeds
from swsa_core.detectors import DEFAULT, HEADS
from swsa_core.files import layout
from swsa_core.files.listing import is_directory

SCHEMA = Path(__file__).parents[2] / "config" / "config.schema.json"
REFERENCE = SCHEMA.with_name("README.md")
KIND_SECTIONS = {name: kind.section for name, kind in KINDS.items()}
if TYPE_CHECKING:
    AnyDataset = Dataset  # what all kinds have
else:
    AnyDataset = Annotated[reduce(or_, KIND_SECTIONS.values()), Field(discriminator="kind")]


def _about_strategies() -> str:
    """The description of the key `strategies`."""
    known = {name: one for name, one in strategies.patterns().items() if not one.is_bound}
    paper = [name for name, one in known.items() if one.default]
    of_prompts = [name for name in paper if strategies.about_prompts(name)]
    recommending = " or ".join(name for name, one in known.items() if one.recommends)
    return (
        f"The ways in which a candidate is picked: {', '.join(name for name in paper if name not in of_prompts)}, and with "
        f"`clip` also {' and '.join(of_prompts)}. If left out, all that the sources and `clip` allow. The first {recommending} "
        "makes the recommendation. Strategies beyond the paper (docs/strategies.md): "
        f"{', '.join(name for name in known if name not in paper)}."
    )


class Config(Section):
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of every random draw; each draw also depends on the names it is made for."""
    results: PlainPath = Path("results")
    """Directory for everything that is computed. Several studies can live side by side in directories of their own."""
    datasets: Annotated[dict[str, AnyDataset], Field(min_length=1), Removable]
    """The data sets, each under a name of your own and with its `kind`."""
    images: PlainPath | None = None
    """Folder of images, in place of the `root` of the only data set; for the command line, as --config images=<folder>."""
    support: Support = Support()
    """How many normal images of each task serve as seeds."""
    sources: Sources
    """The ways to make synthetic anomalies. A source that is left out is not used; the first one makes the recommendation."""
    candidates: Annotated[list[Candidate], Field(min_length=1)]
    """The detectors to choose from. On a tie the one listed first is picked, so list the largest first."""
    scores: Annotated[dict[str, PlainPath | Scoring] | None, LeftOutIfNull] = None
    """Candidates that are scored elsewhere, each with the CSV of its scores, or that a function of your own scores
    (docs/bring_your_own.md). They stand after the others; no detector can be made of them."""
    licences: Annotated[Annotated[list[str], *Several] | None, LeftOutIfNull] = None
    """Licences of weights that candidates may have, as [apache-2.0, mit]; the others are left out of the study, which says so.
    docs/candidates.md names the ids; `not stated` is one too. Candidates without weights stay, and so does the model of `clip`.
    If left out, any licence will do."""
    knn: KNN = KNN()
    """How the anomaly score of every candidate is computed."""
    patch: Annotated[Patch | None, LeftOutIfNull] = None
    """How the head patch compares images."""
    selection: Annotated[Selection | None, LeftOutIfNull] = None
    """How candidates are picked."""
    clip: Clip | None = None
    """The CLIP model among whose prompts SWSA chooses. If left out, no prompt is selected."""
    preparation: Preparation | Literal["original"] = Preparation()
    """How images are prepared before synthetic anomalies are made from them and compared with them; `original` leaves them
    as they are."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the networks; auto is bfloat16 on a GPU and float32 on a CPU."""
    runtime: Runtime = Runtime()
    """How jobs run. No edit of this section makes a job run again."""
    evaluation: Evaluation = Evaluation()
    """How candidates are compared with each other."""
    figures: Figures = Figures()
    """Which tasks the paper's figures show, and how many images of them."""
    strategies: Annotated[list[str], *Several] | None = Field(None, description=_about_strategies())

    @field_validator("datasets")
    @classmethod
    def _usable_names(cls, value):
        for name in value:
            if name in layout.RESERVED or not re.fullmatch(r"[a-z0-9_-]+", name):
                raise ValueError(
                    f"{name!r} cannot name a data set: use lower-case letters, digits, _ and -, "
                    f"and none of {', '.join(layout.RESERVED)}"
                )
        return value

    @field_validator("candidates")
    @classmethod
    def _one_for_each_head(cls, value):
        """Each candidate with one head of its own, None for kNN."""
        return [candidate for given in value for candidate in with_heads(given)]

    @field_validator("candidates")
    @classmethod
    def _distinct_names(cls, value):
        names = [candidate.name for candidate in value]
        if duplicates := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"duplicate candidate names {duplicates}: give each its own `name`")
        return value

    @model_validator(mode="after")
    def _consistent(self):
        check_consistent(self)
        return self


# {step of a pydantic location: the section whose keys are allowed there}
SECTIONS: dict[str, type[Section]] = KIND_SECTIONS | {
    "config": Config,
    "support": Support,
    "sources": Sources,
    "knn": KNN,
    "patch": Patch,
    "selection": Selection,
    "clip": Clip,
    "preparation": Preparation,
    "Preparation": Preparation,
    "runtime": Runtime,
    "evaluation": Evaluation,
    "figures": Figures,
    "candidates": Candidate,
    "exposure": Exposure,
    **{name: source.section for name, source in SOURCES.items()},
}


def validate(config: dict[str, Any]) -> dict[str, Any]:
    """The merged config as a plain dict, with every default filled in and each data set's `support` and `templates`.

    Raises InputError with one line per mistake: key, value received, what is allowed, near match.
    """
    if missing := [key for key in ("datasets", "sources", "candidates") if key not in config]:
        raise InputError(
            f"The config lacks {', '.join(missing)}; config/my_images.yaml shows a complete one. A file that changes a few "
            "keys comes after a complete one: --configfile <complete>.yaml <changes>.yaml"
        )
    if wrong := strange_entries(config):
        raise InputError(wrong)
    config = _with_images(config)
    try:
        model = Config.model_validate(config, context={"templates": usable_templates})
    except ValidationError as error:
        raise InputError(sentences(config, error.errors(), KIND_SECTIONS, SECTIONS)) from None
    plain = model.model_dump(mode="json", exclude={"images"})
    # in the order of the file: the first source makes the recommendation
    plain["sources"] = {
        name: plain["sources"][name] for name in config["sources"] if plain["sources"][name] is not None
    }
    clip = plain["clip"]
    if any(HEADS[candidate.get("head") or DEFAULT].patches for candidate in plain["candidates"]):
        plain["patch"] = plain.get("patch") or Patch().model_dump(mode="json")
    plain["strategies"] = plain["strategies"] or strategies.defaults(plain["sources"], clip is not None)
    for dataset in plain["datasets"].values():
        dataset["support"] = dict(dataset["support"] or plain["support"])
        if dataset["support"]["seeds"] == "auto":
            dataset["support"]["seeds"] = _seeds_of(dataset)
        if clip:
            dataset["templates"] = prompts.resolve(dataset["templates"] or clip["templates"], kind_of(dataset).prompts)
    return plain


def _with_images(config: dict[str, Any]) -> dict[str, Any]:
    """The config with `images` as the root of its data set. Raises InputError where it has several."""
    datasets = config["datasets"]
    if config.get("images") is None or not isinstance(datasets, dict):
        return config
    if len(datasets) != 1:
        raise InputError(
            f"images: received {config['images']!r}, the root of the only data set, but the config has "
            f"{', '.join(map(str, datasets))}: take config/my_images.yaml, or write `root` of the data set that you mean"
        )
    [(name, one)] = datasets.items()
    return config | {"datasets": {name: one | {"root": config["images"]} if isinstance(one, dict) else one}}


def _seeds_of(dataset: dict[str, Any]) -> int:
    """The seeds of a data set that leaves their number to its images; a root that is not there is told later."""
    root = dataset.get("root")
    sizes = support_sizes(dataset).values() if root is None or is_directory(root) else ()
    return fitting_seeds(min(sizes, default=MOST_SEEDS * 2))


def schema() -> str:
    """The JSON schema of the config, the text of config/config.schema.json."""
    return json.dumps(Config.model_json_schema(), indent=1) + "\n"


def reference() -> str:
    """The description of every key, the text of config/README.md."""
    return markdown(Config.model_json_schema())
