"""The support set of a task: seed images that anomalies are made from, and held-out normals (Step 1 of Sec. 3.1)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from swsa_core import datasets
from swsa_core.anomalies import SOURCES
from swsa_core.basics.errors import InputError
from swsa_core.basics.seeding import rng
from swsa_core.basics.wording import plural
from swsa_core.datasets.section import MOST_SEEDS
from swsa_core.files.support import Copies


def without_copies(pictures: Mapping, read: Callable[[str], np.ndarray]) -> tuple[list[str], list[Copies]]:
    """The images of a task of which each shows a picture of its own, and the copies that are left out.

    pictures: {image id: `swsa_core.files.copies.Picture`}; read: image id -> (H, W, 3) uint8.
    Returns the ids that stay, in order, the first of each group of copies among them, and the groups as
    [{"image_id": the one that stays, "copies": ids of the others}]. One that stayed in the bank would lie at distance 0 of the
    normal that it shows too, which would then look perfect.
    """
    from swsa_core.files.copies import groups_of_copies  # which imports Pillow: the Snakefile reads this module

    copies: list[Copies] = [
        {"image_id": first, "copies": others} for first, *others in groups_of_copies(pictures, read)
    ]
    left_out = set(_left_out(copies))
    return [image_id for image_id in pictures if image_id not in left_out], copies


def split_support(
    image_ids: Sequence[str], seeds: int, seed: int, dataset: str, task: str, copies: Sequence[Copies] = ()
) -> tuple[list[str], list[str]]:
    """Draw `seeds` seed images; the others are held out.

    image_ids: ids of the task's readable normal training images, without copies. Returns (seed ids, held-out ids), each in
    the order of `image_ids`. Raises InputError, which names the `copies` left out, when there are fewer images than seeds.
    """
    check_seeds(len(image_ids), seeds, dataset, task, copies)
    drawn = set(rng(seed, dataset, task, "support").permutation(len(image_ids))[:seeds].tolist())
    return (
        [image for i, image in enumerate(image_ids) if i in drawn],
        [image for i, image in enumerate(image_ids) if i not in drawn],
    )


def told_copies(copies: Iterable[Copies], most: int = 3) -> str:
    """The copies of a support set for people, the first few of them by name; "" without any."""
    named = [f"{copy!r} of {group['image_id']!r}" for group in copies for copy in group["copies"]]
    more = f" and {plural(len(named) - most, 'other')}" if len(named) > most else ""
    return ", ".join(named[:most]) + more


def check_seeds(n_support: int, seeds: int, dataset: str, task: str, copies: Sequence[Copies] = ()) -> None:
    """Raise InputError when a task has fewer support images than seeds."""
    if n_support < seeds:
        raise InputError(
            f"task {task!r} of data set {dataset!r} has {n_support} normal training images{_without(copies)}, its support "
            f"needs at least {seeds}: lower support.seeds (or datasets.{dataset}.support.seeds), add images (in a folder with "
            f"`train` raise it), or leave the task out of datasets.{dataset}.tasks"
        )


def check_bank(n_support: int, k: int, left_out: int, dataset: str, task: str, copies: Sequence[Copies] = ()) -> None:
    """Raise InputError when a bank of `n_support` images, less the `left_out` parents, holds fewer than k neighbours."""
    if n_support - left_out < k:
        where, remain = f"task {task!r} of data set {dataset!r}", max(n_support - left_out, 0)
        held = f"{where} has only {n_support} support images"
        if left_out:
            held = (
                f"in {where} only {remain} of the {n_support} support images remain once those an anomaly was made from "
                "are left out"
            )
        raise InputError(f"knn.k is {k}, but {held}{_without(copies)}: lower knn.k or add images")


def fitting_seeds(n_support: int) -> int:
    """The number of seeds of a task with so many images, of which a tenth, and one at least, may be copies or damaged.

    >>> [fitting_seeds(n) for n in (3, 10, 12, 22, 60)]
    [2, 8, 10, 18, 20]
    """
    usable = n_support - max(1, -(-n_support // 10))
    return max(2, min(MOST_SEEDS, usable // 2 * 2))


def most_left_out(sources: Iterable[str], protocols: Sequence[str]) -> int:
    """How many images a bank lacks at most: an anomaly's parents, or the normal itself; nothing by the protocol `paper`."""
    parents = max(SOURCES[source].parents for source in sources)
    return 0 if list(protocols) == ["paper"] else max(parents, 1)


def check_supports(config: dict[str, Any]) -> None:
    """Raise InputError when the images that are listed for some task cannot give its seeds or a bank of k neighbours."""
    left_out = most_left_out(config["sources"], config["evaluation"]["protocols"])
    for dataset, spec in config["datasets"].items():
        for task, n_support in datasets.support_sizes(spec).items():
            check_seeds(n_support, spec["support"]["seeds"], dataset, task)
            check_bank(n_support, config["knn"]["k"], left_out, dataset, task)


def _left_out(copies):
    return [copy for group in copies for copy in group["copies"]]


def _without(copies):
    """The part of a sentence that says which copies a support set lacks."""
    return f" without {plural(len(_left_out(copies)), 'copy', 'copies')} ({told_copies(copies)})" if copies else ""
