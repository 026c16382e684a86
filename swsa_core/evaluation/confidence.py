"""How sure a synthetic AUROC and the pick are: a bootstrap over the support images, and over the sources of anomalies.

A hundred anomalies made from a 10 × 10 cross of 20 images are not a hundred independent ones, so it is the support
images that are resampled: the pigeonhole bootstrap (Owen 2007). P(best) is counted over the resamples; the interval takes
their variance (`swsa_core.evaluation.intervals`). It is about the synthetic AUROC, not the real one.
A source may mislead as a whole, which no number of its anomalies shows. So the rows of `ALL_SOURCES` draw the sources, too.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from swsa_core.basics.seeding import rng
from swsa_core.detectors.scores import Scores
from swsa_core.evaluation.evaluate import check_alike
from swsa_core.evaluation.intervals import auroc_interval, most_draws
from swsa_core.evaluation.protocols import Comparison, compare, once_each
from swsa_core.files.table import Table

CONFIDENCE = Table(
    "confidence",
    "selection task candidate validation protocol p_best p_near low high",
    numbers="p_best p_near low high",
)
ALL_SOURCES = (
    "all_sources"  # the validation of the rows about the mean over the sources, each drawn as often as it falls
)
NEAR = 0.01  # AUROCs that differ by no more are alike


def confidence(
    scores: Mapping[str, Scores],
    dataset: str,
    seed: int,
    protocols: Sequence[str],
    resamples: int = 1000,
    level: float = 0.95,
    threads: int = 1,
) -> pd.DataFrame:
    """P(the candidate is the best), P(it is near the best) and the interval of each synthetic AUROC on all anomalies.

    Returns a table with the columns of `CONFIDENCE` but the selection.

    scores: {candidate: Scores} in the order of the config. p_best is the share of resamples in which the candidate
    has the highest AUROC; those that tie share a resample equally. p_near is the share in which its AUROC is at most `NEAR`
    below the highest. low, high: of `auroc_interval`; NaN, as the others, where no resample has both anomalies and normals.
    The rows of `ALL_SOURCES` are about the mean over the sources; they have no interval.
    The resamples are the same for all candidates, protocols and sources of a task, and in any number of threads.
    """
    check_alike(scores)
    first = next(iter(scores.values()))

    def of_task(task):
        rows, of_sources = [], {protocol: [] for protocol in protocols}
        n_support = len(first.of_task(first.support, task)["task"])
        support = multiplicities(rng(seed, dataset, task, "bootstrap"), n_support, resamples)
        for source in first.anomalies:
            parents = first.of_task(first.anomalies[source], task)["parents"]
            if (parents >= 0).any():
                weights = parents_drawn(parents, support)
            else:
                weights = multiplicities(rng(seed, dataset, task, source, "bootstrap"), len(parents), resamples)
            for protocol in protocols:
                comparisons = [compare(of, task, source, protocol) for of in scores.values()]
                aurocs = resampled_aurocs(comparisons, support, weights)
                of_sources[protocol].append(aurocs)
                found = zip(scores, *chances(aurocs), *_interval(comparisons, aurocs, level), strict=True)
                rows += [[task, candidate, source, protocol, *map(float, known)] for candidate, *known in found]
        drawn = multiplicities(rng(seed, dataset, task, ALL_SOURCES, "bootstrap"), len(first.anomalies), resamples)
        for protocol, aurocs in of_sources.items():
            found = zip(scores, *chances(over_sources(np.stack(aurocs), drawn)), strict=True)
            rows += [
                [task, candidate, ALL_SOURCES, protocol, *map(float, known), np.nan, np.nan]
                for candidate, *known in found
            ]
        return rows

    # The products are small: a BLAS that splits one among threads spends most of its time waiting for them.
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        rows = [row for of_one in pool.map(of_task, first.tasks) for row in of_one]
    return pd.DataFrame(rows, columns=CONFIDENCE.columns[1:])


def multiplicities(generator: np.random.Generator, n: int, resamples: int) -> np.ndarray:
    """How often each of n images, or sources, is drawn in n draws: (resamples, n)."""
    return generator.multinomial(n, np.full(n, 1 / n), size=resamples).astype(float)


def parents_drawn(parents: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Weight of each anomaly in each resample, the product of its parents' multiplicities: (resamples, a)."""
    parents = once_each(parents)
    return np.where(parents >= 0, support[:, parents], 1).prod(axis=2)


