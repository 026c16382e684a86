"""Which images the networks of a task learn from, are stopped by, and score: none scores what it has learnt from.

The network `WHOLE` learns from the whole support set and scores the test images. Candidates are compared by others, one for
each fold of the support set: it learns from neither the fold's images nor anomalies made from them, and scores these alone.
Anomalies with parents in several folds are scored by none. Those without parents are scored by all.

Rows of parents (a, P) are those of the bank, -1 for none; P = 0 for anomalies without parents.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from swsa_core.anomalies import SOURCES
from swsa_core.basics.errors import InputError

WHOLE = -1  # the network that learns from the whole support set
# Parts: support images as they are, test images, and support images as prepared.
BANK, TEST, SUPPORT = "bank", "test", "support"
# One of so many images, and the anomalies made from these alone, stop the training and are not learnt from.
HELD_OUT = 5


class Split(NamedTuple):
    """What a network learns from and is stopped by: masks (s,) of the support images, (a,) of the anomalies of its source."""

    normals: np.ndarray
    anomalies: np.ndarray
    stopping_normals: np.ndarray
    stopping_anomalies: np.ndarray


class Request(NamedTuple):
    """Images that one network embeds: rows of a part, which is one of those above or the name of a source."""

    network: int
    part: str
    rows: np.ndarray


def folds_of(n: int, number: int) -> np.ndarray:
    """The fold (n,) of each bank row, in turn: seeds come in random order, and half of a source's pairs stay in one of 2 folds.

    >>> folds_of(5, 2)
    array([0, 1, 0, 1, 0])
    """
    return np.arange(n) % number


def within(parents: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Which anomalies (a,) have all of their parents among the bank rows `chosen` (s,) bool."""
    return (np.append(chosen, True)[parents]).all(axis=1)  # row -1 is no parent


def scored_by(parents: np.ndarray, folds: np.ndarray, number: int) -> np.ndarray:
    """Which network of a fold may score which anomaly, (a, number) bool."""
    return np.stack([within(parents, folds == fold) for fold in range(number)], axis=1)


def split(kept: np.ndarray, parents: np.ndarray) -> Split:
    """The `Split` of a network that may see the bank rows `kept` (s,) bool and anomalies made from these alone.

    Where no anomaly is made from held-out images alone, as in small support sets, nothing is held out.
    """
    stopping = np.zeros_like(kept)
    stopping[np.flatnonzero(kept)[HELD_OUT // 2 :: HELD_OUT]] = True
    if (parents >= 0).any():
        held_out = within(parents, stopping)
        learnt = within(parents, kept & ~stopping)
    else:
        held_out = np.arange(len(parents)) % HELD_OUT == HELD_OUT // 2
        learnt = ~held_out
    if not (held_out.any() and stopping.any() and learnt.any()):
        nothing = np.zeros_like(kept), np.zeros(len(parents), dtype=bool)
        return Split(kept, within(parents, kept), *nothing)
    return Split(kept & ~stopping, learnt, stopping, held_out)


def requests(n_test: int, folds: np.ndarray, number: int, parents: Mapping[str, np.ndarray]) -> list[Request]:
    """What the networks of a task embed, network after network; parents: {source by which they are judged: its own}."""
    bank = np.arange(len(folds))
    found = [Request(WHOLE, BANK, bank), Request(WHOLE, TEST, np.arange(n_test))]
    for fold in range(number):
        found.append(Request(fold, SUPPORT, bank))
        found += [
            Request(fold, source, np.flatnonzero(scored_by(of, folds, number)[:, fold]))
            for source, of in parents.items()
        ]
    return found


def not_judged_by(source: str, sections: Mapping[str, dict]) -> list[str]:
    """The sources by whose anomalies a network is not judged that learnt from those of `source`: itself, and those of its pool.

    sections: {source: its section of the config}.
    """

    def pool_of(name):
        of_pool = SOURCES[name].of_pool
        return of_pool.pool(sections[name]) if of_pool else name

    return [name for name in sections if pool_of(name) == pool_of(source)]


def targets(task: str, source: str, n: int, strengths: np.ndarray | None) -> np.ndarray:
    """What a network learns to tell of n anomalies, (n,) float32; of normal images it is 0.

    For a regression, with strengths (n,), it is the strength as a share of the largest of the task, so that 0 stays no anomaly
    at all and learning rates suit all sources; else 1. Raises InputError for strengths that are all the same.
    """
    if strengths is None:
        return np.ones(n, np.float32)
    strengths = np.asarray(strengths, dtype=float)
    if strengths.min() == strengths.max():
        raise InputError(
            f"task {task!r}: the anomalies of {source!r} all have the strength {strengths[0]:g}, so that a regression has "
            f"nothing to predict: ask for several strengths in sources.{source}, or take `task: classification`"
        )
    return (strengths / np.abs(strengths).max()).astype(np.float32)
