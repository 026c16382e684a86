"""Anomalies that are images as they are: of a pool of unrelated ones, such as Tiny-ImageNet, or of other tasks."""

from collections.abc import Iterable

import pandas as pd

from swsa_core.basics.errors import InputError
from swsa_core.basics.seeding import rng
from swsa_core.files.table import Table

POOL_IMAGES = Table("pool_images", "image_id path")  # all images of a pool
NEAREST_ROWS = Table("nearest_rows", "task row pool", numbers="row")  # rows of a pool that is another source
OTHER_IMAGES = Table("other_images", "task image_id other")  # support images of other tasks
POOL_ROWS = Table("pool_rows", "task row", numbers="row")  # which of them each task samples


def whole_pool(pool_size: int, tasks: Iterable[str], dataset: str, source: str) -> pd.DataFrame:
    """All rows of a pool for the one task that it is of: the table `POOL_ROWS`. Raises InputError for several tasks."""
    names = list(tasks)
    if len(names) != 1:
        raise InputError(
            f"sources.{source}: its images belong to one task, and data set {dataset!r} has {len(names)}: name one under "
            f"datasets.{dataset}.tasks, or remove sources.{source}"
        )
    return pd.DataFrame({"task": names[0], "row": range(pool_size)})


def sample_pool(pool_size: int, n: int, tasks: Iterable[str], seed: int, dataset: str, source: str) -> pd.DataFrame:
    """`n` different rows of the pool for each task, uniformly at random (Sec. 4.2).

    Returns the table `POOL_ROWS`. Raises InputError when the pool has fewer than n rows.
    """
    if pool_size < n:
        raise InputError(
            f"sources.{source}: the pool holds {pool_size} images, a task of data set {dataset!r} samples {n}: add images "
            f"or lower datasets.{dataset}.support.seeds"
        )
    draws = {task: rng(seed, dataset, task, source).choice(pool_size, n, replace=False) for task in tasks}
    return pd.concat([pd.DataFrame({"task": task, "row": rows}) for task, rows in draws.items()], ignore_index=True)
