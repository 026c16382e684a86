"""A detector of the few candidates that synthetic anomalies speak for most, scored together.

Single candidates are closer together than the noise of one task's anomalies; synthetic anomalies keep the bad ones out, and an
average of good ones is better than a pick among them (docs/selection.md).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from swsa_core.detectors.together import scale_of, together
from swsa_core.evaluation.known import Budget, Known
from swsa_core.strategies.evidence import Case, Evidence, Pick, as_detector, means, of_all_tasks
from swsa_core.strategies.leading import leading_source
from swsa_core.strategies.strategy import MODEL, SUPPORT, Strategy

OF_BACKBONE = 1  # members that share a backbone: its heads err alike
RULED_OUT = 0.5  # of the best candidate's distance to guessing: one that is less far above it is no member
GUESSING = 0.5


def members(synthetic: Mapping[str, np.ndarray], backbones: Sequence[str], budget: Budget) -> list[int]:
    """Columns of the members, the same for all tasks: the `highest` by the leading source's mean over the tasks.

    synthetic: {source: AUROC (tasks, c)}.
    """
    return highest(means(synthetic[leading_source(synthetic)]), backbones, budget)


def highest(aurocs: np.ndarray, backbones: Sequence[str], budget: Budget, of_backbone: int = OF_BACKBONE) -> list[int]:
    """Columns of the highest AUROCs (c,) within a budget, at most `of_backbone` of one backbone; of ties the first declared.

    A candidate with which the detector would cost too much is passed over, one that learnt from these anomalies (NaN), and one
    that is ruled out, as a pool with few good backbones has fewer members than it may.

    >>> highest(np.array([0.75, 0.9, 0.8, 0.6]), ["a", "b", "b", "c"], Budget(max_members=3))
    [1, 0]
    """
    known = np.flatnonzero([not np.isnan(auroc) and budget.allows([column]) for column, auroc in enumerate(aurocs)])
    order = known[np.argsort(-aurocs[known], kind="stable")].tolist()
    lowest = min(aurocs[order[0]], GUESSING + RULED_OUT * (aurocs[order[0]] - GUESSING)) if order else GUESSING
    chosen: list[int] = []
    for column in order:
        if aurocs[column] < lowest:
            break
        of_same = sum(backbones[other] == backbones[column] for other in chosen)
        if len(chosen) < budget.max_members and of_same < of_backbone and budget.allows([*chosen, column]):
            chosen.append(column)
    return chosen


def combine(scores: np.ndarray, known: Known) -> np.ndarray:
    """Scores (n,) of the detector: the mean over its members of the log score in standard deviations of the normal images.

    scores: (n, c) of test images; the normal images' own are their leave-one-out scores, so that the members' units agree.
    """
    columns = members(known.synthetic, known.backbones, known.budget)
    return together(scores[:, columns], scale_of(known.normals[:, columns]))


def pick(evidence: Evidence, case: Case) -> Pick:
    """No single candidate, but the members and how their detector does."""
    columns = members(evidence.once(of_all_tasks), evidence.backbones, evidence.budget)
    names = [evidence.names[column] for column in columns]
    return as_detector(evidence, case)._replace(members=names)


STRATEGY = Strategy(
    title="SWSA ensemble",
    description="the few candidates with the highest synthetic AUROC by the leading source, averaged over the tasks, together",
    reference="",
    sees=SUPPORT,
    pick=pick,
    selections=(MODEL,),
    picks_one=False,
    is_detector=True,
    proposed=True,
    within_budget=True,
    combine=combine,
)
