"""Hard pool: of the images of a pool those that lie nearest to the support set of a task."""

import numpy as np

from swsa_core.anomalies.source import OfPool, Source
from swsa_core.basics.look import Look
from swsa_core.basics.section import Section


class HardPool(Section):
    of: str
    """The pool that is chosen from: a source of this config that samples a pool, such as `tiny_imagenet` or `procedural`."""


def nearest_rows(support: np.ndarray, pool: np.ndarray, n: int) -> np.ndarray:
    """The `n` rows of a pool (p, d) that are nearest to some support image (m, d) by Euclidean distance, the nearest first."""
    centre = support.mean(axis=0, dtype=np.float64)
    support, pool = support - centre, pool - centre
    squares = (
        np.einsum("pd,pd->p", pool, pool)[:, None] + np.einsum("md,md->m", support, support) - 2 * pool @ support.T
    )
    return np.argsort(squares.min(axis=1), kind="stable")[:n]


SOURCE = Source(
    HardPool,
    title="hard-pool",
    about="The images of a pool that lie nearest to the support set of each task.",
    look=Look("#999999", "X"),
    of_pool=OfPool(lambda section: section["of"], nearest_rows),
    note="The anomalies of the hard pool are nearest by the features of the first candidate of the config, for which they are "
    "therefore harder than for the others.",
)
