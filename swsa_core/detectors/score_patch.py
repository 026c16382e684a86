"""The score stage of the head patch: every patch of an image against those of the task's normal images (Roth et al. 2022)."""

from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from swsa_core.basics.seeding import rng
from swsa_core.detectors.head import Head
from swsa_core.detectors.patch import patch_scores, spread_over
from swsa_core.detectors.requests import score_dataset
from swsa_core.detectors.scores import Answer, Scores


def score(*, dataset: str, bank: int, seed: int, threads: int = 1, **embeddings: Any) -> Scores:
    """`Scores` by the largest distance of a patch to its nearest normal one.

    bank: the most patches that a bank keeps, as many of each of its images, drawn at random; seed: of that draw. Other
    arguments as of `score_knn.score_dataset`, of patch features (n, patches, d).
    """
    with threadpool_limits(threads):
        return score_dataset(**embeddings, ask=lambda task: partial(_answer, dataset, task, bank, seed))


def _answer(
    dataset: str, task: str, most: int, seed: int, queries: Any, bank: Any, rows: np.ndarray, left_out: np.ndarray
) -> Answer:
    return patch_scores(queries, keep(bank, dataset, task, bank=most, seed=seed), rows, left_out)


def keep(images: Any, dataset: str, task: str, *, bank: int, seed: int) -> np.ndarray:
    """What the bank of a task keeps of its images' patches (m, p, d): the draw of `score`."""
    return _kept(images, bank, rng(seed, dataset, task, "patch bank"))


def against(queries: Any, images: Any, own: np.ndarray | None = None, *, bank: int, seed: int) -> Answer:
    """Scores, maps and nearest images of patches (n, p, d) against those of a bank (m, p, d).

    own: as of `Head.against`; bank, seed: as of `score`. What `keep` has kept is kept whole.
    """
    left_out = None if own is None else np.asarray(own)[:, None]
    return patch_scores(queries, _kept(images, bank, rng(seed, "patch bank")), None, left_out)


def _kept(bank: Any, most: int, generator: np.random.Generator) -> np.ndarray:
    """The patches (m, b, d) of a bank (m, p, d) that it keeps, at most `most` of all."""
    images = np.asarray(bank)
    kept = spread_over(len(images), images.shape[1], most, generator)
    return np.take_along_axis(images, kept[:, :, None], axis=1)


HEAD = Head(
    title="patch",
    about="The largest distance of a patch of the image to the nearest patch of any normal image.",
    reference="Roth et al. 2022",
    score=score,
    against=against,
    keep=keep,
    settings={"bank": "patch.bank", "seed": "seed"},
    patches=True,
    numbers=lambda config: 3 + config["patch"]["grid"] ** 2 // 4,  # the map is in float16
)
