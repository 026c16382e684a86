"""A diffusers `UNet2DModel` cut at its bottleneck: `decode(unet, *encode(unet, x, t))` is its noise prediction.

The bottleneck is "h-space" (Kwon et al. 2023): the output of the mid block, edited between the two halves.
The functions run the model's own layers in the model's order, with fewer passes over memory than its `forward`.
"""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import torch
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch.nn import functional as F

UNet = Any  # a diffusers `UNet2DModel`, which type checkers see without its layers
SHAPES = 64  # that `compile_network` compiles of each half, at most


def encode(unet: UNet, x: torch.Tensor, t: int) -> tuple[torch.Tensor, list[torch.Tensor], torch.Tensor]:
    """Encoder and mid block: (h, skips, embedding) of the images x (n, 3, H, W) at timestep t, an int.

    h: (n, C, h, w) in the precision of the network's convolutions; skips: the encoder's feature maps, n rows each;
    embedding: (1, D), the timestep's, which all rows share, after its activation.
    """
    embedding = embed_timestep(unet, t)
    encoder, _ = getattr(unet, "compiled", (_encoder, _decoder))
    h, skips = encoder(unet, x.to(unet.conv_in.weight.dtype), embedding)
    return h, skips, embedding


def embed_timestep(unet: UNet, t: int) -> torch.Tensor:
    """The embedding (1, D) of timestep t, after its activation."""
    timestep = torch.full((1,), t, device=unet.conv_in.weight.device)
    sinusoids = unet.time_proj(timestep).to(unet.time_embedding.linear_1.weight.dtype)
    return F.silu(unet.time_embedding(sinusoids))


def decode(unet: UNet, h: torch.Tensor, skips: Sequence[torch.Tensor], embedding: torch.Tensor) -> torch.Tensor:
    """Decoder: the predicted noise eps, (m, 3, H, W) float32, for bottlenecks h (m, C, h, w) and skips of n rows.

    m is a multiple of n: h holds blocks of n rows that share the skips, e.g. the plain h and then the edited h.
    Learned variances (channels 3 to 5 of the output) are dropped; DDIM does not use them.
    """
    _, decoder = getattr(unet, "compiled", (_encoder, _decoder))
    return at_least_float32(decoder(unet, h, skips, embedding)[:, :3])


