"""t-SNE of one task in the feature space of one candidate: what the synthetic anomalies look like beside real ones (Figure 4).

Support images are there twice: as the original files, like the real anomalies, and as prepared for the generators, like the
synthetic ones. Where the two lie apart, the preparation is what is seen.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from swsa_core.detectors.scores import Anomalies, Features, banks_of, features_of
from swsa_core.files.support import Support
from swsa_core.files.table import Table

TSNE = Table("tsne", "task closest group image_id x y", numbers="x y")
# Groups beside the sources of synthetic anomalies.
NORMAL, PREPARED, REAL = "normal", "normal_prepared", "real"
PERPLEXITY = 30


def groups_of(
    support: Support,
    images: Features,
    prepared: Features,
    anomalies: Mapping[str, Anomalies],
    real_ids: Sequence[str],
    original: bool,
) -> dict[str, Features]:
    """{group: its images} of one task, in the order in which they are drawn; an anomaly's id is "<source>/<row>".

    support: of the task; images, prepared, anomalies: as `swsa_core.detectors.score_knn.score_dataset` takes them;
    real_ids: of the real anomalies to show; original: whether the generators work on the original files,
    so that no images are prepared.
    """
    bank = banks_of([support])[support["task"]]
    groups = {}
    for source, made in anomalies.items():
        mine = np.asarray(made.tasks, dtype=object) == support["task"]
        groups[source] = Features(made.features[mine], [f"{source}/{row}" for row in range(mine.sum())])
    groups[REAL] = Features(features_of(images, real_ids, "images.h5"), real_ids)
    if not original:
        groups[PREPARED] = Features(features_of(prepared, bank, "support.h5"), bank)
    groups[NORMAL] = Features(features_of(images, bank, "images.h5"), bank)
    return {name: group for name, group in groups.items() if len(group.image_ids)}


def project(groups: Mapping[str, Features], task: str, closest: str, rng: np.random.Generator) -> pd.DataFrame:
    """Table with the columns of `TSNE`: the images of `groups` in the plane by t-SNE (van der Maaten & Hinton 2008)."""
    from sklearn import manifold  # seconds to import, and only this function needs it

    features = np.concatenate([group.features for group in groups.values()]).astype(np.float64)
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    seed = int(rng.integers(2**31))
    places = manifold.TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1).fit_transform(
        features
    )  # (n, 2)
    return pd.DataFrame(
        {
            "task": task,
            "closest": closest,
            "group": np.repeat(list(groups), [len(group.image_ids) for group in groups.values()]),
            "image_id": [image_id for group in groups.values() for image_id in group.image_ids],
            "x": places[:, 0].astype(np.float64),
            "y": places[:, 1].astype(np.float64),
        },
        columns=TSNE.columns,
    )
