"""Outlier exposure: networks fine-tuned on a task's support images and one source's anomalies (docs/outlier_exposure.md)."""
