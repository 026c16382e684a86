"""SWSA: select image anomaly detectors with synthetic anomalies, without labelled validation data."""

__version__ = "0.1.0"  # x-release-please-version
