"""How often the interval of a synthetic AUROC holds the true one, by simulation.

A normal image scores √ρ u + √(1 − ρ) e, with u the effect of the image; an anomaly scores a shift + √ρ (mean effect of its
parents, scaled to variance 1) + √(1 − ρ) e. All u and e are standard normal. The shift gives the true AUROC, the
mean over the pairs that a protocol compares. Prints coverage and mean width of the interval, and of the percentiles of the same
resamples.

    python benchmarks/coverage.py [--samples 1000] [--resamples 400] [--spread 1]
"""

import argparse
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from swsa_core.detectors.scores import Scores
from swsa_core.evaluation.confidence import multiplicities, parents_drawn, resampled_aurocs
from swsa_core.evaluation.intervals import auroc_interval, most_draws
from swsa_core.evaluation.protocols import compare

AUROCS = (0.76, 0.9, 0.96, 0.98)
SHARES = (0.1, 0.5, 0.9)  # ρ, of the variance that an anomaly shares with its parents


class Design(NamedTuple):
    """Which images the anomalies are made from."""

    n_support: int
    parents: np.ndarray  # (a, P) rows of the support set


def crossed(n):
    """n styles x n contents, all pairs."""
    styles, contents = np.divmod(np.arange(n * n), n)
    return Design(2 * n, np.stack([styles, contents + n], axis=1))


DESIGNS = {
    "5 x 5 parents": crossed(5),
    "10 x 10 parents": crossed(10),
    "one parent, 25 of 25": Design(25, np.arange(25)[:, None]),
    "one parent, 100 of 20": Design(20, (np.arange(100) % 20)[:, None]),
    "no parents, 25 and 10": Design(10, np.empty((25, 0), dtype=int)),
    "no parents, 100 and 20": Design(20, np.empty((100, 0), dtype=int)),
}


def shift_of(design, protocol, share, auroc, spread=1.0):
    """How much higher anomalies score than normals where the true AUROC is `auroc`."""
    n_parents = design.parents.shape[1]
    if n_parents == 0:
        return norm.ppf(auroc) * np.sqrt(1 + spread**2)
    own = np.sqrt(1 + spread**2 - 2 * spread * share / np.sqrt(n_parents))  # deviation of the difference to a parent
    among_own = 1 if protocol == "paired" else n_parents / design.n_support

    def excess(shift):
        return among_own * norm.cdf(shift / own) + (1 - among_own) * norm.cdf(shift / np.sqrt(1 + spread**2)) - auroc

    return brentq(excess, -10, 90)


def draw(design, share, shift, spread, generator):
    """`Scores` of one sample, without a bank: one task, one source."""
    n_anomalies, n_parents = design.parents.shape
    effects = generator.normal(size=design.n_support)
    normals = np.sqrt(share) * effects + np.sqrt(1 - share) * generator.normal(size=design.n_support)
    anomalies = generator.normal(size=n_anomalies)
    if n_parents:
        of_parents = effects[design.parents].sum(axis=1) / np.sqrt(n_parents)
        anomalies = np.sqrt(share) * of_parents + np.sqrt(1 - share) * anomalies
    support = {"task": np.zeros(design.n_support, int), "held_out": np.zeros(design.n_support, bool), "scores": normals}
    made = {"task": np.zeros(n_anomalies, int), "parents": design.parents, "scores": shift + spread * anomalies}
    return Scores(["task"], {}, support, {"source": made})


def simulate(design, protocol, share, auroc, samples, resamples, generator, spread=1.0):
    """(coverage, mean width) of the interval and of the percentiles, (2, 2)."""
    shift = shift_of(design, protocol, share, auroc, spread)
    found = []
    for _ in range(samples):
        comparison = compare(draw(design, share, shift, spread, generator), "task", "source", protocol)
        support = multiplicities(generator, design.n_support, resamples)
        own = not design.parents.shape[1]
        weights = (
            multiplicities(generator, len(design.parents), resamples)
            if own
            else parents_drawn(comparison.parents, support)
        )
        drawn = resampled_aurocs([comparison], support, weights)[0]
        drawn = drawn[np.isfinite(drawn)]
        interval = auroc_interval(comparison.wins.mean(), drawn.var(), most_draws(comparison))
        found.append(
            [[low <= auroc <= high, high - low] for low, high in (interval, np.quantile(drawn, [0.025, 0.975]))]
        )
    return np.mean(found, axis=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--spread", type=float, default=1.0, help="standard deviation of the anomalies' scores")
    arguments = parser.parse_args()
    options = arguments.samples, arguments.resamples
    generator = np.random.default_rng(0)
    print("| anomalies | protocol | true AUROC | coverage | mean width | percentiles: coverage | mean width |")
    print("|---|---|---|---|---|---|---|")
    for (name, design), protocol, auroc in product(DESIGNS.items(), ("leave_one_out", "paired"), AUROCS):
        if protocol == "paired" and not design.parents.shape[1]:
            continue
        shares = SHARES if design.parents.shape[1] else SHARES[:1]
        found = np.stack(
            [simulate(design, protocol, share, auroc, *options, generator, arguments.spread) for share in shares]
        )
        # the lowest coverage over ρ, the mean width
        (coverage, former), (width, former_width) = found[:, :, 0].min(axis=0), found[:, :, 1].mean(axis=0)
        cells = name, protocol, auroc, f"{coverage:.3f}", f"{width:.3f}", f"{former:.3f}", f"{former_width:.3f}"
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
