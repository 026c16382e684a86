"""A head as an outlier detector of scikit-learn, for features that come from elsewhere."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from swsa_core.detect.level import WANTED, least_rate, level_of
from swsa_core.detectors import HEADS


class NormalsDetector(OutlierMixin, BaseEstimator):
    """Anomaly detection by a head that compares features (n, d) with those of normal images.

    head: "knn", "cosine" or "mahalanobis". k: neighbours of knn and cosine, fewer where there are not so many rows.
    false_alarms: wanted share of normal rows below `offset_`; where n rows cannot promise it, 1 / (n + 1).

    Attributes: bank_ (n, d), normals_ (n,): anomaly scores of the rows, each left out of the bank; offset_.
    `score_samples` is higher for what is more normal, as scikit-learn has it: the anomaly score with its sign turned.
    """

    def __init__(self, head: str = "knn", k: int = 3, false_alarms: float = WANTED) -> None:
        self.head, self.k, self.false_alarms = head, k, false_alarms

    def fit(self, X: Any, y: Any = None) -> "NormalsDetector":
        """Take the rows of X as normal. Raises ValueError for fewer than two, or values that make no sense."""
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        if self.head not in HEADS or HEADS[self.head].patches:
            known = ", ".join(name for name, head in HEADS.items() if not head.patches)
            raise ValueError(f"head: received {self.head!r}, expected one of {known}")
        if not 0 < self.false_alarms < 1:
            raise ValueError(f"false_alarms: received {self.false_alarms!r}, expected a share between 0 and 1")
        self.bank_ = X
        self.normals_ = self._anomaly(X, np.arange(len(X)))
        self.offset_ = -level_of(self.normals_, max(self.false_alarms, least_rate(len(X))))
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """(n,) float64, higher for what is more normal."""
        check_is_fitted(self)
        return -self._anomaly(validate_data(self, X, dtype=np.float64, reset=False), None)

    def decision_function(self, X: Any) -> np.ndarray:
        """(n,) float64, negative for anomalies."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """(n,) -1 for anomalies, 1 for what is normal."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _anomaly(self, X, own):
        k = max(1, min(self.k, len(self.bank_) - 1))
        settings = {
            "knn": {"knn": {"k": k, "distance": "squared_l2", "l2_normalize": False}},
            "cosine": {"k": k},
        }.get(self.head, {})
        return HEADS[self.head].against(X, self.bank_, own, **settings).scores
