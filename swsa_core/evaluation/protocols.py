"""Protocols: which normals stand against the synthetic anomalies of a task, and what the bank holds.

| protocol | normals | left out of the bank |
|---|---|---|
| `paper` | the held-out images, all support images where none is held out | nothing (Eq. 3 read literally) |
| `leave_one_out` | every support image | the normal itself; an anomaly's parents |
| `paired` | each anomaly's own parents | all parents of the anomaly, for both sides of a pair |
| `reconstructed` | the seed images, through the source's network and back | each normal's seed image; an anomaly's parents |

Each comes from the neighbours that the score stage stored, or from its scores for what each leaves out. A candidate without a
bank (CLIP) leaves nothing out: its
protocols differ in the choice of normals only. Anomalies without parents leave nothing out, and `paired` is
`leave_one_out` for them, as `reconstructed` is for those of a source without reconstructions.

A candidate that is fine-tuned (`swsa_core.exposure`) has several networks, none of which has learnt from what it scores, or
has it in its bank: its protocols differ in the choice of normals only, too. An anomaly and a normal are a pair where one
network may score both.
"""

from dataclasses import dataclass

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.detectors.knn import sum_of_nearest
from swsa_core.detectors.scores import Scores, once_each


@dataclass(frozen=True)
class Comparison:
    """How the synthetic anomalies of one task do against its normals, for one candidate and protocol.

    scores: (a,) anomaly scores, infinite where no network may score one. wins: (a, n) share of the pair won by the anomaly, 1,
    1/2 (tie) or 0; in `paired` (a, 1), the mean over the anomaly's parents. NaN where no network may score both. Their mean is
    the AUROC.
    normals: (n,) bank rows of the normals, or of the images that they are reconstructions of; (1,) -1 in `paired`, where
    the normals are part of the anomalies.
    parents: (a, P) bank rows, -1 for none, each parent once. n_normal: number of different normals.
    """

    scores: np.ndarray
    wins: np.ndarray
    normals: np.ndarray
    parents: np.ndarray
    n_normal: int

    @property
    def auroc(self) -> float:
        """Share of the pairs that the anomaly wins; NaN of no pair."""
        return mean_of_wins(self.wins)

    @property
    def counted(self) -> np.ndarray:
        """Which anomalies (a,) are in some pair."""
        return np.isfinite(self.wins).any(axis=1)


def mean_of_wins(wins: np.ndarray) -> float:
    """Mean of the pairs that count; NaN of none."""
    known = wins[np.isfinite(wins)]
    return float(known.sum() / known.size) if known.size else float("nan")


def compare(scores: Scores, task: str, source: str, protocol: str) -> Comparison:
    """`Comparison` of one task of a candidate's `Scores`.

    Raises InputError when fewer than k neighbours are left in the bank, the task has no anomalies, or some have parents
    and some have not.
    """
    support, anomalies = scores.of_task(scores.support, task), scores.of_task(scores.anomalies[source], task)
    if len(anomalies["task"]) == 0:
        raise InputError(f"task {task!r} has no anomalies of the source {source!r}: delete its scores and run again")
    parents = once_each(anomalies["parents"])
    k = scores.attributes.get("k")
    has_parents = (parents >= 0).any(axis=1)
    if has_parents.any() != has_parents.all():
        raise InputError(
            f"task {task!r}: expected parents of all anomalies of {source!r} or of none, received a mixture"
        )
    if protocol == "paired" and not has_parents.any():
        protocol = "leave_one_out"
    normals = support
    if protocol == "reconstructed":
        if source in scores.reconstructions:
            normals = scores.of_task(scores.reconstructions[source], task)
        else:
            protocol = "leave_one_out"
    try:
        return PROTOCOLS[protocol](normals, anomalies, parents, k)
    except ValueError as error:
        raise InputError(
            f"protocol {protocol!r}, task {task!r}, source {source!r}: the bank of {len(support['task'])} images is too"
            f" small for knn.k = {k} ({error}): add support images or lower knn.k"
        ) from error


