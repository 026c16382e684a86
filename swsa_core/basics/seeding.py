"""Random numbers that depend on names, never on the order of jobs."""

from hashlib import sha256

import numpy as np


def rng(seed: int, *names: str) -> np.random.Generator:
    """Generator for one purpose: the config's seed and the original names, e.g. (dataset, task, "support").

    Two purposes with different names draw independently; the same names draw the same numbers in any process.
    """
    words = [int.from_bytes(sha256(name.encode()).digest()[:8], "little") for name in names]
    return np.random.default_rng([seed, *words])
