"""Anomaly detectors: functions from features to anomaly scores, higher is more anomalous.

HEADS: what a candidate may name as its `head`; the module of each is named after its stage, score_<head>.
"""

from swsa_core.basics.registry import entries
from swsa_core.detectors.head import Head
from swsa_core.detectors.knn import knn_score

HEADS: dict[str, Head] = {
    stage.removeprefix("score_"): head
    for stage, head in entries(
        "swsa_core.detectors", "HEAD", "score_knn", "score_cosine", "score_mahalanobis", "score_patch"
    ).items()
}

DEFAULT = "knn"  # of a candidate that names none

__all__ = ["DEFAULT", "HEADS", "Head", "knn_score"]
