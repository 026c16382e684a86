"""The support set of a task: seed images that anomalies are made from, and held-out normals (Step 1 of Sec. 3.1)."""

from collections.abc import Sequence
from typing import Any

from swsa_core import datasets
from swsa_core.anomalies import SOURCES
from swsa_core.basics.errors import InputError
from swsa_core.basics.seeding import rng


def split_support(
    image_ids: Sequence[str], seeds: int, seed: int, dataset: str, task: str
) -> tuple[list[str], list[str]]:
    """Draw `seeds` seed images; the others are held out.

    image_ids: ids of the task's readable normal training images. Returns (seed ids, held-out ids), each in the order
    of `image_ids`. Raises InputError when there are fewer images than seeds.
    """
    check_seeds(len(image_ids), seeds, dataset, task)
    drawn = set(rng(seed, dataset, task, "support").permutation(len(image_ids))[:seeds].tolist())
    return (
        [image for i, image in enumerate(image_ids) if i in drawn],
        [image for i, image in enumerate(image_ids) if i not in drawn],
    )


def check_seeds(n_support: int, seeds: int, dataset: str, task: str) -> None:
    """Raise InputError when a task has fewer support images than seeds."""
    if n_support < seeds:
        raise InputError(
            f"task {task!r} of data set {dataset!r} has {n_support} normal training images, its support needs at "
            f"least {seeds}: lower support.seeds (or datasets.{dataset}.support.seeds), add images (in a folder with `train` "
            f"raise it), or leave the task out of datasets.{dataset}.tasks"
        )


def check_depth(bits: int, dataset: str, task: str) -> None:
    """Raise InputError when 16-bit images of a task use so few of their bits that they would be read as nearly black.

    bits: of the largest value in all of them, 0 where there are none. Cameras have 10, 12 or 14 bits; a dark scene may use
    one or two less.
    """
    if 0 < bits <= 14:
        depth = next(depth for depth in (8, 10, 12, 14) if depth >= bits)
        raise InputError(
            f"the 16-bit images of task {task!r} have values of at most {bits} bits, so they would be read as nearly black: "
            f"set datasets.{dataset}.bit_depth to what the camera has, probably {depth}, or to 16 to read them as they are"
        )


def check_bank(n_support: int, k: int, left_out: int, dataset: str, task: str) -> None:
    """Raise InputError when a bank of `n_support` images, less the `left_out` parents, holds fewer than k neighbours."""
    if n_support - left_out < k:
        where, remain = f"task {task!r} of data set {dataset!r}", max(n_support - left_out, 0)
        held = f"{where} has only {n_support} support images"
        if left_out:
            held = (
                f"in {where} only {remain} of the {n_support} support images remain once those an anomaly was made from "
                "are left out"
            )
        raise InputError(f"knn.k is {k}, but {held}: lower knn.k or add images")


def check_supports(config: dict[str, Any]) -> None:
    """Raise InputError when the images that are listed for some task cannot give its seeds or a bank of k neighbours.

    The bank lacks an anomaly's parents, or the normal image itself; of the protocol `paper` it lacks nothing.
    """
    parents = max(SOURCES[source].parents for source in config["sources"])
    left_out = 0 if config["evaluation"]["protocols"] == ["paper"] else max(parents, 1)
    for dataset, spec in config["datasets"].items():
        for task, n_support in datasets.support_sizes(spec).items():
            check_seeds(n_support, spec["support"]["seeds"], dataset, task)
            check_bank(n_support, config["knn"]["k"], left_out, dataset, task)