def resampled_aurocs(comparisons: Sequence[Comparison], support: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted AUROC of every candidate in every resample, (c, resamples); NaN where no anomaly or no normal was drawn.

    comparisons: of the c candidates, by one protocol; support: (resamples, s) multiplicities, the weights of the normals
    (in `paired` the anomalies' weights hold them); weights: (resamples, a) of the anomalies. Numerator and denominator
    are bilinear in the weights and whole multiples of 1/4, so that ties are ties and the order of a sum changes nothing.
    Pairs that do not count are in neither.
    """
    of_normals = comparisons[0].normals
    normals = np.ones((len(support), 1)) if of_normals[0] < 0 else support[:, of_normals]  # (resamples, n)
    wins = np.concatenate([one.wins for one in comparisons], axis=1)  # (a, c * n)

    def summed(values):
        of_normals = (weights @ values).reshape(len(support), len(comparisons), -1)  # (resamples, c, n)
        return np.matmul(of_normals, normals[:, :, None])[:, :, 0].T

    counted = np.isfinite(wins)
    if counted.all():
        won = summed(wins)
        total = np.broadcast_to(weights.sum(axis=1) * normals.sum(axis=1), won.shape)
    else:
        won, total = summed(np.where(counted, wins, 0)), summed(counted.astype(float))
    return np.divide(won, total, out=np.full(won.shape, np.nan), where=total > 0)


def over_sources(aurocs: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Mean AUROC over the sources that each resample draws, (c, resamples); NaN where none of them has an AUROC.

    aurocs: (sources, c, resamples); drawn: (resamples, sources), how often each is drawn. A source without an AUROC in a
    resample is left out there; a candidate that has an AUROC by no source stays without, and the others as they are.
    """
    aurocs = filled(aurocs)
    known = np.isfinite(aurocs)
    some = known.any(axis=(0, 2))  # (c,)
    weights = np.where(known[:, some].all(axis=1) & some.any(), drawn.T, 0)  # (sources, resamples)
    total, mean = weights.sum(axis=0), np.zeros(aurocs.shape[1:])
    for of_source, weight in zip(aurocs, weights, strict=True):  # in one order, so that ties stay ties
        mean += np.where(weight > 0, of_source, 0) * weight
    mean[~some] = np.nan
    return np.divide(mean, total, out=np.full(mean.shape, np.nan), where=total > 0)


def filled(aurocs: np.ndarray) -> np.ndarray:
    """AUROCs (sources, c, resamples) with those that a candidate has in no resample, as of the source it was trained on.

    Sources are not equally hard, so that leaving one out would favour or harm the candidate. It is taken to be as far above the
    mean of the candidates that have all sources as it is by its other sources on average; without any it stays as it is.
    """
    lacking = ~np.isfinite(aurocs).any(axis=2)  # (sources, c)
    lacking &= ~lacking.all(axis=1, keepdims=True)
    if not lacking.any() or lacking.any(axis=0).all():
        return aurocs
    level = aurocs[:, ~lacking.any(axis=0)].mean(axis=1, keepdims=True)  # (sources, 1, resamples)
    above = aurocs - level
    known = np.isfinite(above)
    n = known.sum(axis=0)  # (c, resamples)
    mean = np.divide(np.where(known, above, 0).sum(axis=0), n, out=np.full(n.shape, np.nan), where=n > 0)
    return np.where(lacking[:, :, None], level + mean, aurocs)


def chances(aurocs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(p_best, p_near) of each candidate, (c,) both; aurocs: (c, resamples), resamples without a value are left out.

    They are NaN for a candidate that has no value in any resample, and the others share.
    """
    p_best, p_near = np.full((2, len(aurocs)), np.nan)
    known = np.isfinite(aurocs).any(axis=1)
    aurocs = aurocs[known]
    aurocs = aurocs[:, np.isfinite(aurocs).all(axis=0)]
    if aurocs.size == 0:
        return p_best, p_near
    highest = aurocs.max(axis=0)
    best = aurocs == highest
    near = aurocs >= highest - NEAR - 1e-12  # AUROCs are sums of shares: .9 is not below .91 by more than .01
    p_best[known], p_near[known] = (best / best.sum(axis=0)).mean(axis=1), near.mean(axis=1)
    return p_best, p_near


def _interval(comparisons, aurocs, level):
    """(low, high) of each candidate, (c,) both; aurocs: (c, resamples), of which each leaves out those without a value."""
    low, high = np.full((2, len(aurocs)), np.nan)
    values = {c: row[np.isfinite(row)] for c, row in enumerate(aurocs)}
    known = [c for c, of_one in values.items() if len(of_one)]
    # each by itself, so that a candidate's variance is summed in the same order whatever others there are
    variances = np.array([values[c].var() for c in known])
    centres, draws = (np.array([of(comparisons[c]) for c in known]) for of in (lambda one: one.auroc, most_draws))
    low[known], high[known] = auroc_interval(centres, variances, draws, level)
    return low, high
