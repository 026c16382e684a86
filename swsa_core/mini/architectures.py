"""Small ResNets and ViTs for 32 x 32 images, the backbones of the demo.

`features` gives what the classifier head receives, the penultimate layer: the average pool of a ResNet, the class token
of a ViT after the final norm. `head` classifies the letters and digits of `procedural.CLASSES`.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean
from swsa_core.files.drawings import CLASSES, SIZE


class ResidualBlock(nn.Module):
    """Basic block of He et al. 2016: two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity() if (inputs, stride) == (outputs, 1) else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """ResNet of three stages, each of `blocks` basic blocks and one of the `widths`."""

    def __init__(self, widths: tuple[int, ...], blocks: int) -> None:
        super().__init__()
        self.feature_size = widths[-1]
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        stages, inputs = [], widths[0]
        for stage, outputs in enumerate(widths):
            for block in range(blocks):
                stages.append(ResidualBlock(inputs, outputs, stride=2 if stage and not block else 1))
                inputs = outputs
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(self.feature_size, len(CLASSES))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Images (n, 3, 32, 32) float32 in [-1, 1] to features (n, feature_size)."""
        x = self.stem(images)  # (n, widths[0], 16, 16)
        x = self.stages(x)  # (n, feature_size, 4, 4)
        return x.mean((2, 3))  # (n, feature_size)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(images))  # (n, classes)


class TransformerBlock(nn.Module):
    """Pre-norm transformer block of Dosovitskiy et al. 2021: self-attention, then a perceptron."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, tokens, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(n, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (n, heads, tokens, width / heads)
        y = F.scaled_dot_product_attention(q, k, v)  # (n, heads, tokens, width / heads)
        x = x + self.project(y.transpose(1, 2).reshape(n, tokens, width))  # (n, tokens, width)
        return x + self.contract(F.gelu(self.expand(self.norm2(x))))  # (n, tokens, width)


class ViT(nn.Module):
    """Vision transformer with a class token and learned positions, on 4 x 4 patches that are 8 pixels apart.

    Three strided convolutions make the patch tokens (Xiao et al. 2021) and the positions begin as sines and cosines: a
    plain ViT learns too little in minutes.
    """

    def __init__(self, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.feature_size = width
        stem, inputs = [], 3
        for outputs in (width // 4, width // 2, width):
            stem += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
            inputs = outputs
        self.stem = nn.Sequential(*stem, nn.Conv2d(width, width, 1))
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(sines_and_cosines(SIZE // 8, width))
        self.blocks = nn.Sequential(*(TransformerBlock(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, len(CLASSES))
        for layer in self.blocks.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Images (n, 3, 32, 32) float32 in [-1, 1] to features (n, feature_size)."""
        x = self.stem(images).flatten(2).transpose(1, 2)  # (n, 16, width)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x + self.positions], dim=1)  # (n, 17, width)
        return self.norm(self.blocks(x)[:, 0])  # (n, width)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(images))  # (n, classes)


def sines_and_cosines(side: int, width: int) -> torch.Tensor:
    """Positions (1, side * side, width) of a square grid: wavelengths from 4 to 32 cells along each axis."""
    frequencies = torch.pi / 2 * 2 ** torch.linspace(-3, 0, width // 4)  # (width / 4,) radians a cell
    angles = torch.arange(side)[:, None] * frequencies  # (side, width / 4)
    axis = torch.cat([angles.sin(), angles.cos()], dim=1)  # (side, width / 2)
    down, across = axis[:, None].expand(-1, side, -1), axis[None].expand(side, -1, -1)
    return torch.cat([down, across], dim=2).reshape(1, side * side, width)


MODELS: dict[str, Callable[[], ResNet | ViT]] = {
    "resnet_s": partial(ResNet, widths=(16, 32, 64), blocks=1),
    "resnet_m": partial(ResNet, widths=(28, 56, 112), blocks=2),
    "vit_s": partial(ViT, width=64, depth=4, heads=4),
    "vit_m": partial(ViT, width=96, depth=5, heads=4),
}


def build(name: str) -> ResNet | ViT:
    """The network `name` of `MODELS` with random weights. Raises InputError for another name."""
    if name not in MODELS:
        raise InputError(f"there is no mini model {name!r}: {did_you_mean(name, MODELS)}")
    return MODELS[name]()


def count_parameters(model: nn.Module) -> int:
    """Number of parameters of the feature extractor, without the head."""
    return sum(weights.numel() for part, weights in model.named_parameters() if not part.startswith("head."))
