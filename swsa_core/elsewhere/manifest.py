"""What a detector that runs elsewhere is asked for, so that it is compared with others as one that never saw what it scores.

The support set of a task has `FOLDS` folds. For each the detector is fitted on the normal images of the others, and scores the
fold's own and the anomalies made from these alone; anomalies without parents are scored for every fold, those with parents in
several folds for none. Fitted on the whole support set, as it is, the detector scores the test images.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.exposure.folds import folds_of, scored_by
from swsa_core.files.table import Table

MANIFEST = Table("images_to_score", "dataset task fold role image path")
FOLDS = 5
ALL = "all"  # the fold of a detector that is fitted on the whole support set
FIT, SCORE = "fit", "score"
# Parts: support images as prepared, and as they are, and test images; others are the sources of anomalies.
NORMAL, ORIGINAL, TEST = "normal", "original", "test"


class Request(NamedTuple):
    """An image that a detector is fitted on, or scores: a row of a part."""

    fold: str
    role: str
    part: str
    row: int


def number_of_folds(n: int) -> int:
    """Folds of n support images."""
    return min(FOLDS, n)


def scores_file(name: str, path: str, manifest: str) -> str:
    """The CSV of a candidate's scores. Raises InputError that says how to make it where it is not there."""
    if not Path(path).is_file():
        raise InputError(
            f"scores.{name}: the file {path!r} is not there: run `snakemake images_to_score`, score the images that {manifest} "
            "lists, and write the scores to that file (docs/bring_your_own.md)"
        )
    return path


def requests(n_normal: int, n_test: int, parents: Mapping[str, np.ndarray]) -> Iterator[Request]:
    """All that is asked for one task, fold after fold, in one order.

    parents: {source: (a, P) rows among the support images of the parents of its anomalies, -1 for none}.
    """
    number = number_of_folds(n_normal)
    folds = folds_of(n_normal, number)
    judged_by = {source: scored_by(of, folds, number) for source, of in parents.items()}
    for fold in range(number):
        yield from (Request(str(fold), FIT, NORMAL, int(row)) for row in np.flatnonzero(folds != fold))
        yield from (Request(str(fold), SCORE, NORMAL, int(row)) for row in np.flatnonzero(folds == fold))
        for source, scored in judged_by.items():
            yield from (Request(str(fold), SCORE, source, int(row)) for row in np.flatnonzero(scored[:, fold]))
    if n_test:
        yield from (Request(ALL, FIT, ORIGINAL, row) for row in range(n_normal))
        yield from (Request(ALL, SCORE, TEST, row) for row in range(n_test))
