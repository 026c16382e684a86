"""Feature maps of the middle of a network, from the same pass that gives its features: patches for the head that compares them.

Roth et al. (2022): two middle stages, since early ones see edges alone and late ones know ImageNet's classes; each position is
averaged with its neighbours (3 x 3), the stages come to one grid, and their channels are averaged down to a fixed number.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from math import isqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from swsa_core.basics.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import nn

CHANNELS = 256  # of a stage at most, so that a patch has at most 512 numbers: 200 KB an image on a grid of 14 x 14


class Seen(NamedTuple):
    """What a pass of a network gives: features (n, d), and maps of its stages, each (n, c, h, w)."""

    features: "torch.Tensor"
    maps: "list[torch.Tensor]"


class Stage(NamedTuple):
    """A part of a network that is a stage, and the side of its maps."""

    part: "nn.Module"
    side: int


Look = Callable[[Any, Sequence[int] | None], Seen]
"""Function of images (n, 3, h, w) and the indices of stages, None for `middle_stages`."""


def middle_stages(strides: Sequence[float]) -> list[int]:
    """The two stages that patches are made of, of those with such strides (or sides, in whatever unit), in their order.

    Of a pyramid the last stages of the two sizes before the smallest one; of a network of one size the blocks after one half
    and three quarters of them.

    >>> middle_stages([4, 8, 16, 32]), middle_stages([16] * 12), middle_stages([8])
    ([1, 2], [5, 8], [0])
    """
    last = [list(stages)[-1][0] for _, stages in groupby(enumerate(strides), key=lambda stage: stage[1])]
    if len(last) >= 3:
        return last[-3:-1]
    n = len(strides)
    return sorted({max(n // 2 - 1, 0), max(3 * n // 4 - 1, 0)})


def patches(maps: "Sequence[torch.Tensor]", grid: int) -> "torch.Tensor":
    """Maps of stages, each (n, c, h, w), as features of a grid of patches, (n, grid², d); d is at most `CHANNELS` a stage."""
    import torch
    import torch.nn.functional as F

    parts = []
    for one in maps:
        one = F.avg_pool2d(one.float(), 3, stride=1, padding=1, count_include_pad=False)
        if one.shape[1] > CHANNELS:
            n, _, h, w = one.shape
            one = F.adaptive_avg_pool1d(one.permute(0, 2, 3, 1).reshape(n, h * w, -1), CHANNELS)
            one = one.permute(0, 2, 1).reshape(n, CHANNELS, h, w)
        if min(one.shape[2:]) >= grid:
            one = F.adaptive_avg_pool2d(one, grid)
        else:
            one = F.interpolate(one, size=(grid, grid), mode="bilinear", align_corners=False)
        parts.append(one.flatten(2).transpose(1, 2))  # (n, grid², c)
    return torch.cat(parts, dim=2)


def by_hooks(module: "nn.Module", forward: Callable[[Any], Any]) -> Look:
    """`Look` of a network whose library has no function for its stages: forward hooks on the parts that are its stages."""
    known: dict[tuple[int, ...], list[Stage]] = {}

    def look(images: Any, layers: Sequence[int] | None) -> Seen:
        shape = tuple(images.shape[2:])
        if shape not in known:
            known[shape] = _stages(module, forward, images[:1].repeat(2, 1, 1, 1))
        stages = known[shape]
        wanted = chosen([-stage.side for stage in stages], layers)
        features, outputs = _with_outputs([stages[index].part for index in wanted], forward, images)
        return Seen(features, [as_map(outputs[number], images.shape[0]) for number in range(len(wanted))])

    return look


def chosen(strides: Sequence[float], layers: Sequence[int] | None) -> list[int]:
    """The stages that patches are made of: `layers`, or else `middle_stages`. Raises InputError where there are none."""
    if not strides:
        raise InputError("the network has no stages with maps of its images: take another head than patch")
    wanted = middle_stages(strides) if layers is None else list(layers)
    if beyond := [index for index in wanted if not 0 <= index < len(strides)]:
        raise InputError(f"layers: there is no stage {beyond[0]}, the network has {len(strides)}, counted from 0")
    return wanted


def as_map(output: Any, n: int) -> Any:
    """The output of a part of a network for n images as a map (n, c, h, w), None where it is none.

    Maps come as (n, c, h, w) or (n, h, w, c), tokens as (n, t, c) or (t, n, c), where a class token before them is left out.
    `shape[0]`, not `len`, so that a network can be exported for any number of images.
    """
    import torch

    if not isinstance(output, torch.Tensor) or not output.is_floating_point():
        return None
    if output.ndim == 4 and output.shape[0] == n:
        if output.shape[2] == output.shape[3] > 1:
            return output
        return output.permute(0, 3, 1, 2) if output.shape[1] == output.shape[2] > 1 else None
    if output.ndim != 3 or n not in output.shape[:2]:
        return None
    tokens = output if output.shape[0] == n else output.transpose(0, 1)
    for first in (0, 1):  # a class token, or none
        side = isqrt(tokens.shape[1] - first)
        if side > 1 and side**2 == tokens.shape[1] - first:
            return tokens[:, first:].transpose(1, 2).unflatten(2, (side, side))
    return None


def _stages(module: "nn.Module", forward: Callable[[Any], Any], images: Any) -> "list[Stage]":
    """The stages of a network: of a pyramid the last part of each size, else the blocks one after the other."""
    names, parts = zip(*[(name, part) for name, part in module.named_modules() if name], strict=True)
    _, outputs = _with_outputs(parts, forward, images)
    maps = [(number, as_map(output, len(images))) for number, output in outputs.items()]  # in the order of execution
    seen = [(names[number], Stage(parts[number], one.shape[2])) for number, one in maps if one is not None]
    for depth in range(max((name.count(".") for name, _ in seen), default=-1) + 1):
        last = {stage.side: stage for name, stage in seen if name.count(".") == depth}
        if len(last) >= 3:
            return [last[side] for side in sorted(last, reverse=True)]
    blocks: dict[str, list[Stage]] = {}
    for name, stage in seen:
        if name.rpartition(".")[2].removeprefix("encoder_layer_").isdigit():  # of a list of blocks
            blocks.setdefault(name.rpartition(".")[0], []).append(stage)
    return max(blocks.values(), key=len, default=[])


def _with_outputs(
    parts: "Sequence[nn.Module]", forward: Callable[[Any], Any], images: Any
) -> tuple[Any, dict[int, Any]]:
    """(features, {number of a part: what it returned last, in the order of execution}) of a pass."""
    outputs: dict[int, Any] = {}

    def keep(number):
        def hook(_part, _given, output):
            outputs.pop(number, None)
            outputs[number] = output

        return hook

    hooks = [part.register_forward_hook(keep(number)) for number, part in enumerate(parts)]
    try:
        return forward(images), outputs
    finally:
        for hook in hooks:
            hook.remove()
