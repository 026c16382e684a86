"""What must hold between the sections of a config, each of which is right by itself."""

from typing import TYPE_CHECKING

from pydantic import ValidationError

from swsa_core import strategies
from swsa_core.anomalies import SOURCES
from swsa_core.basics.names import did_you_mean
from swsa_core.basics.section import inconsistent
from swsa_core.candidates import prompts
from swsa_core.candidates.section import Clip
from swsa_core.config.candidates import OF_HEADS
from swsa_core.config.sections import Sources
from swsa_core.datasets import KINDS

if TYPE_CHECKING:
    from swsa_core.config.config import Config


def check_consistent(config: "Config") -> None:
    """Raise the error of a validator at the first thing that does not hold."""
    sources = [name for name, value in config.sources if value is not None]
    if not sources:
        raise inconsistent("sources: none is given; name at least one of " + ", ".join(Sources.model_fields))
    _check_scores(config)
    _check_strategies(config, sources)
    _check_limit(config, sources)
    _check_sizes(config, sources)
    _check_guides(config, sources)
    _check_names(config)
    _check_figures(config)
    _check_pools(config, sources)
    _check_exposures(config, sources)
    _check_pool_sizes(config, sources)


def _check_scores(config):
    """Candidates that are scored elsewhere have names of their own."""
    known = {candidate.name for candidate in config.candidates}
    for name in config.scores or ():
        if name in known or not name.strip():
            raise inconsistent(f"scores: {name!r} cannot name a candidate: take a name that no other one has")


def _check_strategies(config, sources):
    """Each strategy must be known and have what it needs, and one of them must make the recommendation."""
    if config.strategies is None:
        return
    known = strategies.listable(sources, config.clip is not None)
    for name in config.strategies:
        if name in known:
            continue
        if strategies.about_prompts(name):
            raise inconsistent(f"strategies: {name!r} is about prompts: add the section `clip`, or remove it")
        _, source = strategies.split(name) or ("", "")
        if source in Sources.model_fields:
            raise inconsistent(f"strategies: {name!r} needs the source {source!r}: add it to `sources`")
        raise inconsistent(f"strategies: {name!r} is unknown, {did_you_mean(name, known)}")
    recommending = [name for name in known if strategies.find(name).recommends]
    if not set(recommending) & set(config.strategies):
        raise inconsistent(
            f"strategies: received {config.strategies}, one of {', '.join(recommending)} must be among them"
        )


def _check_limit(config, sources):
    """What is deployed, the pick of the first strategy that recommends, must heed what candidates cost, if asked for."""
    given = config.selection.model_dump() if config.selection else {}  # without what is at its default
    asked = {name: given[name] for name in ("max_ms", "max_mb", "close_call") if given.get(name)}
    listed = config.strategies or strategies.defaults(sources, config.clip is not None)
    first = next(name for name in listed if strategies.find(name).recommends)
    if asked and not strategies.find(first).within_budget:
        key, value = next((key, f"{value:g}" if key != "close_call" else value) for key, value in asked.items())
        heeding = [name for name, one in strategies.STRATEGIES.items() if one.recommends and one.within_budget]
        raise inconsistent(
            f"selection.{key}: received {value}, but {first} makes the recommendation and does not heed it: "
            f"list {' or '.join(heeding)} before it in `strategies`"
        )


def _check_sizes(config, sources):
    """A source whose images have one size needs images that are prepared."""
    fixed = [source for source in sources if SOURCES[source].fixed_size]
    if fixed and config.preparation == "original":
        raise inconsistent(
            f"preparation: 'original' cannot go with the source {fixed[0]!r}, whose model makes images of one size: "
            "give preparation.size"
        )


def _check_guides(config, sources):
    """The CLIP model of a source that trains must be one that the section `clip` could name."""
    for source in sources:
        training = SOURCES[source].training
        try:
            Clip(**training.clip(getattr(config.sources, source).model_dump())) if training else None
        except ValidationError as error:
            mistake = error.errors()[0]
            key = ".".join(map(str, ("sources", source, "clip", *mistake["loc"])))
            message = mistake["msg"].removeprefix("Value error, ")
            raise inconsistent(f"{key}: {message}") from None


def _check_names(config):
    """A name in tables is a kNN candidate, the CLIP model or a prompt, never two of them."""
    for name, dataset in config.datasets.items():
        if dataset.templates is not None and config.clip is None:
            raise inconsistent(
                f"datasets.{name}.templates: there is no section `clip` whose prompts they are: add it, or remove the key"
            )
    candidates = {candidate.name for candidate in config.candidates}
    if taken := sorted(candidates & set(strategies.detectors())):
        raise inconsistent(f"candidates: {taken[0]!r} names a combination of candidates in tables: give another `name`")
    if config.clip is None:
        return
    if config.clip.model in candidates:
        raise inconsistent(
            f"candidates: {config.clip.model!r} is the CLIP model of `clip` too: give the candidate its own `name`"
        )
    for name, dataset in config.datasets.items():
        templates = prompts.resolve(dataset.templates or config.clip.templates, KINDS[dataset.kind].prompts)
        names = [*prompts.prompt_names(templates), *strategies.detectors()]
        if taken := sorted({one for one in names if names.count(one) > 1 or one in candidates}):
            raise inconsistent(
                f"datasets.{name}: {taken[0]!r} would name two prompts, or a prompt and a candidate: change one of them"
            )


