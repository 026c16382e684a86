"""The heads of a detector as torch modules that can be exported: of what a network gives to scores (n,) float64.

Each does what `Head.against` does with nothing left out. Distances are computed in float64, as there: banks are centred and
few, so that this costs little beside the network.
"""

from typing import Any

import numpy as np
import torch
from torch import nn

from swsa_core.detect.heads import PROMPT
from swsa_core.detectors.clip import STEP
from swsa_core.detectors.knn import l2_normalized, squared_norms
from swsa_core.detectors.mahalanobis import principal
from swsa_core.detectors.score_cosine import UNIT_LENGTH


class Nearest(nn.Module):
    """Sum of the distances to the k nearest rows of a bank (m, d), Eq. 4; knn, k: as of `score_knn.against`."""

    centre: torch.Tensor
    rows: torch.Tensor
    norms: torch.Tensor

    def __init__(self, bank: np.ndarray, *, knn: dict[str, Any], k: int | None = None) -> None:
        super().__init__()
        self.k = knn["k"] if k is None else k
        self.unit, self.root = knn["l2_normalize"], knn["distance"] == "l2"
        rows = l2_normalized(bank) if self.unit else np.asarray(bank, np.float64)
        _buffers(self, centre=rows.mean(axis=0), rows=rows - rows.mean(axis=0))
        _buffers(self, norms=squared_norms(rows - rows.mean(axis=0)))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        queries = features.double()
        queries = (_unit(queries) if self.unit else queries) - self.centre
        squares = (queries**2).sum(1, keepdim=True) - 2 * (queries @ self.rows.T) + self.norms  # (n, m)
        nearest = squares.clamp(min=0).topk(self.k, dim=1, largest=False).values
        return (nearest.sqrt() if self.root else nearest).sum(1)


class Cosine(Nearest):
    """`Nearest` among features of unit length."""

    def __init__(self, bank: np.ndarray, *, k: int) -> None:
        super().__init__(bank, knn=UNIT_LENGTH, k=k)


class Mahalanobis(nn.Module):
    """Mahalanobis distance to a bank (m, d), from its principal axes."""

    centre: torch.Tensor
    axes: torch.Tensor
    variances: torch.Tensor

    def __init__(self, bank: np.ndarray) -> None:
        super().__init__()
        found = principal(np.asarray(bank, np.float64))
        _buffers(self, centre=found.centre, axes=found.axes, variances=found.variances)
        self.floor = found.floor

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        queries = features.double() - self.centre
        within = (queries @ self.axes.T) ** 2  # (n, q)
        beyond = ((queries**2).sum(1) - within.sum(1)).clamp(min=0)
        return (beyond / self.floor + (within / self.variances).sum(1)).sqrt()


class NearestPatch(nn.Module):
    """The largest distance of a patch to its nearest one of a bank (m, b, d); bank, seed: of the draw, which is done."""

    centre: torch.Tensor
    rows: torch.Tensor
    norms: torch.Tensor

    def __init__(self, images: np.ndarray, *, bank: int, seed: int) -> None:
        super().__init__()
        rows = np.asarray(images, np.float32).reshape(-1, images.shape[2])
        _buffers(self, centre=rows.mean(axis=0), rows=rows - rows.mean(axis=0))
        _buffers(self, norms=squared_norms(rows - rows.mean(axis=0)))

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        n, p, d = patches.shape
        queries = (patches.float() - self.centre).reshape(n * p, d)
        nearest = (self.norms - 2 * (queries @ self.rows.T)).argmin(1)  # in float32; the distance itself in float64
        squares = ((queries.double() - self.rows[nearest].double()) ** 2).sum(1)
        return squares.reshape(n, p).amax(1).sqrt()


class Prompt(nn.Module):
    """The logit of the anomalous one of two texts (2, d) minus that of the normal one; templates: what they were made of."""

    direction: torch.Tensor

    def __init__(self, bank: np.ndarray, *, logit_scale: float, templates: Any) -> None:
        super().__init__()
        normal, anomalous = l2_normalized(bank)
        _buffers(self, direction=logit_scale * (anomalous - normal))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return (_unit(features.double()) @ self.direction / STEP).round() * STEP


IN_TORCH: dict[str, type[nn.Module]] = {
    "knn": Nearest,
    "cosine": Cosine,
    "mahalanobis": Mahalanobis,
    "patch": NearestPatch,
    PROMPT: Prompt,
}


def _unit(features):
    norms = (features**2).sum(1, keepdim=True).sqrt()
    return features / torch.where(norms > 0, norms, 1.0)


def _buffers(module: nn.Module, **arrays: np.ndarray) -> None:
    for name, array in arrays.items():
        module.register_buffer(name, torch.from_numpy(np.ascontiguousarray(array)))
