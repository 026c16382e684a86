"""The numbers of a detector's page: what each alarm level promises and finds, and how the scores spread."""

from typing import Any, NamedTuple

import numpy as np

from swsa_core.detect.level import WANTED, level_of, p_values, rank_of, ranks, realised, written

BINS = 40


class Evidence(NamedTuple):
    """How a task's detector scored the images that it was chosen by, all of them as prepared for the sources.

    normals: (n,) of the normal images, each left out of the bank; anomalies: {source: (a,) of its anomalies, whose parents are
    left out}, NaN of those that it cannot score.
    """

    normals: np.ndarray
    anomalies: dict[str, np.ndarray]


class Axis(NamedTuple):
    """Where scores stand from the left, 0 to 1; logarithmic where those of one detector spread over magnitudes."""

    low: float
    high: float
    log: bool

    def at(self, scores: np.ndarray | float) -> np.ndarray:
        """The places of scores; what lies beyond an end stands at it."""
        return np.clip((self._value(scores) - self.low) / (self.high - self.low), 0, 1)

    def _value(self, scores):
        return np.log10(np.maximum(scores, 10**self.low)) if self.log else np.asarray(scores, float)


def axis_of(evidence: Evidence) -> Axis:
    """The `Axis` that all scores of a task stand on."""
    scores = np.concatenate([evidence.normals, *evidence.anomalies.values()])
    scores = scores[np.isfinite(scores)]
    positive = scores[scores > 0]
    log = bool(scores.min() >= 0 and len(positive) and positive.max() > 10 * np.median(evidence.normals))
    low, high = (np.log10(positive.min()), np.log10(positive.max())) if log else (scores.min(), scores.max())
    room = 0.02 * (high - low) or 0.5
    return Axis(float(low - room), float(high + room), log)


def bars(scores: np.ndarray, axis: Axis) -> str:
    """The histogram of scores as an SVG path in a box of 1000 x 100, the fullest bin as high as the box."""
    counts, edges = np.histogram(axis.at(scores[np.isfinite(scores)]), BINS, (0, 1))
    heights = np.ceil(100 * counts / max(counts.max(), 1)).astype(int)
    left = (1000 * edges[:-1]).round().astype(int)
    width = 1000 // BINS - 2
    return "".join(f"M{x} 100v{-h}h{width}v{h}z" for x, h in zip(left, heights, strict=True) if h)


def steps(normals: np.ndarray, evidence: Evidence, axis: Axis) -> list[dict[str, Any]]:
    """What the page shows at each level that can be chosen, the fewest false alarms first.

    normals: (n,) leave-one-out scores that the detector has, of images as they are. at: place of the level among the scores of
    `evidence`; found: share of each source's anomalies that are alarms there; rank: normal images that a level leaves above or
    at it, plus one.
    """
    n, known = len(normals), {source: one[np.isfinite(one)] for source, one in evidence.anomalies.items()}
    p_of = {source: p_values(scores, evidence.normals) for source, scores in known.items()}
    found = []
    for rank in ranks(n):
        rate = rank / (n + 1)
        low, high = realised(n, rate)
        found.append(
            {
                "rank": rank,
                "rate": rate,
                "written": written(n, rank),
                "low": low,
                "high": high,
                "level": level_of(normals, rate),
                "at": float(axis.at(level_of(evidence.normals, rate))),
                "found": [float((p <= rate * (1 + 1e-9)).mean()) if len(p) else float("nan") for p in p_of.values()],
            }
        )
    return found


def usual(n: int) -> int:
    """The place among `ranks` of the usual share of false alarms, or of the least that can be promised."""
    return int(np.searchsorted(ranks(n), max(1, rank_of(n, WANTED)), side="right")) - 1


def ranks_of(scores: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(a,) int: the smallest rank whose level makes an alarm of each score."""
    return np.rint(p_values(scores, normals) * (len(normals) + 1)).astype(int)


def spread(order: np.ndarray, most: int) -> list[int]:
    """At most so many of a sequence, from its first to its last.

    >>> spread(np.arange(10), 3), spread(np.arange(2), 3)
    ([0, 4, 9], [0, 1])
    """
    return order[np.unique(np.linspace(0, len(order) - 1, most).astype(int))].tolist() if len(order) else []


def to_show(scores: np.ndarray, alarms: np.ndarray, most: int) -> list[int]:
    """Rows of anomalies to show: of the missed and the caught at most so many each, the least anomalous first."""
    order = np.argsort(scores, kind="stable")
    order = order[np.isfinite(scores[order])]
    return spread(order[~alarms[order]], most) + spread(order[alarms[order]], most)
