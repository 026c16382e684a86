"""What is known of a task before its test images are seen, for detectors that combine candidates."""

from typing import NamedTuple

import numpy as np

MAX_MEMBERS = 4  # of a detector that combines the best candidates, chosen on real images: docs/selection.md


class Known(NamedTuple):
    """What is known of a task before its test images, for detectors that combine candidates."""

    task: int  # row of `synthetic`
    backbones: list[str]  # (c,) of the candidates
    synthetic: dict[str, np.ndarray]  # {source: AUROC (tasks, c)} by the protocol `LEADING`, or else by the first one
    normals: np.ndarray  # (s, c) scores of the support images, each left out of the bank itself
    max_members: int = MAX_MEMBERS
