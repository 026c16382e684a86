"""Verdicts: what a user may believe of a pick. docs/confidence.md says how often each was right on labelled images.

* `clear`: sources of both kinds, made from the task's own images and taken from elsewhere, are not saturated; each of these
  has the pick near its best in half of the resamples or more, and all sources together in `SURE` of them.
* `no basis`: every source is saturated; or no source's best AUROC reaches `TOLD`; or two sources exclude each other's best
  candidate; or all sources together exclude the pick; or sources of one kind alone leave nothing but the pick.
* `close call`: otherwise. `alike` are the candidates that are not excluded and cannot be told apart.

Near is at most `swsa_core.evaluation.confidence.NEAR` below the best. A candidate is excluded where it is near in less than
`POSSIBLE` of the resamples. Sources of one kind may mislead together: what is made from normal images carries traces of the
making, such as seams, that real anomalies have not, and images from elsewhere differ in more than real anomalies do.
"""

from collections.abc import Collection, Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np

CLEAR, CLOSE, NO_BASIS = "clear", "close call", "no basis"
VERDICTS = (CLEAR, CLOSE, NO_BASIS)
SURE = 0.8
POSSIBLE = 0.05
TOLD = 0.6
SATURATED = 0.99


class Verdict(NamedTuple):
    """What a user may believe of a pick."""

    verdict: str = ""
    """One of `VERDICTS`, "" where there is no pick to judge."""
    reason: str = ""
    alike: tuple[int, ...] = ()
    """Rows of the candidates that cannot be told apart from the best, those with the fewest parameters first."""


def is_saturated(synthetic: np.ndarray) -> bool:
    """Whether a quarter of the candidates, and at least two, all but reach 1: such a source cannot tell the best ones apart.

    synthetic: AUROC (c,); candidates without one do not count.
    """
    return int((synthetic >= SATURATED).sum()) >= max(2, int(np.isfinite(synthetic).sum()) / 4)


def judge(
    pick: int,
    synthetic: Mapping[str, np.ndarray],
    near: Mapping[str, np.ndarray],
    together: np.ndarray,
    n_parameters: np.ndarray,
    own: Collection[str],
) -> Verdict:
    """The `Verdict` on a pick.

    pick: its row among the c candidates; synthetic: {source: AUROC (c,)}; near: {source: p_near (c,)}, together: p_near (c,)
    of all sources together, see `swsa_core.evaluation.confidence`; n_parameters: (c,); own: the sources whose anomalies are
    made from the task's own images.
    """
    possible = np.flatnonzero(together >= POSSIBLE)
    alike = tuple(possible[np.argsort(n_parameters[possible], kind="stable")].tolist())
    heard = [source for source, aurocs in synthetic.items() if not is_saturated(aurocs)]
    best = {source: int(np.nanargmax(synthetic[source])) for source in heard if not np.isnan(synthetic[source]).all()}
    if not heard:
        return Verdict(
            NO_BASIS, "the anomalies of every source are so easy that they cannot separate the candidates", alike
        )
    if not any((aurocs >= TOLD).any() for aurocs in synthetic.values()):
        return Verdict(NO_BASIS, f"no candidate tells the anomalies of any source: every AUROC is below {TOLD}", alike)
    for one, other in combinations(best, 2):
        if near[one][best[other]] < POSSIBLE and near[other][best[one]] < POSSIBLE:
            return Verdict(
                NO_BASIS, "the sources contradict each other: the best of one is ruled out by another", alike
            )
    if pick not in alike:
        return Verdict(NO_BASIS, "the sources together rule out the pick", alike)
    # not those that the pick alone has no AUROC by, as it was trained on them
    judging = [one for one in heard if np.isnan(synthetic[one]).all() or not np.isnan(synthetic[one][pick])]
    both = len({source in own for source in judging}) > 1
    if both and together[pick] >= SURE and all(near[source][pick] >= 0.5 for source in judging):
        return Verdict(CLEAR, "the sources agree", alike)
    if len(alike) == 1:
        return Verdict(NO_BASIS, "only one kind of source speaks, and it may mislead", alike)
    return Verdict(CLOSE, "these candidates cannot be told apart", alike)
