"""Mahalanobis distance to the mean of a bank (Mahalanobis 1936), with the covariance of Ledoit and Wolf (2004).

There are far fewer normal images than features: the covariance has at most as many directions as the bank has rows, and all
others get the same variance by the shrinkage. So everything follows from inner products of rows, and leaving rows out means to
leave out rows and columns of their matrix, whatever the number of features.
"""

from typing import NamedTuple

import numpy as np

SMALLEST = 1e-12  # least variance of a direction, as a share of the mean variance: the bank of one image has none


def mahalanobis(
    queries: np.ndarray, bank: np.ndarray, rows: np.ndarray | None = None, left_out: np.ndarray | None = None
) -> np.ndarray:
    """Mahalanobis distances to the bank, as of scikit-learn's `LedoitWolf().fit(bank)`, whose `mahalanobis` is its square.

    queries: (n, d) features; bank: (m, d). rows: (r,) the query that each result is about, all of them when left out;
    left_out: (r, l) bank rows that it does without, -1 for none.
    Returns (r,) float64, higher is more anomalous. Raises ValueError when no row of the bank is left.

    >>> mahalanobis(np.array([[3.0, 0.0]]), np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])).round(3)
    array([4.243])
    """
    queries, bank = np.asarray(queries, dtype=np.float64), np.asarray(bank, dtype=np.float64)
    rows = np.arange(len(queries)) if rows is None else rows
    left_out = np.full((len(rows), 1), -1) if left_out is None else left_out
    centre = bank.mean(axis=0)  # which no distance depends on; inner products lose fewer digits
    queries, bank = queries - centre, bank - centre
    gram, products = bank @ bank.T, queries @ bank.T  # (m, m), (n, m)
    squares = np.einsum("nd,nd->n", queries, queries)
    distances = np.empty(len(rows))
    sets, which = np.unique(np.sort(left_out, axis=1), axis=0, return_inverse=True)
    for number, gone in enumerate(sets):
        mine = which == number
        kept = np.setdiff1d(np.arange(len(bank)), gone)
        if not len(kept):
            raise ValueError(f"none of the {len(bank)} rows of the bank is left")
        asked = rows[mine]
        distances[mine] = _distances(
            gram[np.ix_(kept, kept)], products[np.ix_(asked, kept)], squares[asked], bank.shape[1]
        )
    return distances


def _distances(gram: np.ndarray, products: np.ndarray, squares: np.ndarray, size: int) -> np.ndarray:
    """Distances of n queries to m rows; gram (m, m), products (n, m), squares (n,): their inner products; size: features."""
    to_mean, of_mean = products.mean(axis=1), gram.mean()
    norms = squares - 2 * to_mean + of_mean  # (n,) squared distances to the mean
    rows = gram.mean(axis=1)
    along = products - to_mean[:, None] - rows + of_mean  # (n, m): with the centred rows
    centred = gram - rows[:, None] - rows + of_mean
    spread = _spread(centred, size)
    if spread is None:
        return np.sqrt(np.maximum(norms, 0))
    within = (along @ spread.vectors) ** 2 / spread.values  # (n, q): squared coordinates along the principal axes
    squared = np.maximum(norms - within.sum(axis=1), 0) / spread.floor + (within / spread.variances).sum(axis=1)
    return np.sqrt(squared)


class Principal(NamedTuple):
    """The distance to a bank by its principal axes: centre (d,), axes (q, d) of unit length, the variances (q,) along them, and
    `floor`, that of all other directions."""

    centre: np.ndarray
    axes: np.ndarray
    variances: np.ndarray
    floor: float


def principal(bank: np.ndarray) -> Principal:
    """What `mahalanobis` to a bank (m, d) float64 is, without inner products with its rows."""
    centre = bank.mean(axis=0)
    rows = bank - centre
    spread = _spread(rows @ rows.T, bank.shape[1])
    if spread is None:
        return Principal(centre, np.empty((0, bank.shape[1])), np.empty(0), 1.0)
    axes = spread.vectors.T @ rows / np.sqrt(spread.values)[:, None]
    return Principal(centre, axes, spread.variances, spread.floor)


class _Spread(NamedTuple):
    """Of m centred rows: eigenvalues (q,) of m times their covariance, eigenvectors (m, q) of their inner products, the
    shrunken variances (q,) along those axes, and that of all other directions."""

    values: np.ndarray
    vectors: np.ndarray
    variances: np.ndarray
    floor: float


def _spread(centred: np.ndarray, size: int) -> _Spread | None:
    """`_Spread` of m rows with the inner products `centred` (m, m), of `size` features; None of one row, or copies of it."""
    m = len(centred)
    shrinkage, mean_variance = _ledoit_wolf(centred, size)
    if mean_variance <= 0:
        return None
    values, vectors = np.linalg.eigh(centred)
    real = values > values[-1] * m * np.finfo(float).eps
    values, vectors = values[real], vectors[:, real]
    floor = max(shrinkage, SMALLEST) * mean_variance
    return _Spread(values, vectors, (1 - shrinkage) * values / m + floor, floor)


def _ledoit_wolf(gram: np.ndarray, size: int) -> tuple[float, float]:
    """(shrinkage, mean variance) of m centred rows of `size` features with the inner products `gram` (m, m).

    Ledoit and Wolf (2004), Lemma 3.3, in scikit-learn's terms: beta, how far the rows' own covariances lie from their mean,
    over delta, how far that is from a multiple of the identity.
    """
    m = len(gram)
    mean = np.trace(gram) / m / size
    squared = (gram**2).sum() / m**2  # squared Frobenius norm of the covariance
    beta = ((np.diag(gram) ** 2).sum() / m - squared) / (m * size)
    delta = (squared - mean**2 * size) / size
    beta = min(beta, delta)
    return (beta / delta if beta > 0 else 0.0), float(mean)
