"""The score stage of the head mahalanobis: the distance to the mean normal image, in units of the normal images' spread."""

from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from swsa_core.detectors.head import Head
from swsa_core.detectors.knn import nearest
from swsa_core.detectors.mahalanobis import mahalanobis
from swsa_core.detectors.requests import score_dataset
from swsa_core.detectors.scores import Answer, Scores


def score(*, dataset: str, threads: int = 1, **embeddings: Any) -> Scores:
    """`Scores` by the Mahalanobis distance; dataset is not used. Other arguments as of `score_knn.score_dataset`."""
    with threadpool_limits(1):  # the matrices are small, and no digit depends on how a BLAS splits a sum
        return score_dataset(**embeddings, ask=lambda task: _answer)


def _answer(queries: Any, bank: Any, rows: np.ndarray, left_out: np.ndarray) -> Answer:
    return Answer(mahalanobis(queries, bank, rows, left_out))


def against(queries: np.ndarray, bank: np.ndarray, own: np.ndarray | None = None) -> Answer:
    """Scores of features (n, d) against a bank (m, d), and the nearest rows (L2); own: as of `Head.against`."""
    own = np.full(len(queries), -1) if own is None else np.asarray(own)
    rows, _ = nearest(queries, bank, 2)
    first = np.where(rows[:, 0] == own, rows[:, 1], rows[:, 0])
    return Answer(mahalanobis(queries, bank, np.arange(len(queries)), own[:, None]), nearest=first)


HEAD = Head(
    title="Mahalanobis",
    about="The Mahalanobis distance to the normal images, with the covariance of Ledoit and Wolf (2004).",
    reference="Rippel et al. 2021",
    score=score,
    against=against,
)
