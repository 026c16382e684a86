"""A task of a detector as one torch module: networks, heads, ensemble and alarm level, from images to scores."""

import math
from collections.abc import Mapping
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from torch import nn

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import unique_slugs
from swsa_core.candidates import family_of
from swsa_core.candidates.backbone import Backbone
from swsa_core.candidates.maps import by_hooks, patches
from swsa_core.candidates.transforms import Transform
from swsa_core.detect.detector import Detector, Member, Part
from swsa_core.export.heads import IN_TORCH

OUTPUTS = ("score", "p", "alarm")


class Seeing(nn.Module):
    """A network, from what its transform gives (n, crop, crop, 3) uint8 to features (n, d) and patches (n, grid², p)."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, backbone: Backbone, layers: Any, grid: int) -> None:
        super().__init__()
        network, transform = backbone.network, _transform(backbone)
        assert network is not None  # descriptors are refused
        self.network, self.grid, self.layers = network.module, grid, layers
        self.pass_, self.look = network.forward, network.look or by_hooks(network.module, network.forward)
        for name in ("mean", "std"):
            values = torch.tensor(getattr(transform, name)).view(1, 3, 1, 1)
            self.register_buffer(name, values)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        images = images.permute(0, 3, 1, 2).float().div(255).sub(self.mean).div(self.std)
        if not self.grid:
            return self.pass_(images).float(), None
        features, maps = self.look(images, self.layers)
        return features.float(), patches(maps, self.grid).to(torch.float16)  # as a bank keeps them


class Graph(nn.Module):
    """Scores, p-values and alarms (n,) of one task; inputs: the images as each network's transform gives them."""

    normals: torch.Tensor
    scale: torch.Tensor | None

    def __init__(self, detector: Detector, part: Part, rate: float) -> None:
        super().__init__()
        self.members = [detector.members[name] for name in part.members]
        names = list(dict.fromkeys(one.backbone["name"] for one in self.members))
        self.names = names
        self.seeing = nn.ModuleList(Seeing(detector.backbones[name], *_looks(self.members, name)) for name in names)
        self.heads = nn.ModuleList(IN_TORCH[one.head](part.banks[one.name], **one.settings) for one in self.members)
        self.sides = [_transform(detector.backbones[name]).crop for name in names]
        self.rate = rate
        self.register_buffer("normals", torch.from_numpy(np.asarray(part.normals, np.float64)))
        self.register_buffer("scale", None if part.scale is None else torch.from_numpy(part.scale))

    def forward(self, *images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        seen = dict(zip(self.names, (see(one) for see, one in zip(self.seeing, images, strict=True)), strict=True))
        of_members = [
            head(seen[one.backbone["name"]][bool(one.grid)]) for one, head in zip(self.members, self.heads, strict=True)
        ]
        score = of_members[0]
        if self.scale is not None:  # `together`
            floor, mean, spread = self.scale.unbind()
            score = ((torch.stack(of_members, 1).maximum(floor).log() - mean) / spread).mean(1)
        higher = (self.normals >= score[:, None]).sum(1)
        p = (1 + higher).double() / (self.normals.shape[0] + 1)
        return score, p, p <= self.rate * (1 + 1e-9)


def check_exportable(members: Mapping[str, Member]) -> None:
    """Raise InputError for a member that no graph can hold: a descriptor, or a network that computed in bfloat16."""
    for one in members.values():
        precision = one.facts["precision"]
        if not precision or family_of(one.backbone).runs_code:
            raise InputError(
                f"{one.name}: {one.facts['model']} is code and no network, so that no ONNX graph can hold it: leave such "
                "candidates out, or use the detector through `python -m swsa_core.detect`"
            )
        if precision != "float32":
            raise InputError(
                f"{one.name} was made in {precision}, and an ONNX graph computes in float32: set `precision: float32` in the "
                "config and make the detector anew"
            )


def input_names(graph: Graph) -> list[str]:
    """The names of a graph's inputs, one for each network."""
    slugs = unique_slugs(graph.names)
    return ["image"] if len(slugs) == 1 else [f"image_{slug}" for slug in slugs]


def as_program(graph: Graph, opset: int) -> tuple[Any, bool]:
    """(the ONNX program of a graph, whether it takes any number of images).

    A network that can only be traced for one number of images becomes a graph of one image. Raises InputError for a network
    that torch cannot trace, or has no ONNX for.
    """
    graph = graph.eval()
    batch = torch.export.Dim("batch", min=1, max=4096)
    names = input_names(graph)
    two = tuple(torch.zeros((2, side, side, 3), dtype=torch.uint8) for side in graph.sides)
    with torch.no_grad():
        graph(*two)  # what a network finds out about itself at its first pass
        try:
            shapes = {"images": tuple({0: batch} for _ in graph.sides)}
            traced = torch.export.export(graph, two, dynamic_shapes=shapes, strict=False)
            return _translated(traced, names, opset), True
        except RuntimeError:  # what torch raises for code that asks how many images there are
            one = tuple(each[:1] for each in two)
        try:
            return _translated(torch.export.export(graph, one, strict=False), names, opset), False
        except RuntimeError as error:
            raise InputError(
                f"torch cannot export {', '.join(graph.names)} to ONNX ({shorten(str(error), 300, placeholder=' …')}): use the "
                "detector through `python -m swsa_core.detect`"
            ) from error


def _translated(traced: Any, names: list[str], opset: int) -> Any:
    return torch.onnx.export(
        traced, dynamo=True, opset_version=opset, input_names=names, output_names=OUTPUTS, verbose=False
    )


def size_of(graph: Graph) -> int:
    """Bytes of the numbers of a graph."""
    tensors = [*graph.parameters(), *graph.buffers()]
    return sum(math.prod(one.shape) * one.element_size() for one in tensors)


def _looks(members, name):
    """(stages, side of the grid) of the patches that members want of a network; a grid of 0 for none."""
    mine = [one for one in members if one.backbone["name"] == name]
    grid = max(one.grid for one in mine)
    return mine[0].backbone.get("layers"), grid


def _transform(backbone):
    assert isinstance(backbone.transform, Transform)  # descriptors are refused
    return backbone.transform
