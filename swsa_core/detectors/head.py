"""What a head is: it turns what a backbone gives of the images into anomaly scores, against a bank of normal images.

A head is a module of this package named after its stage, score_<head>, that ends in `HEAD = Head(...)`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from swsa_core.detectors.scores import Answer, Scores
from swsa_core.files.support import Support


@dataclass(frozen=True)
class Head:
    """All facts about a head that another module asks for."""

    title: str
    """As written for people."""
    about: str
    """What its anomaly score is, as a sentence."""
    reference: str
    """Where it comes from, "Author … year"."""
    score: Callable[..., Scores]
    """Function of the embeddings, as keyword arguments (those of `score_knn.score_dataset` up to `anomalies`), of `dataset`, of
    `threads`, and of its settings, to `Scores`."""
    against: Callable[..., Answer]
    """Function of queries (n, …), a bank (m, …), the bank rows (n,) that are left out for each query (-1, or None, for none),
    and of its settings as keyword arguments, to the scores, maps and nearest bank rows of the queries."""
    settings: dict[str, str] = field(default_factory=dict)
    """{argument of `score`: dotted path of the config value}; an edit of one scores again."""
    version: int = 1
    """Raised when its code changes what it computes."""
    patches: bool = False
    """Whether it compares patches of images, (n, patches, d), not one feature vector of each."""
    keep: Callable[..., np.ndarray] = lambda bank, dataset, task, **settings: bank
    """Function of a bank (m, …), the names of its data set and task, and of its settings, to what a detector keeps of it."""
    redraw: Callable[..., Callable[[Sequence[Support]], Scores]] | None = None
    """Function of the `Scores` of whole support sets, of the embeddings and of its settings, all as of `score`, to a function
    of smaller support sets to theirs by the protocol leave_one_out; None where `score` is quick enough to be asked again."""
    numbers: Callable[[dict[str, Any]], int] = lambda config: 3
    """Numbers that its file keeps of an image or anomaly, for the estimate of `snakemake plan`."""
