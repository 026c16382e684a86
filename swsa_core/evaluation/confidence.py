"""How sure a synthetic AUROC and the pick are: a bootstrap over the support images.

A hundred anomalies made from a 10 × 10 cross of 20 images are not a hundred independent ones, so it is the support
images that are resampled: the pigeonhole bootstrap (Owen 2007). The interval is about the synthetic AUROC, not the real
one.
"""

import numpy as np
import pandas as pd

from swsa_core.basics.seeding import rng
from swsa_core.evaluation.evaluate import check_alike
from swsa_core.evaluation.protocols import compare, once_each

COLUMNS = ["task", "candidate", "validation", "protocol", "p_best", "low", "high"]
TEXT = ["task", "candidate", "validation", "protocol"]  # of the columns


def confidence(scores, dataset, seed, protocols, resamples=1000, level=0.95):
    """Table with `COLUMNS`: P(the candidate is the best) and the interval of each synthetic AUROC on all anomalies.

    scores: {candidate: Scores} in the order of the config. p_best is the share of resamples in which the candidate
    has the highest AUROC; those that tie share a resample equally. low, high: percentiles of the resampled AUROC.
    The resamples are the same for all candidates and protocols of a task and source.
    """
    check_alike(scores)
    first = next(iter(scores.values()))
    rows = []
    for task in first.tasks:
        n_support = len(first.of_task(first.support, task)["task"])
        for source in first.anomalies:
            parents = first.of_task(first.anomalies[source], task)["parents"]
            own = len(parents) if not (parents >= 0).any() else 0
            support, own = multiplicities(rng(seed, dataset, task, source, "bootstrap"), n_support, own, resamples)
            weights = own if own is not None else parents_drawn(parents, support)
            for protocol in protocols:
                comparisons = [compare(of, task, source, protocol) for of in scores.values()]
                aurocs = np.stack([resampled_aurocs(one, support, weights) for one in comparisons])  # (c, resamples)
                for candidate, found in zip(scores, _summary(aurocs, level), strict=True):
                    rows.append([task, candidate, source, protocol, *found])
    return pd.DataFrame(rows, columns=COLUMNS)


def multiplicities(generator, n_support, n_own, resamples):
    """How often each image is drawn: support (resamples, n_support), and anomalies without parents (resamples, n_own).

    The second is None where n_own is 0.
    """
    support = generator.multinomial(n_support, np.full(n_support, 1 / n_support), size=resamples)
    own = generator.multinomial(n_own, np.full(n_own, 1 / n_own), size=resamples) if n_own else None
    return support.astype(float), own if own is None else own.astype(float)


def parents_drawn(parents, support):
    """Weight of each anomaly in each resample, the product of its parents' multiplicities: (resamples, a)."""
    parents = once_each(parents)
    return np.where(parents >= 0, support[:, parents], 1).prod(axis=2)


def resampled_aurocs(comparison, support, weights):
    """Weighted AUROC of every resample, (resamples,); NaN where no anomaly or no normal was drawn.

    support: (resamples, s) multiplicities, the weights of the normals (in `paired` the anomalies' weights hold them);
    weights: (resamples, a) of the anomalies. Numerator and denominator are bilinear in the weights and whole multiples
    of 1/4, so that ties are ties.
    """
    paired = comparison.normals[0] < 0
    normals = np.ones((len(support), 1)) if paired else support[:, comparison.normals]  # (resamples, n)
    won = ((weights @ comparison.wins) * normals).sum(axis=1)
    total = weights.sum(axis=1) * normals.sum(axis=1)
    return np.divide(won, total, out=np.full(len(won), np.nan), where=total > 0)


def _summary(aurocs, level):
    """(p_best, low, high) of each candidate, from (candidates, resamples); resamples without a value are left out."""
    aurocs = aurocs[:, np.isfinite(aurocs).all(axis=0)]
    if aurocs.shape[1] == 0:
        return [(np.nan, np.nan, np.nan)] * len(aurocs)
    best = aurocs == aurocs.max(axis=0)
    p_best = (best / best.sum(axis=0)).mean(axis=1)
    low, high = np.quantile(aurocs, [(1 - level) / 2, (1 + level) / 2], axis=1)
    return [tuple(map(float, found)) for found in zip(p_best, low, high, strict=True)]
