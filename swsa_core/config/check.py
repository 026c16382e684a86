"""What of a study can never work, told before any job: what its config, the data sets on disk and the models say together."""

from typing import Any

from swsa_core import datasets
from swsa_core.anomalies import SOURCES
from swsa_core.basics.errors import InputError
from swsa_core.candidates import family_of
from swsa_core.candidates.family import CandidateSpec
from swsa_core.candidates.mistakes import check_model
from swsa_core.candidates.prompts import check_texts, texts_of_classes
from swsa_core.config.study import Study, of_dataset
from swsa_core.datasets.support import check_supports
from swsa_core.files.functions import source_of


def check(given: Study) -> None:
    """Raise InputError for what can never work, before any job: tasks of figures, supports, sources, models, texts of prompts.

    The rules read `tsne_tasks` and `contact_tasks` while the workflow is parsed, where an InputError would show its frames.
    """
    _ = given.tsne_tasks, given.contact_tasks  # each raises for a task that is not there
    check_supports(given.config | {"datasets": given.present})
    for name, section in given.config["sources"].items():
        if check_source := SOURCES[name].check:
            check_source(section, given.config["preparation"])
    _check_others(given)
    _check_exposures(given)
    for one in given.given.values():
        _check_scoring(one)
    of_libraries = [one for one in given.missing.values() if not one.get("weights")]
    for backbone in [*given.backbones.values(), *of_libraries]:
        check_model(backbone)
    for name, model in given.guides.items():
        _check_guide(model, name, list(given.texts[name].values()))
    for model in given.clip.values():
        reader = family_of(model).texts
        assert reader is not None  # as the config takes a model that reads texts alone
        for name, spec in given.present.items():
            names, key = given.class_names[name].values(), datasets.kind_of(spec).class_name_key
            of_dataset(name, check_texts, spec["templates"], names, reader.most_words(model))
            texts = texts_of_classes(spec["templates"], names)
            of_dataset(name, reader.check_prompts, texts, key and f"datasets.{name}.{key}")


def _check_scoring(one: dict[str, Any]) -> None:
    """Raise InputError where the module of a function that scores is not there."""
    try:
        _ = isinstance(one["scores"], dict) and source_of(one["scores"]["call"])
    except InputError as error:
        raise InputError(f"scores.{one['name']}: {error}") from None


def _check_guide(model: CandidateSpec, source: str, texts: list[str]) -> None:
    """Raise InputError for the CLIP model that a source follows, and for texts that it cannot read."""
    check_model(model)
    reader = family_of(model).texts
    assert reader is not None  # as the config takes a model that reads texts alone
    most = reader.most_words(model)
    for text in texts:
        if most is not None and (n := len(text.split())) > most:
            raise InputError(
                f"sources.{source}.texts: the text {text!r} has {n} words, the CLIP model takes at most {most}: shorten it"
            )
    try:
        reader.check_prompts({"": texts}, None)
    except InputError as error:
        raise InputError(f"sources.{source}.texts: {error}") from None


def _check_others(given: Study) -> None:
    """Raise InputError where a source needs other tasks and no data set has them, or it decides for one that has none."""
    lone = [name for name in given.present if len(given.tasks[name]) == 1]
    for source in given.others if lone else []:
        if len(lone) == len(given.datasets):
            raise InputError(
                f"sources.{source}: takes the images of other tasks, but {' and '.join(lone)} has one task: remove the source, "
                "or add tasks"
            )
        if source == given.sources[0]:
            raise InputError(
                f"sources.{source}: stands first and so makes the recommendation, but data set {lone[0]!r} has one task and no "
                "other tasks whose images it could take: put another source first"
            )


def _check_exposures(given: Study) -> None:
    """Raise InputError where a network cannot be fine-tuned for a data set: it lacks the source, or images to leave out."""
    for one in given.exposed.values():
        exposure, key = one["exposure"], f"candidates.{one['name']}: exposure"
        for name in given.present:
            if exposure["source"] in given.others and not given.others_of(name):
                raise InputError(
                    f"{key}.source: {exposure['source']!r} takes the images of other tasks, but data set {name!r} has one "
                    "task: take another source"
                )
        for name, spec in given.datasets.items():
            if (seeds := spec["support"]["seeds"]) < 2 * exposure["folds"]:
                raise InputError(
                    f"{key}.folds: received {exposure['folds']}, but a task of data set {name!r} has {seeds} seeds, "
                    f"expected at least two in each fold: raise datasets.{name}.support.seeds to {2 * exposure['folds']}"
                )
