"""Sources of synthetic anomalies."""

from swsa_core.anomalies.cutpaste import cutpaste

__all__ = ["cutpaste"]
