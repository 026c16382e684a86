"""The whole config: its sections, and what must hold between them.

`validate` turns the merged YAML into a plain dict with every default filled in. `python -m swsa_core.config.config` writes the
JSON schema that editors use to complete and check config files.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean
from swsa_core.basics.section import PlainPath, Removable, Section, Several, inconsistent
from swsa_core.candidates import prompts
from swsa_core.candidates.section import Candidate, Clip
from swsa_core.config.datasets import AnyDataset, Support
from swsa_core.config.errors import sentences
from swsa_core.config.sections import (
    KNN,
    CutPaste,
    Diffusion,
    Evaluation,
    Figures,
    Preparation,
    Procedural,
    Runtime,
    Sources,
    TinyImageNet,
)

SCHEMA = Path(__file__).parents[2] / "config" / "config.schema.json"
RESERVED_NAMES = ("tables", "figures", "paper_figures", "pools", "benchmarks", "logs")
POOLS = ("tiny_imagenet", "procedural")
COMBINED_DETECTORS = (prompts.ENSEMBLE, "rank_ensemble")


class Config(Section):
    seed: Annotated[int, Field(ge=0)] = 0
    """Of every random draw, together with the names of what is drawn for."""
    results: PlainPath = Path("results")
    """Directory of everything that is computed; several studies live side by side."""
    datasets: Annotated[dict[str, AnyDataset], Field(min_length=1), Removable]
    """Data sets by a name of your own, each with its `kind`."""
    support: Support = Support()
    """The normal images that a task may use."""
    sources: Annotated[Sources, Removable]
    """Sources of synthetic anomalies; leave one out to skip it."""
    candidates: Annotated[list[Candidate], Field(min_length=1)]
    """Detectors to choose from; on a tie the one listed first is picked, so list the largest first."""
    knn: KNN = KNN()
    """The anomaly score of every candidate."""
    clip: Clip | None = None
    """CLIP model whose prompts are chosen among; left out, no prompt is selected."""
    preparation: Preparation | Literal["original"] = Preparation()
    """How images are prepared for the generators, and with them a synthetic validation set; original: not at all."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the networks: auto is bfloat16 on a GPU and float32 on a CPU."""
    runtime: Runtime = Runtime()
    """How jobs run; nothing is computed again after an edit."""
    evaluation: Evaluation = Evaluation()
    """How candidates are compared."""
    figures: Figures = Figures()
    """Which tasks the paper's figures show, and how many images."""
    strategies: Annotated[list[str], *Several] | None = None
    """How a candidate is picked: largest_model, random, swsa_<source>, with `clip` also default_prompt and prompt_ensemble;
    all that sources and `clip` allow when left out. The first swsa_<source> makes the recommendation. Beyond the paper,
    see docs/strategies.md: swsa_combined, fixed_best_<source>, rank_ensemble, model_centrality, hits, hits_anomalous,
    xie_beni."""

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
            raise inconsistent("sources: none is given; name at least one of " + ", ".join(Sources.model_fields))
        known = all_strategies(sources, self.clip) + further_strategies(sources)
        for strategy in (name for name in self.strategies or () if name not in known):
            if strategy in PROMPT_STRATEGIES:
                raise inconsistent(f"strategies: {strategy!r} is about prompts: add the section `clip`, or remove it")
            source = strategy.removeprefix("swsa_").removeprefix("fixed_best_")
            if source != strategy and source in Sources.model_fields:
                raise inconsistent(f"strategies: {strategy!r} needs the source {source!r}: add it to `sources`")
            raise inconsistent(f"strategies: {strategy!r} is unknown, {did_you_mean(strategy, known)}")
        if self.sources.diffusion is not None and self.preparation == "original":
            raise inconsistent(
                "preparation: 'original' cannot go with the source 'diffusion', whose model makes images of one size: "
                "give preparation.size"
            )
        if self.strategies and not any(f"swsa_{source}" in self.strategies for source in sources):
            raise inconsistent(
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
                    raise inconsistent(
                        f"sources.{pool}.pool: received {entry.pool}, fewer than the {anomalies} anomalies that a task of "
                        f"data set {name!r} samples ((seeds / 2)² with {seeds} seeds)"
                    )
        return self

    def _check_figures(self):
        candidates = [candidate.name for candidate in self.candidates]
        if self.figures.space is not None and self.figures.space not in candidates:
            raise inconsistent(
                f"figures.space: {self.figures.space!r} is not a candidate, {did_you_mean(self.figures.space, candidates)}"
            )
        for key in ("tsne", "contact_sheets"):
            for name in getattr(self.figures, key):
                if name not in self.datasets:
                    raise inconsistent(
                        f"figures.{key}: {name!r} is not a data set of this config, {did_you_mean(name, self.datasets)}"
                    )
        if self.figures.contact_sheets and self.sources.diffusion is None:
            raise inconsistent(
                "figures.contact_sheets: shows what the source 'diffusion' made: add it to `sources`, or remove the key"
            )

    def _check_names(self):
        """A name in tables is a kNN candidate, the CLIP model or a prompt, never two of them."""
        for name, dataset in self.datasets.items():
            if dataset.templates is not None and self.clip is None:
                raise inconsistent(
                    f"datasets.{name}.templates: there is no section `clip` whose prompts they are: add it, or remove the key"
                )
        candidates = {candidate.name for candidate in self.candidates}
        if taken := sorted(candidates & set(COMBINED_DETECTORS)):
            raise inconsistent(
                f"candidates: {taken[0]!r} names a combination of candidates in tables: give another `name`"
            )
        if self.clip is None:
            return
        if self.clip.model in candidates:
            raise inconsistent(
                f"candidates: {self.clip.model!r} is the CLIP model of `clip` too: give the candidate its own `name`"
            )
        for name, dataset in self.datasets.items():
            templates = prompts.resolve(dataset.templates or self.clip.templates, dataset.kind)
            names = [*prompts.prompt_names(templates), *COMBINED_DETECTORS]
            if taken := sorted({one for one in names if names.count(one) > 1 or one in candidates}):
                raise inconsistent(
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
    return ["swsa_combined", *fixed, "rank_ensemble", "model_centrality", "hits", "hits_anomalous", "xie_beni"]


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
