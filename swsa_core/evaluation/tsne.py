"""t-SNE of one task in the feature space of one candidate: what the synthetic anomalies look like beside real ones (Figure 4).

Support images are there twice: as the original files, like the real anomalies, and as prepared for the generators, like the
synthetic ones. Where the two lie apart, the preparation is what is seen.
"""

import numpy as np
import pandas as pd

from swsa_core.datasets import real_validation
from swsa_core.detectors.scores import banks_of, features_of
from swsa_core.evaluation.evaluate import real_wins

COLUMNS = ["task", "closest", "group", "image_id", "x", "y"]
TEXT = COLUMNS[:4]  # of the columns
# Groups beside the sources of synthetic anomalies.
NORMAL, PREPARED, REAL = "normal", "normal_prepared", "real"
PERPLEXITY = 30


def closest_anomalies(scores, index, spec, task):
    """The out-class (or defect type) with the lowest AUROC against a task, and the ids of its test images.

    scores: `Scores` of the candidate whose features are shown; index: the table of images.csv; spec: the data set's config.
    ("", []) for a task without real labels.
    """
    wins = next(
        found
        for name, found in zip(scores.tasks, real_wins({"": scores}, index, spec), strict=True)
        if name == task
    )  # fmt: skip
    if wins is None or len(wins[0]) == 1:
        return "", []
    names, won, sizes, _ = wins
    closest = names[1 + int(np.argmin(won[1:, 0] / sizes[1:]))]
    rows, groups, _ = real_validation(index, spec, task)
    scored = set(scores.test["image_id"])
    return closest, [image_id for image_id in index["image_id"].iloc[rows[groups == closest]] if image_id in scored]


def groups_of(support, images, prepared, anomalies, real_ids, original):
    """{group: (features (n, d), image ids (n,))} of one task, in the order in which they are drawn.

    support: of the task; images, prepared, anomalies: as `swsa_core.detectors.score_knn.score_dataset` takes them;
    original: the generators work on the original files, so that no images are prepared.
    """
    bank = banks_of([support])[support["task"]]
    groups = {}
    for source, (features, tasks, _) in anomalies.items():
        mine = np.asarray(tasks, dtype=object) == support["task"]
        groups[source] = features[mine], [f"{source}/{row}" for row in range(mine.sum())]
    groups[REAL] = features_of(images, real_ids, "images.h5"), real_ids
    if not original:
        groups[PREPARED] = features_of(prepared, bank, "support.h5"), bank
    groups[NORMAL] = features_of(images, bank, "images.h5"), bank
    return {name: (features, ids) for name, (features, ids) in groups.items() if len(ids)}


def project(groups, task, closest, rng):
    """Table with `COLUMNS`: the images of `groups` in the plane by t-SNE (van der Maaten & Hinton 2008)."""
    from sklearn.manifold import TSNE  # seconds to import, and only this function needs it

    features = np.concatenate([features for features, _ in groups.values()]).astype(np.float64)
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    seed = int(rng.integers(2**31))
    places = TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1).fit_transform(features)  # (n, 2)
    return pd.DataFrame(
        {
            "task": task,
            "closest": closest,
            "group": np.repeat(list(groups), [len(ids) for _, ids in groups.values()]),
            "image_id": [image_id for _, ids in groups.values() for image_id in ids],
            "x": places[:, 0].astype(np.float64),
            "y": places[:, 1].astype(np.float64),
        },
        columns=COLUMNS,
    )
