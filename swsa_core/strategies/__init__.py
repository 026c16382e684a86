"""Strategies: how a candidate is picked, and how good the picks are.

`STRATEGIES` holds every strategy, one module each; a new one is a module that ends with its `STRATEGY`, and its name in the
list below. `select` picks by all of them, `compare` says how sure their success is. Literature: docs/strategies.md.
"""

from collections.abc import Callable, Iterable

from swsa_core.basics.names import did_you_mean
from swsa_core.basics.registry import entries
from swsa_core.strategies.strategy import PROMPT, Strategy

# In the order of tables and of a config that leaves `strategies` out.
STRATEGIES: dict[str, Strategy] = entries(
    "swsa_core.strategies",
    "STRATEGY",
    "largest_model",
    "default_prompt",
    "prompt_ensemble",
    "random",
    "swsa_source",
    "swsa",
    "swsa_ensemble",
    "swsa_combined",
    "fixed_best",
    "rank_ensemble",
    "model_centrality",
    "hits",
    "hits_anomalous",
    "xie_beni",
    "best",
)


def split(name: str) -> tuple[str, str] | None:
    """(entry of `STRATEGIES`, source or "") of a name of the config; None for an unknown one.

    >>> split("swsa_cutpaste"), split("swsa_combined"), split("swsa"), split("luck")
    (('swsa_source', 'cutpaste'), ('swsa_combined', ''), ('swsa', ''), None)
    """
    if name in STRATEGIES and not STRATEGIES[name].per_source:
        return name, ""
    begun = {
        stem(entry): entry for entry, one in STRATEGIES.items() if one.per_source and name.startswith(f"{stem(entry)}_")
    }
    longest = max(begun, key=len, default=None)
    return (begun[longest], name.removeprefix(f"{longest}_")) if longest else None


def stem(entry: str) -> str:
    """What the names of a strategy begin with that there is for each source."""
    return STRATEGIES[entry].stem or entry


def find(name: str) -> Strategy:
    """The `Strategy` of a name of the config, e.g. swsa_cutpaste. Raises ValueError for an unknown one."""
    found = split(name)
    if found is None:
        raise ValueError(f"unknown strategy {name!r}, {did_you_mean(name, patterns())}")
    return STRATEGIES[found[0]]


def patterns() -> dict[str, Strategy]:
    """{name as the documentation writes it: `Strategy`}; one for each source is <strategy>_<source>."""
    return {f"{stem(name)}_<source>" if one.per_source else name: one for name, one in STRATEGIES.items()}


def about_prompts(name: str) -> bool:
    """Whether a name is that of a strategy for prompts alone, which needs the config's section `clip`."""
    return split(name) is not None and find(name).selections == (PROMPT,)


def listable(sources: Iterable[str], with_prompts: bool) -> list[str]:
    """Names that a config with these sources can list, with or without the section `clip`; no upper bound is among them."""
    sources = list(sources)
    return [
        name
        for entry, one in STRATEGIES.items()
        for name in ([f"{stem(entry)}_{source}" for source in sources] if one.per_source else [entry])
        if not one.is_bound and (with_prompts or not about_prompts(name))
    ]


def defaults(sources: Iterable[str], with_prompts: bool) -> list[str]:
    """The strategies of `listable` that are the paper's, which a config has that lists none."""
    return [name for name in listable(sources, with_prompts) if find(name).default]


def of_selection(selection: str, listed: Iterable[str]) -> list[str]:
    """The strategies of the config that apply to a selection, "model" or "prompt", and after them the upper bounds."""
    bounds = [name for name, one in STRATEGIES.items() if one.is_bound]
    return [name for name in (*listed, *bounds) if selection in find(name).selections]


def detectors() -> list[str]:
    """The strategies that are a detector of all candidates: names in auroc.csv that are no candidate's."""
    return [name for name, one in STRATEGIES.items() if one.is_detector]


def combinations() -> dict[str, Callable]:
    """{detector: its function `combine`} of those that are made from the scores of real test images, and judged there."""
    return {name: one.combine for name, one in STRATEGIES.items() if one.combine is not None}


def judging_by_scores(listed: Iterable[str]) -> list[str]:
    """The strategies of the config that pick by a quality of the unlabelled test scores, in the order of `STRATEGIES`."""
    listed = set(listed)
    return [name for name, one in STRATEGIES.items() if one.quality is not None and name in listed]
