"""Anomalies from a pool of unrelated images, such as Tiny-ImageNet: each task samples rows of it."""

from collections.abc import Iterable

import pandas as pd

from swsa_core.basics.errors import InputError
from swsa_core.basics.seeding import rng


def sample_pool(pool_size: int, n: int, tasks: Iterable[str], seed: int, dataset: str, source: str) -> pd.DataFrame:
    """`n` different rows of the pool for each task, uniformly at random (Sec. 4.2).

    Returns a DataFrame with the columns task and row. Raises InputError when the pool has fewer than n rows.
    """
    if pool_size < n:
        raise InputError(
            f"sources.{source}: the pool holds {pool_size} images, a task of data set {dataset!r} samples {n}: add images "
            f"or lower datasets.{dataset}.support.seeds"
        )
    draws = {task: rng(seed, dataset, task, source).choice(pool_size, n, replace=False) for task in tasks}
    return pd.concat([pd.DataFrame({"task": task, "row": rows}) for task, rows in draws.items()], ignore_index=True)