def at_least_float32(x: torch.Tensor) -> torch.Tensor:
    """x in float32, or in float64 where it is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def compile_network(unet: UNet) -> UNet:
    """Let `encode` and `decode` run `unet` through `torch.compile`; returns `unet`.

    Every batch size is compiled anew, which takes minutes; PyTorch keeps the results for later processes in the
    directory that the environment variable TORCHINDUCTOR_CACHE_DIR names.
    """
    unet.compiled = tuple(_compiled(function) for function in (_encoder, _decoder))
    return unet


def _compiled(function):
    # At its own limit of 8, torch.compile would go on without compiling: batches and shares of skips make more shapes.
    with_limit = torch._dynamo.config.patch(recompile_limit=SHAPES)
    return with_limit(torch.compile(function, dynamic=False))


def _encoder(unet, x, embedding):
    h = unet.conv_in(x)  # (n, C0, H, W)
    skips = [h]
    for block in unet.down_blocks:
        for resnet, attention in _layers(block):
            h = attention(_resnet(resnet, h, embedding))
            skips.append(h)
        for sampler in block.downsamplers or ():
            h = _resample(sampler, h, embedding)
            skips.append(h)
    first, last = unet.mid_block.resnets
    h = unet.mid_block.attentions[0](_resnet(first, h, embedding))
    return _resnet(last, h, embedding), skips


def _decoder(unet, h, skips, embedding):
    skips = list(skips)
    for block in unet.up_blocks:
        for resnet, attention in _layers(block):
            h = attention(_resnet_with_skip(resnet, h, skips.pop(), embedding))
        for sampler in block.upsamplers or ():
            h = _resample(sampler, h, embedding)
    h = unet.conv_norm_out(h.to(unet.conv_norm_out.weight.dtype))
    return unet.conv_out(F.silu(h, inplace=True))  # (m, 3 or 6, H, W)


def _layers(block):
    """Pairs (residual block, attention); the identity where the block has no attention."""
    return zip_longest(block.resnets, getattr(block, "attentions", ()), fillvalue=torch.nn.Identity())


def _resample(sampler, x, embedding=None):
    """What joins two levels, on x (n, C, H, W): a `ResnetBlock2D`, a convolution, a mean, or an upsampling.

    diffusers' own upsampling copies x into another order in memory from 64 rows on, for PyTorch 1; it is not called.
    """
    if isinstance(sampler, ResnetBlock2D):
        return _resnet(sampler, x, embedding)
    if not isinstance(sampler, Upsample2D):
        return sampler(x)
    x = F.interpolate(x, scale_factor=2.0, mode="nearest")
    return sampler.conv(x) if sampler.use_conv else x


def _resnet(block, x, embedding):
    """`ResnetBlock2D` on x (n, C, H, W)."""
    h = F.silu(block.norm1(x), inplace=True)
    if sampler := block.upsample or block.downsample:
        x, h = _resample(sampler, x), _resample(sampler, h)
    return _second_half(block, block.conv1(h), block.conv_shortcut(x) if block.conv_shortcut else x, embedding)


def _resnet_with_skip(block, h, skip, embedding):
    """`ResnetBlock2D` on h (k n, A, H, W) joined in channels with skip (n, B, H, W), repeated k times.

    A convolution of joined channels is a sum of two: the skip's is computed once, if no norm group straddles the joint.
    """
    copies, channels, norm = len(h) // len(skip), h.shape[1], block.norm1
    width = norm.num_channels // norm.num_groups
    if copies == 1 or not _divides(norm, channels):
        return _resnet(block, torch.cat([h, torch.cat([skip] * copies) if copies > 1 else skip], dim=1), embedding)

    def parts(x, own, bias):
        """First and shortcut convolution of x, the input channels `own` of the block."""
        normed = _group_norm(x, x.shape[1] // width, norm.weight[own], norm.bias[own], norm.eps)
        first = F.conv2d(F.silu(normed, inplace=True), block.conv1.weight[:, own], block.conv1.bias * bias, padding=1)
        return first, F.conv2d(x, block.conv_shortcut.weight[:, own], block.conv_shortcut.bias * bias)

    both = zip(parts(h, slice(channels), 1), parts(skip, slice(channels, None), 0), strict=True)
    first, shortcut = (of_h.unflatten(0, (copies, -1)).add_(of_skip).flatten(0, 1) for of_h, of_skip in both)
    return _second_half(block, first, shortcut, embedding)


def _second_half(block, h, shortcut, embedding):
    """`ResnetBlock2D` after its first convolution; the timestep's scale and shift, equal in all rows, join the norm's."""
    norm, shift = block.norm2, block.time_emb_proj(embedding)[0]
    if block.time_embedding_norm == "scale_shift":
        scale, shift = shift.chunk(2)  # (C,)
        h = _group_norm(h, norm.num_groups, norm.weight * (1 + scale), norm.bias * (1 + scale) + shift, norm.eps)
    else:
        h = norm(h.add_(shift[:, None, None]))
    return block.conv2(F.silu(h, inplace=True)).add_(shortcut)


def _divides(norm, channels):
    """Whether no group of a norm on joined channels straddles the joint after the first `channels`."""
    return channels % (norm.num_channels // norm.num_groups) == 0


def _group_norm(x, groups, weight, bias, eps):
    """Group norm of x, computed in the precision of its parameters, in that of x."""
    return F.group_norm(x.to(weight.dtype), groups, weight, bias, eps).to(x.dtype)


class GroupNorm(torch.nn.GroupNorm):
    """`torch.nn.GroupNorm` that computes in the precision of its parameters, whatever that of its input."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return _group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


def largest_map(unet: UNet, height: int, width: int) -> int:
    """Elements of the largest feature map of `decode` on `height` x `width` pixels, per row that has both decoder passes.

    The encoder's maps are no larger than those that the decoder joins them to.
    """
    channels, sizes = unet.mid_block.resnets[-1].out_channels, []  # of h
    for level, block in zip(reversed(range(len(unet.up_blocks))), unet.up_blocks, strict=True):
        pixels = (height >> level) * (width >> level)
        for resnet in block.resnets:
            joined = resnet.in_channels  # one pass joins h and skip; of two, where it can, h alone is doubled
            doubled = channels if _divides(resnet.norm1, channels) else joined
            sizes.append(max(joined, 2 * doubled, 2 * resnet.out_channels) * pixels)
            channels = resnet.out_channels
        if block.upsamplers:
            sizes.append(2 * channels * 4 * pixels)
    return max(sizes)