def normal_scores(scores: Scores, task: str) -> np.ndarray:
    """Anomaly scores (n,) of a task's support images, each left out of the bank itself."""
    support = scores.of_task(scores.support, task)
    return _score(support, scores.attributes.get("k"), np.arange(len(support["task"]))[:, None])


def _paper(support, anomalies, parents, k):
    nothing = np.full(1, -1)
    held_out = np.flatnonzero(support["held_out"])
    normals = held_out if len(held_out) else np.arange(len(support["task"]))
    anomaly_scores, support_scores = (_score(part, k, nothing, "scores_in_bank") for part in (anomalies, support))
    return _crossed(anomaly_scores, support_scores[normals], normals, parents, anomalies, _networks(support, normals))


def _leave_one_out(support, anomalies, parents, k):
    normals = np.arange(len(support["task"]))
    found = _score(anomalies, k, parents), _score(support, k, normals[:, None])
    return _crossed(*found, normals, parents, anomalies, _networks(support, normals))


def _paired(support, anomalies, parents, k):
    anomaly_scores = _score(anomalies, k, parents)  # (a,)
    anomaly, slot = np.nonzero(parents >= 0)
    normal = parents[anomaly, slot]  # (pairs,)
    if "parent_scores" in anomalies:
        normal_scores = anomalies["parent_scores"][anomaly, slot]
    else:
        normal_scores = _score({name: values[normal] for name, values in support.items()}, k, parents[anomaly])
    won = np.bincount(anomaly, weights=_wins(anomaly_scores[anomaly], normal_scores)) / np.bincount(anomaly)
    if "counted" in anomalies:  # then all parents are of one fold, whose network scored all of them
        won = np.where(anomalies["counted"].any(axis=1), won, np.nan)
    return Comparison(anomaly_scores, won[:, None], np.full(1, -1), parents, len(np.unique(normal)))


def _reconstructed(reconstructions, anomalies, parents, k):
    seeds = reconstructions["parents"][:, 0]  # (n,) bank rows
    normal_scores = _score(reconstructions, k, seeds[:, None])
    networks = reconstructions["counted"].argmax(axis=1) if "counted" in reconstructions else None
    return _crossed(_score(anomalies, k, parents), normal_scores, seeds, parents, anomalies, networks)


LEADING = "leave_one_out"  # the protocol that the recommendation goes by, where the config has it
PROTOCOLS = {"paper": _paper, "leave_one_out": _leave_one_out, "paired": _paired, "reconstructed": _reconstructed}


def _crossed(anomaly_scores, normal_scores, normals, parents, anomalies, networks):
    """Every anomaly against every normal; networks: (n,) that scored the normals, None where there is one alone."""
    if networks is None:
        wins = _wins(anomaly_scores[:, None], normal_scores)
    else:
        wins = _wins(anomalies["by_network"][:, networks], normal_scores)
        wins = np.where(anomalies["counted"][:, networks], wins, np.nan)
    return Comparison(anomaly_scores, wins, normals, parents, len(normals))


def _networks(support, normals):
    """The network that scored each of the normals, None where there is one alone."""
    return support["network"][normals] if "network" in support else None


def _score(part, k, left_out, column="scores"):
    """Anomaly scores of the rows of `part`; left_out: bank rows (rows or 1, l), -1 for none.

    column: that of `swsa_core.detectors.requests` for them; CLIP, which has no bank, has one column for all.
    """
    if "neighbours" not in part:
        found = part.get(column, part["scores"])
        return np.where(part["counted"].any(axis=1), found, np.inf) if "counted" in part else found
    left_out = np.broadcast_to(left_out, (len(part["task"]), left_out.shape[-1]))
    return sum_of_nearest(part["neighbours"], part["distances"], k, left_out)


def _wins(anomalies, normals):
    return (anomalies > normals) + 0.5 * (anomalies == normals)
