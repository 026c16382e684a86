"""What is known when a candidate is picked, what a pick is, and the few ways to come from one to the other.

Candidates are in the order of the config, c of them: of those that tie, the first is picked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from swsa_core.evaluation.known import Budget
from swsa_core.evaluation.protocols import LEADING


class Case(NamedTuple):
    """What one pick is asked for."""

    task: str
    strategy: str
    """Its name in the config, with the source where it is per source."""
    source: str = ""
    protocol: str = ""
    setting: str = ""
    """Setting of the real validation set, "" where the task has none."""


class Outcome(NamedTuple):
    """How a strategy that picks no single candidate does on the real images; of NaN where the task has none."""

    real_auroc: float
    right: float


class Sureness(NamedTuple):
    """How sure the synthetic AUROC of a candidate is, see `swsa_core.evaluation.confidence`."""

    p_best: float
    low: float
    high: float


class Pick(NamedTuple):
    """What a strategy picks, and what is to be said about it."""

    candidate: str = ""
    """"" where none is picked."""
    source: str = ""
    """The source that it heeds, "" for none or several."""
    members: Sequence[str] = ()
    """The candidates of a detector that combines some of them."""
    n_tied: int = 1
    """Candidates that share the highest value, the picked one among them; 0 where no value is defined."""
    synthetic_auroc: float = np.nan
    sureness: Sureness = Sureness(np.nan, np.nan, np.nan)
    saturated: bool = False
    """Whether several candidates reach a synthetic AUROC of 1."""
    warning: str = ""
    """What speaks against the synthetic anomalies, "" for nothing."""
    outcome: Outcome | None = None
    """How a strategy that picks no single candidate does; None where the picked candidate's real AUROC says how good it is."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the stages before the selection found out about the candidates of one selection."""

    names: list[str]
    """Names of the c candidates."""
    n_parameters: np.ndarray
    """(c,) of the feature extractors."""
    backbones: list[str]
    """(c,) names of the feature extractors, which candidates may share."""
    budget: Budget
    """What a detector that is recommended may be and cost."""
    tasks: list[str]
    sources: list[str]
    """Sources of synthetic anomalies."""
    settings: dict[str, list[str]]
    """{task: the settings of its real validation sets}, [""] without real labels."""
    synthetic: dict[tuple[str, str, str], np.ndarray]
    """{(task, source, protocol): AUROC (c,) on all anomalies}, NaN where it is undefined."""
    real: dict[tuple[str, str], np.ndarray]
    """{(task, setting): AUROC (c,) on the real test images}, NaN where it is undefined."""
    detectors: dict[tuple[str, str, str], float]
    """{(task, setting, strategy): real AUROC of the detector that combines the candidates}."""
    qualities: dict[tuple[str, str], np.ndarray]
    """{(task, strategy): quality (c,) by the scores of the unlabelled test images}; a task without any is not there."""
    confidence: dict[tuple[str, str, str, str], Sureness]
    """{(task, source, protocol, candidate): how sure its synthetic AUROC is}."""
    near: dict[tuple[str, str, str], np.ndarray] = field(default_factory=dict)
    """{(task, source or ALL_SOURCES, protocol): share (c,) of the resamples in which a candidate is near the best}."""
    _made: dict[tuple, Any] = field(default_factory=dict, repr=False)

    def once(self, function: Callable, *arguments: str) -> Any:
        """`function(self, *arguments)`, computed once for all picks that need it."""
        key = (function, *arguments)
        if key not in self._made:
            self._made[key] = function(self, *arguments)
        return self._made[key]

    def highest(self, values: np.ndarray) -> Pick:
        """The first candidate with the highest of `values` (c,), and how many tie; no candidate where all are NaN."""
        if np.isnan(values).all():
            return Pick(n_tied=0)
        tied = values == np.nanmax(values)
        return Pick(self.names[int(np.argmax(tied))], n_tied=int(tied.sum()))


def by_quality(evidence: Evidence, case: Case) -> Pick:
    """The candidate with the highest quality by the scores of the unlabelled test images; none for a task without."""
    return evidence.highest(evidence.qualities.get((case.task, case.strategy), np.full(len(evidence.names), np.nan)))


def as_detector(evidence: Evidence, case: Case) -> Pick:
    """No candidate but a detector of all of them, which is right where no candidate has a higher real AUROC."""
    auroc = evidence.detectors[case.task, case.setting, case.strategy]
    best = np.nanmax(evidence.real[case.task, case.setting], initial=-np.inf)
    return Pick(outcome=Outcome(auroc, float(auroc >= best)))


def of_all_tasks(evidence: Evidence) -> dict[str, np.ndarray]:
    """{source: AUROC (tasks, c)} by the protocol that leaves one out, or else the first one."""
    protocols = list(dict.fromkeys(protocol for _, _, protocol in evidence.synthetic))
    protocol = LEADING if LEADING in protocols else protocols[0]
    return {
        source: np.array([evidence.synthetic[task, source, protocol] for task in evidence.tasks])
        for source in evidence.sources
    }


def means(values: np.ndarray) -> np.ndarray:
    """`swsa_core.metrics.exact_mean` of each column, (c,); values: (m, c)."""
    from swsa_core.metrics import exact_mean

    return np.array([exact_mean(column) for column in values.T])
