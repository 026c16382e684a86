"""Scores by a function of the user's own, which is fitted anew for each task and fold."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.elsewhere.manifest import FIT, SCORE
from swsa_core.files.functions import array_from
from swsa_core.files.images import read_image

if TYPE_CHECKING:
    import pandas as pd


class Images(Sequence[np.ndarray]):
    """Images (h, w, 3) uint8 of files, each read when it is asked for."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = list(paths)

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, row: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, row: slice) -> "Images": ...
    def __getitem__(self, row: Any) -> Any:
        return Images(self.paths[row]) if isinstance(row, slice) else read_image(self.paths[row])


def scored_by(name: str, manifest: "pd.DataFrame") -> Iterator["pd.DataFrame"]:
    """The answers of a function to a manifest, the table `scores.ANSWERS` of each task and fold.

    The function is called with the normal images to learn from and the images to score. Raises InputError where it returns no
    number for each.
    """
    for (task, fold), mine in manifest.groupby(["task", "fold"], sort=False):
        normal, wanted = (mine[mine["role"] == role] for role in (FIT, SCORE))
        of = f"task {task!r}, fold {fold!r}"
        found = array_from(name, Images(normal["path"]), Images(wanted["path"]), of=of)
        if found.shape != (len(wanted),) or found.dtype.kind not in "fiu":
            raise InputError(
                f"{name} returned {found.dtype} of shape {found.shape} for {of}, expected a number for each of "
                f"{len(wanted)} images"
            )
        yield wanted[["dataset", "task", "fold", "image"]].assign(score=found.astype(float))
