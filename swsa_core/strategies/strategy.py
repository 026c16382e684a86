"""What a strategy is: everything that the rest of the library asks about one, by the names of the fields."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from swsa_core.evaluation.known import Known
from swsa_core.strategies.evidence import Case, Evidence, Pick

# What a strategy sees, in the words of the tables: two strategies can only be compared where they see the same.
SUPPORT = "support only"
TRANSDUCTIVE = "transductive, unlabelled test scores"
LABELS = "test labels"

MODEL, PROMPT = "model", "prompt"  # what is selected: a backbone with kNN, or a prompt of a CLIP model


@dataclass(frozen=True)
class Strategy:
    """A way to pick one of the candidates for each task, or to combine them."""

    title: str
    """The strategy as it is written for people; where it is per_source, {} takes the title of the source."""
    description: str
    """What it picks, as a noun phrase."""
    reference: str
    """Where it comes from, "Author … year" as under the literature of docs/strategies.md; "" where it is plain."""
    sees: str
    """At most SUPPORT (the support sets and what is made from them), TRANSDUCTIVE (the test images' scores too) or LABELS.
    One that sees LABELS is an upper bound: no config lists it, and it stands at the end of every selection."""
    pick: Callable[[Evidence, Case], Pick]
    """The function that picks, for one task and real setting, and for one source and protocol where it depends on them."""
    selections: tuple[str, ...] = (MODEL, PROMPT)
    """What it can select: MODEL, PROMPT or both. One about prompts alone needs the section `clip` of the config."""
    per_source: bool = False
    """Whether there is one for each source of synthetic anomalies, named <stem>_<source>."""
    stem: str = ""
    """Where it is per source, what its names begin with; the name of its module where it is left out."""
    per_protocol: bool = False
    """Whether its pick depends on the protocol, so that there is a row for each."""
    default: bool = False
    """Whether it belongs to the strategies of the paper, which are taken where the config leaves `strategies` out."""
    recommends: bool = False
    """Whether its picks are recommended: the rows of selection.csv have the source, and a config must list one of them."""
    proposed: bool = False
    """Whether it is what the study is about, and not what that is compared with: accented in figures, its ties counted."""
    within_budget: bool = False
    """Whether it keeps to `selection.max_ms` and `max_mb`, and heeds `close_call`."""
    picks_one: bool = True
    """Whether it picks a single candidate, and is neither an expectation nor a combination of all of them."""
    is_detector: bool = False
    """Whether it combines all candidates to one detector, whose rows in auroc.csv have its name in place of a candidate's."""
    combine: Callable[[np.ndarray, Known], np.ndarray] | None = None
    """Scores (n, c) of test images by the candidates, and what else is known of the task, -> scores (n,) of the detector, which
    is then judged on real images alone. None where it is no detector, or where an earlier stage scores all images with it."""
    quality: Callable[[np.ndarray], np.ndarray] | None = None
    """Scores (n, c) of test images by the candidates -> quality (c,) of the candidates, the highest of which it picks.
    None where it does not pick by such a quality."""

    @property
    def is_bound(self) -> bool:
        """Whether it knows the test labels: an upper bound of all others."""
        return self.sees == LABELS

    @property
    def picks_unlabelled(self) -> bool:
        """Whether a table can tell what it does where a task has no real labels."""
        return self.sees == SUPPORT and self.picks_one
