"""What the four embedding scripts share: the backbone, and the call that streams images through it."""

from workflow_scripts.job import Job, progress

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.candidates.backbone import load_backbone
from swsa_core.embedding.embed import embed
from swsa_core.files import layout


def embed_rows(
    snakemake: Any,
    mine: Job,
    read: Callable[[int], np.ndarray],
    constants: Mapping[str, Sequence[Any] | np.ndarray],
    on_bad_image: str = "error",
) -> list[dict[str, str]]:
    """Write the features of the images read(0), read(1), … and the columns `constants` to the rule's output."""
    patches = snakemake.output.get("patches")
    grid = layout.grid_of(patches) if patches else 0
    backbone = load_backbone(mine.settings["backbone"], mine.runtime["device"], mine.settings["precision"], grid)
    what = " ".join([mine.stage, *snakemake.wildcards])
    return embed(
        backbone,
        read,
        path=snakemake.output[0],
        patches_path=patches,
        grid=grid,
        constants=constants,
        # an interrupted file goes on only with the same settings and unchanged input files
        header={"settings": mine.recorded, "inputs": {path: Path(path).stat().st_mtime_ns for path in snakemake.input}},
        attributes={"stage_version": mine.recorded["version"]},
        runtime=mine.runtime,
        threads=snakemake.threads,
        on_bad_image=on_bad_image,
        progress=progress(what),
    )


def told(read: Callable[[int], np.ndarray], tell: Callable[[int, InputError], str]) -> Callable[[int], np.ndarray]:
    """`read` with its InputErrors told in the words of `tell`: (row, error) -> sentence."""

    def read_row(row):
        try:
            return read(row)
        except InputError as error:
            raise type(error)(tell(row, error)) from None

    return read_row
