"""Files of generated anomalies: images, the support images that each was made from, and what the source records.

Their images are read by `swsa_core.embedding.image_stream.RowReader`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.files import store


def write_anomalies(
    path: Path | str,
    images: Sequence[np.ndarray],
    parents: np.ndarray,
    attributes: Mapping[str, Any],
    **columns: np.ndarray,
) -> None:
    """Write the anomalies of one task.

    images: list of (h, w, 3) uint8, zero-padded to the largest when their sizes differ; parents: (n, P) image ids that
    each was made from; attributes: dataset, task, source; columns: further arrays of n rows, such as boxes.
    """
    sizes = np.array([image.shape[:2] for image in images])
    padded = np.zeros((len(images), *sizes.max(0), 3), np.uint8)
    for row, image in zip(padded, images, strict=True):
        row[: image.shape[0], : image.shape[1]] = image
    arrays = {"images": padded, "sizes": sizes, "parents": np.asarray(parents)} | columns
    store.write(path, arrays, attributes, compress=["images"])


def read_origins(path: Path | str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Everything but the images: ({"parents": (n, P) image ids, "sizes", "boxes", …}, attributes)."""
    return store.read(path, without=["images"])


def check_one_precision(precisions: Mapping[Any, str | None]) -> None:
    """Raise InputError unless the anomalies of all files were generated in one precision; rounding may be told apart.

    precisions: {path: precision of that file}, the attribute; None for a source without one.
    """
    files: dict[str | None, list[str]] = {}
    for path, precision in precisions.items():
        files.setdefault(precision, []).append(str(path))
    if len(files) > 1:
        fewest = min(files, key=lambda precision: len(files[precision]))
        others = " and ".join(sorted(str(precision) for precision in files if precision != fewest))
        raise InputError(
            f"{len(files[fewest])} of {len(precisions)} files of anomalies were generated in {fewest}, the others in {others}, "
            f"because `precision: auto` follows the device. Delete {', '.join(files[fewest])} and rerun on the same kind of "
            "device as the others"
        )
