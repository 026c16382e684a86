"""Total variation between the real and the synthetic validation set of each task (App. B, Table 3)."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from swsa_core import metrics
from swsa_core.basics.seeding import rng
from swsa_core.detectors.scores import Anomalies, Features, features_of
from swsa_core.evaluation.closest import Closest
from swsa_core.files.support import Support
from swsa_core.files.table import Table

TOTAL_VARIATION = Table(
    "total_variation",
    "task space closest source support total_variation ceiling n_support n_real n_synthetic n_clusters",
    numbers="total_variation ceiling n_support n_real n_synthetic n_clusters",
)


def total_variation(
    supports: Sequence[Support],
    images: Features,
    anomalies: Mapping[str, Anomalies],
    real: Mapping[str, Closest],
    space: str,
    seed: int,
    dataset: str,
    n_runs: int = 10,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Total variation between D₁ = X_support ∪ X_out and D₂ = X_support ∪ synthetic anomalies.

    Returns a table with the columns of `TOTAL_VARIATION`.

    supports, images, anomalies: as for `swsa_core.detectors.score_knn.score_dataset`; real: {task: its real anomalies}.
    space: name of the candidate whose features they are. progress: called with (tasks done, tasks).
    X_support has the features of its original files in both sets, like X_out, not those of the prepared images that the
    synthetic anomalies were made from: the two sets share the same points, and the value cannot exceed the ceiling
    2(1 − min s), s the share of the support in each set. The paper prints values above the ceiling that the whole support
    leaves: for VisA always, and 1.143 for MVTec-AD, where it takes 75 support images or fewer and only toothbrush has them.
    So there is a row with X_support = seeds and held-out images (support "all") and one with the seeds alone ("seeds").
    """
    rows = []
    shown = [support for support in supports if support["task"] in real]
    for done, support in enumerate(shown, 1):
        task = support["task"]
        x_out = features_of(images, real[task].image_ids, "images.h5")  # (n_real, d)
        parts = {"all": [*support["seed_ids"], *support["held_out_ids"]], "seeds": support["seed_ids"]}
        for source, made in anomalies.items():
            synthetic = made.features[np.asarray(made.tasks, dtype=object) == task]  # (n_synthetic, d)
            drawn = int(rng(seed, dataset, task, source, "total_variation").integers(2**32))
            for part, ids in parts.items():
                x_support = features_of(images, ids, "images.h5")  # (n_support, d)
                found = _compare(x_support, x_out, synthetic, n_runs, drawn)
                known = {"task": task, "space": space, "closest": real[task].group, "source": source, "support": part}
                rows.append(known | found)
        if progress:
            progress(done, len(shown))
    return pd.DataFrame(rows, columns=TOTAL_VARIATION.columns)


def _compare(support, real, synthetic, n_runs, seed):
    one, other = np.concatenate([support, real]), np.concatenate([support, synthetic])
    n_clusters = round(np.sqrt(len(one) + len(other)))
    share = len(support) / max(len(one), len(other))
    return {
        "total_variation": metrics.total_variation(one, other, n_clusters, n_runs, seed),
        "ceiling": 2 * (1 - share),
        "n_support": len(support),
        "n_real": len(real),
        "n_synthetic": len(synthetic),
        "n_clusters": n_clusters,
    }
