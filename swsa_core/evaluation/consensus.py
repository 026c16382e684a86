"""The table of qualities that strategies give the candidates by their scores of the unlabelled test images alone."""

from collections.abc import Callable, Collection, Mapping

import numpy as np
import pandas as pd

from swsa_core.datasets import real_validation
from swsa_core.files.table import Table

QUALITY = Table("quality", "selection task candidate strategy quality", numbers="quality")


def qualities(
    scores: dict,
    index: pd.DataFrame,
    spec: dict,
    functions: dict[str, Callable],
    left_out: Mapping[str, Collection[str]] | None = None,
) -> pd.DataFrame:
    """Table with the columns of `QUALITY` but the selection: the quality of every candidate for every task by each strategy.

    scores: {candidate: Scores} in the order of the config, of the same tasks and images; index: the table of images.csv;
    spec: the data set's config; functions: {strategy: function of the scores (n, c) of n test images by c candidates,
    higher = more anomalous, to their quality (c,)}; without any, the table has no rows; left_out: as of `evaluate`.
    The images are those of the real validation set, each once, unreadable ones left out. A task without normal or
    without anomalous test images has no rows.
    """
    if not functions:
        return pd.DataFrame(columns=QUALITY.columns[1:])
    first = next(iter(scores.values()))
    place = pd.Index(first.test["image_id"]).get_indexer(index["image_id"])  # index row -> test row
    rows = []
    for t, task in enumerate(first.tasks):
        images = np.unique(place[real_validation(index, spec, task, (left_out or {}).get(task, ()))[0]])
        images = images[images >= 0]
        if len(images) == 0:
            continue
        columns = np.stack([of.test["scores"][images, t] for of in scores.values()], axis=1)  # (images, candidates)
        for strategy, quality in functions.items():
            rows += [(task, name, strategy, value) for name, value in zip(scores, quality(columns), strict=True)]
    return pd.DataFrame(rows, columns=QUALITY.columns[1:])