def _check_figures(config):
    """The paper's figures show candidates, data sets and sources that there are."""
    figures, candidates = config.figures, [candidate.name for candidate in config.candidates if not candidate.exposure]
    if figures.space is not None and figures.space not in candidates:
        raise inconsistent(
            f"figures.space: {figures.space!r} is not a candidate, {did_you_mean(figures.space, candidates)}"
        )
    for key in ("tsne", "contact_sheets"):
        for name in getattr(figures, key):
            if name not in config.datasets:
                raise inconsistent(
                    f"figures.{key}: {name!r} is not a data set of this config, {did_you_mean(name, config.datasets)}"
                )
    in_pairs = [source for source in SOURCES if SOURCES[source].pairs]
    if figures.contact_sheets and not any(getattr(config.sources, source) for source in in_pairs):
        raise inconsistent(
            f"figures.contact_sheets: shows what the source {' or '.join(map(repr, in_pairs))} made: add it to `sources`, "
            "or remove the key"
        )


def _check_pools(config, sources):
    """A source that chooses from another one's pool needs that source; a pool that is of one task needs to be alone."""
    pools = [source for source in sources if SOURCES[source].pool and not SOURCES[source].labelled]
    whole = [source for source in sources if SOURCES[source].labelled]
    if whole and len(config.datasets) > 1:
        raise inconsistent(
            f"sources.{whole[0]}: its images belong to one task, and there are {len(config.datasets)} data sets: make a "
            "study of that one alone"
        )
    for source in sources:
        of_pool = SOURCES[source].of_pool
        if of_pool and (name := of_pool.pool(getattr(config.sources, source).model_dump())) not in pools:
            known = " or ".join(name for name, one in SOURCES.items() if one.pool and not one.labelled)
            raise inconsistent(
                f"sources.{source}.of: received {name!r}, expected a pool among the `sources` of this config "
                f"({', '.join(pools) or 'which has none'}): add {known} to `sources`, or remove {source}"
            )


def _check_exposures(config, sources):
    """A fine-tuned network needs its source, with strengths for a regression, and the network before to compare it with."""
    before = {str(_of_network(one)) for one in config.candidates if not one.exposure and not one.head}
    for one in config.candidates:
        if not one.exposure:
            continue
        key, source = f"candidates.{one.name}: exposure.source", one.exposure.source
        if source not in sources:
            raise inconsistent(f"{key}: {source!r} is not among `sources`, {did_you_mean(source, sources)}")
        if one.exposure.task == "regression":
            _check_graded(source, getattr(config.sources, source).model_dump(), key)
        if config.knn.distance != "l2":
            raise inconsistent(
                f"knn.distance: received {config.knn.distance!r}, but {one.name} is scored by Euclidean distances, "
                "as is the same network before: write `knn: {distance: l2}`"
            )
        if str(_of_network(one)) not in before:
            raise inconsistent(
                f"candidates.{one.name}: nothing tells what fine-tuning changed: list {one.model} without `exposure`, with "
                "the same other keys, too"
            )


def _check_graded(source, section, key):
    """The anomalies of the source of a regression have strengths that differ."""
    strength, grades = SOURCES[source].strength, SOURCES[source].grades
    if not strength:
        known = ", ".join(name for name, one in SOURCES.items() if one.strength)
        raise inconsistent(
            f"{key}: received {source!r}, whose anomalies have no strength that `task: regression` could predict: "
            f"take {known}, or `task: classification`"
        )
    asked = grades(section) if grades else ()
    if grades and len(set(asked)) < 2:
        have = f"all have the same strength ({list(asked)})" if asked else "have no graded strength"
        raise inconsistent(
            f"{key}: received {source!r}, whose anomalies {have}, so that "
            f"`task: regression` has nothing to predict: ask for several in sources.{source}, or take `task: classification`"
        )


def _of_network(candidate):
    """The keys that say what a candidate's network is before it is fine-tuned."""
    return candidate.model_dump(exclude=set(OF_HEADS))


def _check_pool_sizes(config, sources):
    """A pool holds as many images as a task samples of it."""
    pools = [source for source in sources if SOURCES[source].pool and not SOURCES[source].labelled]
    for name, dataset in config.datasets.items():
        seeds = (dataset.support or config.support).most
        anomalies = (seeds // 2) ** 2
        for pool in pools:
            held = getattr(config.sources, pool).pool
            if held < anomalies:
                raise inconsistent(
                    f"sources.{pool}.pool: received {held}, fewer than the {anomalies} anomalies that a task of "
                    f"data set {name!r} samples ((seeds / 2)² with {seeds} seeds)"
                )
