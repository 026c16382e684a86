"""How sure a synthetic AUROC and the pick are: a bootstrap over the support images.

A hundred anomalies made from a 10 × 10 cross of 20 images are not a hundred independent ones, so it is the support
images that are resampled: the pigeonhole bootstrap (Owen 2007). P(best) is counted over the resamples; the interval takes
their variance (`swsa_core.evaluation.intervals`). It is about the synthetic AUROC, not the real one.
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
    "confidence", "selection task candidate validation protocol p_best low high", numbers="p_best low high"
)


def confidence(
    scores: Mapping[str, Scores],
    dataset: str,
    seed: int,
    protocols: Sequence[str],
    resamples: int = 1000,
    level: float = 0.95,
    threads: int = 1,
) -> pd.DataFrame:
    """P(the candidate is the best) and the interval of each synthetic AUROC on all anomalies.

    Returns a table with the columns of `CONFIDENCE` but the selection.

    scores: {candidate: Scores} in the order of the config. p_best is the share of resamples in which the candidate
    has the highest AUROC; those that tie share a resample equally. low, high: of `auroc_interval`; NaN, as p_best, where
    no resample has both anomalies and normals.
    The resamples are the same for all candidates and protocols of a task and source, and in any number of threads.
    """
    check_alike(scores)
    first = next(iter(scores.values()))

    def of_task(task):
        rows = []
        n_support = len(first.of_task(first.support, task)["task"])
        for source in first.anomalies:
            parents = first.of_task(first.anomalies[source], task)["parents"]
            own = len(parents) if not (parents >= 0).any() else 0
            support, own = multiplicities(rng(seed, dataset, task, source, "bootstrap"), n_support, own, resamples)
            weights = own if own is not None else parents_drawn(parents, support)
            for protocol in protocols:
                comparisons = [compare(of, task, source, protocol) for of in scores.values()]
                aurocs = resampled_aurocs(comparisons, support, weights)
                for candidate, found in zip(scores, _summary(comparisons, aurocs, level), strict=True):
                    rows.append([task, candidate, source, protocol, *found])
        return rows

    # The products are small: a BLAS that splits one among threads spends most of its time waiting for them.
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        rows = [row for of_one in pool.map(of_task, first.tasks) for row in of_one]
    return pd.DataFrame(rows, columns=CONFIDENCE.columns[1:])


def multiplicities(
    generator: np.random.Generator, n_support: int, n_own: int, resamples: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """How often each image is drawn: support (resamples, n_support), and anomalies without parents (resamples, n_own).

    The second is None where n_own is 0.
    """
    support = generator.multinomial(n_support, np.full(n_support, 1 / n_support), size=resamples)
    own = generator.multinomial(n_own, np.full(n_own, 1 / n_own), size=resamples) if n_own else None
    return support.astype(float), own if own is None else own.astype(float)


def parents_drawn(parents: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Weight of each anomaly in each resample, the product of its parents' multiplicities: (resamples, a)."""
    parents = once_each(parents)
    return np.where(parents >= 0, support[:, parents], 1).prod(axis=2)


def resampled_aurocs(comparisons: Sequence[Comparison], support: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted AUROC of every candidate in every resample, (c, resamples); NaN where no anomaly or no normal was drawn.

    comparisons: of the c candidates, by one protocol; support: (resamples, s) multiplicities, the weights of the normals
    (in `paired` the anomalies' weights hold them); weights: (resamples, a) of the anomalies. Numerator and denominator
    are bilinear in the weights and whole multiples of 1/4, so that ties are ties and the order of a sum changes nothing.
    """
    of_normals = comparisons[0].normals
    normals = np.ones((len(support), 1)) if of_normals[0] < 0 else support[:, of_normals]  # (resamples, n)
    wins = np.concatenate([one.wins for one in comparisons], axis=1)  # (a, c * n)
    won = (weights @ wins).reshape(len(support), len(comparisons), -1)  # (resamples, c, n)
    won = np.matmul(won, normals[:, :, None])[:, :, 0].T
    total = np.broadcast_to(weights.sum(axis=1) * normals.sum(axis=1), won.shape)
    return np.divide(won, total, out=np.full(won.shape, np.nan), where=total > 0)


def _summary(comparisons, aurocs, level):
    """(p_best, low, high) of each candidate, from (candidates, resamples); resamples without a value are left out."""
    aurocs = aurocs[:, np.isfinite(aurocs).all(axis=0)]
    if aurocs.shape[1] == 0:
        return [(np.nan, np.nan, np.nan)] * len(aurocs)
    best = aurocs == aurocs.max(axis=0)
    p_best = (best / best.sum(axis=0)).mean(axis=1)
    # contiguous, so that a candidate's variance is summed in the same order whatever others there are
    variances = np.ascontiguousarray(aurocs).var(axis=1)
    found = [one.wins.mean() for one in comparisons]
    low, high = auroc_interval(found, variances, most_draws(comparisons[0]), level)
    return [tuple(map(float, found)) for found in zip(p_best, low, high, strict=True)]
