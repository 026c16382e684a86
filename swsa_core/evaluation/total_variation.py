"""Total variation between the real and the synthetic validation set of each task (App. B, Table 3)."""

import numpy as np
import pandas as pd

from swsa_core import metrics
from swsa_core.basics.seeding import rng
from swsa_core.datasets import real_validation
from swsa_core.detectors.scores import features_of

COLUMNS = (
    ["task", "space", "closest", "source", "support", "total_variation", "ceiling", "n_support", "n_real", "n_synthetic"]
    + ["n_clusters"]
)  # fmt: skip
TEXT = ["task", "space", "closest", "source", "support"]  # of the columns


def closest_anomalies(auroc, index, spec, space, embedded):
    """{task: (closest out-class or defect type, its image ids)}, the real one-vs-closest anomalies of the candidate `space`.

    auroc: the table of `swsa_core.evaluation.evaluate`, with the setting one_vs_closest; index: the table of
    images.csv; spec: the data set's config; embedded: image ids that have features. Tasks without real anomalies are left out.
    """
    rows = auroc[
        (auroc["candidate"] == space) & (auroc["validation"] == "real") & (auroc["setting"] == "one_vs_closest")
    ]
    found = {}
    for task, closest in zip(rows["task"], rows["closest"], strict=True):
        test, groups, _ = real_validation(index, spec, task)
        ids = index["image_id"].to_numpy(dtype=object)[test[groups == closest]]
        found[task] = closest, [image_id for image_id in ids if image_id in embedded]
    return found


def total_variation(supports, images, anomalies, real, space, seed, dataset, n_runs=10, progress=None):
    """Table of total variations with `COLUMNS`: D₁ = X_support ∪ X_out against D₂ = X_support ∪ synthetic anomalies.

    supports, images, anomalies: as for `swsa_core.detectors.score_knn.score_dataset`; real: of `closest_anomalies`.
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
        closest, real_ids = real[task]
        x_out = features_of(images, real_ids, "images.h5")  # (n_real, d)
        parts = {"all": [*support["seed_ids"], *support["held_out_ids"]], "seeds": support["seed_ids"]}
        for source, (features, of, _) in anomalies.items():
            synthetic = features[np.asarray(of, dtype=object) == task]  # (n_synthetic, d)
            drawn = int(rng(seed, dataset, task, source, "total_variation").integers(2**32))
            for part, ids in parts.items():
                x_support = features_of(images, ids, "images.h5")  # (n_support, d)
                found = _compare(x_support, x_out, synthetic, n_runs, drawn)
                rows.append(
                    {"task": task, "space": space, "closest": closest, "source": source, "support": part} | found
                )
        if progress:
            progress(done, len(shown))
    return pd.DataFrame(rows, columns=COLUMNS)


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
