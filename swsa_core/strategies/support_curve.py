"""How many more normal images would help: the selection made anew with fewer of them.

For some sizes, subsets of the support set of each task are drawn, with as many seed images as `seeds: auto` would take of so
many images. Every candidate is scored again by `swsa_core.detectors.subsets`, and the config's strategy picks among them as in
the study. Large subsets overlap, so that they differ less than new images would: docs/service.md says how far this carries.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from swsa_core.basics.seeding import rng
from swsa_core.datasets.support import fitting_seeds
from swsa_core.detectors.scores import Scores, banks_of
from swsa_core.evaluation.confidence import confidence
from swsa_core.evaluation.known import UNLIMITED, Budget
from swsa_core.evaluation.members import as_one
from swsa_core.evaluation.protocols import LEADING, compare
from swsa_core.files.support import Support
from swsa_core.files.table import Table
from swsa_core.strategies.select import BETWEEN, deployed, judged, picked, select

# A row for each task, size and draw. auroc: of the pick, by the source that decides with all images; loss: by all images,
# how far the AUROC of this pick is below that of the pick with all images.
SUPPORT_CURVE = Table("support_curve", "task n draw pick auroc loss verdict", numbers="n draw auroc loss")
SIZES, DRAWS = 5, 10  # sizes, and subsets of each but the whole
FEWEST = 10  # images of the smallest subsets, half of the images where there are fewer than twice as many
RESAMPLES = 200  # of the bootstrap behind each verdict

Redrawn = Mapping[str, Callable[[Sequence[Support]], Scores]]
"""{candidate: function of `swsa_core.detectors.subsets.redrawn`}, in the order of the config."""


class Selected(NamedTuple):
    """What is picked with some support sets: the scores {candidate: Scores}, and for each task names, verdict and source."""

    scores: dict[str, Scores]
    names: dict[str, list[str]]
    verdicts: dict[str, str]
    sources: dict[str, str]


def support_curve(
    redrawn: Redrawn,
    supports: Sequence[Support],
    candidates: pd.DataFrame,
    strategies: Sequence[str],
    dataset: str,
    seed: int,
    fewest: int,
    budget: Budget = UNLIMITED,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> pd.DataFrame:
    """The table `SUPPORT_CURVE` of a data set; its last size is the whole support set, which is drawn once.

    candidates: of `swsa_core.evaluation.evaluate.described`; strategies, budget: of the config; fewest: images that a bank
    needs; progress: called with (selections done, of how many).
    """
    drawn = list(subsets(supports, dataset, seed, fewest))
    found = []
    for subset in drawn:
        found.append(selected(redrawn, subset, candidates, strategies, dataset, seed, budget))
        progress(len(found), len(drawn))
    whole, rows, draws = found[-1], [], dict[tuple[str, int], int]()
    assert whole is not None  # as it has all anomalies
    for subset, one in zip(drawn, found, strict=True):
        if one is None:
            continue
        for task, bank in banks_of(subset).items():
            if not (one.names.get(task) and whole.names.get(task) and task in whole.sources):
                continue  # nothing is picked
            key, names, source = (task, len(bank)), one.names[task], whole.sources[task]
            draws[key] = draws.get(key, -1) + 1
            with_all, best = (auroc_of(whole.scores, of, task, source) for of in (names, whole.names[task]))
            here = auroc_of(one.scores, names, task, source)
            rows.append([*key, draws[key], BETWEEN.join(names), here, best - with_all, one.verdicts[task]])
    return pd.DataFrame(rows, columns=SUPPORT_CURVE.columns)


def subsets(supports: Sequence[Support], dataset: str, seed: int, fewest: int) -> Iterator[list[Support]]:
    """Smaller support sets of all tasks, the smallest first, and at last the whole ones; fewest: as above."""
    sizes = [sizes_of(len(bank), fewest) for bank in banks_of(supports).values()]
    for of_tasks in dict.fromkeys(zip(*sizes, strict=True)):
        whole = all(n == of_task[-1] for n, of_task in zip(of_tasks, sizes, strict=True))
        for draw in range(1 if whole else DRAWS):
            yield [
                subset(one, n, rng(seed, dataset, one["task"], f"support curve {n} {draw}"))
                for one, n in zip(supports, of_tasks, strict=True)
            ]


def sizes_of(n: int, fewest: int) -> list[int]:
    """`SIZES` numbers of images up to n, each larger than the one before by the same factor; at least `fewest`.

    >>> sizes_of(60, 5), sizes_of(12, 5), sizes_of(5, 5)
    ([10, 16, 24, 38, 60], [6, 7, 8, 10, 12], [5, 5, 5, 5, 5])
    """
    first = min(n, max(fewest, min(FEWEST, n // 2)))
    return [round(size) for size in np.geomspace(first, n, SIZES).tolist()]


def subset(support: Support, n: int, generator: np.random.Generator) -> Support:
    """A support set of n images of a larger one, with the seeds that n images have, from the seeds there are."""
    seeds, held_out = support["seed_ids"], support["held_out_ids"]
    n_seeds = max(min(len(seeds), fitting_seeds(n)), n - len(held_out))
    drawn = [
        [ids[row] for row in np.sort(generator.permutation(len(ids))[:number])]
        for ids, number in ((seeds, n_seeds), (held_out, n - n_seeds))
    ]
    return {**support, "seed_ids": drawn[0], "held_out_ids": drawn[1]}


def selected(
    redrawn: Redrawn,
    supports: Sequence[Support],
    candidates: pd.DataFrame,
    strategies: Sequence[str],
    dataset: str,
    seed: int,
    budget: Budget,
) -> Selected | None:
    """What the strategies pick with these support sets, by the protocol `LEADING`; arguments as of `support_curve`.

    Sources that have no anomalies of some task's subset are not heard; None where none is.
    """
    scores = heard({name: scored(supports) for name, scored in redrawn.items()})
    if not next(iter(scores.values())).anomalies:
        return None
    sureness = confidence(scores, dataset, seed, [LEADING], RESAMPLES)
    rows = select(aurocs(scores), sureness, candidates, strategies, [LEADING], budget=budget)
    _, picks = deployed(rows, strategies)
    verdicts = judged(rows, strategies)
    return Selected(
        scores,
        {row.Index: sorted(picked(row), key=list(scores).index) for row in picks.itertuples()},
        verdicts["verdict"].to_dict(),
        verdicts["source"].to_dict(),
    )


def heard(scores: Mapping[str, Scores]) -> dict[str, Scores]:
    """The scores without the sources that lack anomalies of some task: of pairs of images a small subset may hold none."""
    tasks = next(iter(scores.values())).tasks
    return {
        name: replace(
            one,
            anomalies={
                source: part for source, part in one.anomalies.items() if len(np.unique(part["task"])) == len(tasks)
            },
        )
        for name, one in scores.items()
    }


def aurocs(scores: Mapping[str, Scores]) -> pd.DataFrame:
    """The synthetic AUROCs of all candidates, as rows of auroc.csv that the selection reads."""
    first = next(iter(scores.values()))
    rows = [
        (task, name, source, LEADING, "", "all", compare(one, task, source, LEADING).auroc)
        for task in first.tasks
        for source in first.anomalies
        for name, one in scores.items()
    ]
    return pd.DataFrame(
        rows, columns=["task", "candidate", "validation", "protocol", "setting", "n_anomalies", "auroc"]
    )


def auroc_of(scores: Mapping[str, Scores], names: Sequence[str], task: str, source: str) -> float:
    """Synthetic AUROC of some candidates together, on the anomalies of one source."""
    return compare(as_one([scores[name] for name in names]), task, source, LEADING).auroc
