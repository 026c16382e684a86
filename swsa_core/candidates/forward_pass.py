"""Forward passes of a network on its device: transformed images in, features and those of patches out."""

from collections.abc import Callable
from typing import Any

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.candidates.family import Network
from swsa_core.candidates.maps import patches
from swsa_core.candidates.transforms import Transform


def runner(network: Network, transform: Transform, device: str, dtype: Any) -> Callable[[Any, np.ndarray], Any]:
    """Function of a forward pass and (n, crop, crop, 3) uint8 to what the pass returns of the normalised images."""
    passed = on_device(network, transform, device, dtype)
    return lambda forward, batch: passed(forward, _sent(batch, device))


def _sent(batch: np.ndarray, device: str) -> Any:
    """An array as a tensor on the device; to a GPU it goes from memory that the card reads by itself."""
    import torch

    images = torch.from_numpy(batch)
    if device.startswith("cuda"):
        images = images.pin_memory()
    return images.to(device, non_blocking=True)


def on_device(network: Network, transform: Transform, device: str, dtype: Any) -> Callable[[Any, Any], Any]:
    """The network moved to the device, as a function of a forward pass and images there, a tensor (n, crop, crop, 3) uint8.

    It returns what the pass returns of the normalised images, and nothing of it leaves the device.
    """
    import torch

    network.module.requires_grad_(False).eval().to(device, memory_format=torch.channels_last)
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (transform.mean, transform.std))
    half = dtype == torch.bfloat16

    def passed(forward, images):
        images = images.permute(0, 3, 1, 2)  # (n, 3, h, w), channels last in memory
        images = images.float().div(255).sub(mean).div(std)
        with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=half):
            return forward(images)

    return passed


def features_of(run: Callable, forward: Callable, batch: np.ndarray) -> np.ndarray:
    """Features (n, d) float32 of n transformed images; run: of `runner`; forward: a pass that gives features."""
    return vectors(run(forward, batch), len(batch)).cpu().numpy()


def features_and_patches(run: Callable, look: Callable, grid: int, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, d) float32 of n transformed images, and of their patches (n, grid², p) float16; look: a pass for both."""
    import torch

    features, maps = run(look, batch)
    of_patches = patches(maps, grid).to(torch.float16)
    return vectors(features, len(batch)).cpu().numpy(), of_patches.cpu().numpy()


def vectors(found: Any, n: int) -> Any:
    """`found`, which a network returned for n images, in float32 where it is, the device.

    Raises InputError unless it is n vectors of floating-point numbers.
    """
    import torch

    if not isinstance(found, torch.Tensor):
        received = f"a {type(found).__name__}"
    elif found.ndim != 2 or len(found) != n or not found.shape[1] or not found.is_floating_point():
        received = f"{str(found.dtype).removeprefix('torch.')} numbers of shape {tuple(found.shape)}"
    else:
        return found.float()
    raise InputError(
        f"the network returns {received} for {n} image{'s'[: n > 1]}, expected one vector of features for each: remove from "
        "`args` what changes its output, such as global_pool"
    )
