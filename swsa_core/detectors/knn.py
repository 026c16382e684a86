"""Deep nearest neighbours (Eq. 3-4; Bergman et al. 2020): L2 distances, squared or not, to a bank of normal features."""

import numpy as np
from numpy.typing import ArrayLike

BLOCK = 512  # queries at a time, so that memory does not grow with their number


def knn_score(
    queries: ArrayLike, bank: ArrayLike, k: int = 3, own: ArrayLike | None = None, distance: str = "squared_l2"
) -> np.ndarray:
    """Anomaly score of Eq. 4: the sum of squared L2 distances to the k nearest bank rows.

    queries: (n, d) features; bank: (m, d) features, m >= k.
    own: (n,) or (n, m) rows of `bank` left out for each query (itself, or the images it was made from); -1 for none.
    distance: "squared_l2", or "l2" for the sum of the distances themselves.
    Returns (n,) float64, higher is more anomalous. Raises ValueError when fewer than k neighbours are left.

    >>> knn_score([[0.0], [5.0]], [[0.0], [1.0], [3.0]], k=2, own=[0, -1])
    array([10., 20.])
    """
    queries, bank = _matrix(queries, "queries"), _matrix(bank, "bank")
    if own is None:
        own = np.empty((len(queries), 0), dtype=int)
    own = np.asarray(own).reshape(len(queries), -1)
    if own.size and (own.dtype.kind not in "iu" or own.min() < -1 or own.max() >= len(bank)):
        raise ValueError(f"own must hold bank rows from 0 to {len(bank) - 1}, or -1 for none")
    return sum_of_nearest(*nearest(queries, bank, k + own.shape[1], distance), k, own)


def nearest(
    queries: np.ndarray, bank: np.ndarray, keep: int, distance: str = "squared_l2"
) -> tuple[np.ndarray, np.ndarray]:
    """The `keep` nearest bank rows of each query, nearest first; of equal distances the lower row comes first.

    queries: (n, d); bank: (m, d). Returns rows (n, keep) int32 and distances (n, keep) float64. Where the bank is smaller
    than `keep`, the last columns are row -1 at distance 0.
    """
    rows = np.full((len(queries), keep), -1, dtype=np.int32)
    distances = np.zeros((len(queries), keep))
    kept = min(keep, len(bank))
    for start in range(0, len(queries), BLOCK):
        block = slice(start, start + BLOCK)
        all_distances = squared_distances(queries[block], bank)  # (block, m)
        rows[block, :kept] = np.argsort(all_distances, axis=1, kind="stable")[:, :kept]
        distances[block, :kept] = np.take_along_axis(all_distances, rows[block, :kept], axis=1)
    return rows, of_squares(distances, distance)


def of_squares(squares: np.ndarray, distance: str) -> np.ndarray:
    """Distances of the kind `distance`, squared_l2 or l2, of the squared ones; rounded as those are."""
    if distance == "squared_l2":
        return squares
    if distance == "l2":
        return _rounded(np.sqrt(squares))
    raise ValueError(f"distance must be squared_l2 or l2, received {distance!r}")


def sum_of_nearest(rows: np.ndarray, distances: np.ndarray, k: int, left_out: np.ndarray) -> np.ndarray:
    """Sum of the k smallest distances of each query over the bank rows that are not left out (Eq. 4).

    rows, distances: (n, keep) as given by `nearest`, with keep >= k + l. left_out: (n, l) bank rows, -1 for none.
    Returns (n,) float64. Raises ValueError when fewer than k neighbours are left.
    """
    if k < 1 or rows.shape[1] < k:
        raise ValueError(f"k = {k} neighbours cannot be taken from {rows.shape[1]} stored ones")
    allowed = (rows >= 0) & (rows[:, :, None] != left_out[:, None, :]).all(axis=2)  # (n, keep)
    n_left = allowed.sum(axis=1)
    if (n_left < k).any():
        query = int(np.argmax(n_left < k))
        raise ValueError(f"{n_left[query]} neighbours are left for query {query}, but k = {k} are needed")
    counted = allowed & (np.cumsum(allowed, axis=1) <= k)
    return np.where(counted, distances, 0).sum(axis=1)


def squared_distances(queries: ArrayLike, bank: ArrayLike) -> np.ndarray:
    """Squared L2 distances (n, m) float64, rounded to 36 significant bits; equal rows are exactly 0 apart.

    ||q||² - 2qb + ||b||² is one matrix product, but loses the digits that q and b have in common. So both are centred
    on the bank's mean first, and pairs that are close for their norms are computed from their differences. The
    rounding makes distances that are equal in exact arithmetic tie, whatever the order in which a BLAS sums.
    """
    centre = np.asarray(bank, dtype=np.float64).mean(axis=0)
    centred: np.ndarray = np.subtract(queries, centre)
    rows: np.ndarray = np.subtract(bank, centre)
    norms = squared_norms(centred)[:, None] + squared_norms(rows)  # (n, m)
    distances = norms - 2 * (centred @ rows.T)
    close_queries, close_rows = np.nonzero(distances < 1e-4 * norms)
    pairs = max(1, 2**21 // centred.shape[1])
    for start in range(0, len(close_queries), pairs):
        one, other = close_queries[start : start + pairs], close_rows[start : start + pairs]
        distances[one, other] = squared_norms(centred[one] - rows[other])
    return _rounded(distances)


def _rounded(values):
    """To 36 significant bits, by Veltkamp's splitting."""
    carried = values * (2**17 + 1)
    return carried - (carried - values)


def squared_norms(features: np.ndarray) -> np.ndarray:
    """Squared L2 norm of each row, (n,)."""
    return np.einsum("nd,nd->n", features, features)


def l2_normalized(features: ArrayLike) -> np.ndarray:
    """Rows scaled to unit L2 norm, float64; a row of zeros stays as it is."""
    features = np.asarray(features, dtype=np.float64)
    norms = np.sqrt(squared_norms(features))[:, None]
    return features / np.where(norms > 0, norms, 1)


def _matrix(features: ArrayLike, name: str) -> np.ndarray:
    features = np.asarray(features)
    if features.ndim != 2 or features.size == 0:
        raise ValueError(f"{name} must be a (n, d) array that is not empty, received shape {features.shape}")
    if not np.isfinite(features).all():
        raise ValueError(f"{name} hold NaN or infinite values")
    return features
