"""Anomaly detectors: functions from features to anomaly scores, higher is more anomalous."""

from swsa_core.detectors.knn import knn_score

__all__ = ["knn_score"]
