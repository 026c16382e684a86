"""Asyrp (Kwon et al. 2023): generation with a direction added to h, App. A.2."""

from collections.abc import Callable

import torch

from swsa_core.basics.devices import inference
from swsa_core.diffusion.batches import BatchSize, counted, in_batches
from swsa_core.diffusion.ddim import Edit, asymmetric_step, finite, on_device, reverse_steps
from swsa_core.diffusion.hspace import UNet


@inference
def asyrp(
    unet: UNet,
    x_T: torch.Tensor,
    delta_h: torch.Tensor | Edit,
    alpha: float,
    steps: int,
    batch_size: int | BatchSize | None = None,
    t_edit: int = 0,
    progress: Callable[[float], None] | None = None,
) -> torch.Tensor:
    """Images (n, 3, H, W) float32, not clipped, generated from x_T (n, 3, H, W) with h + alpha * delta_h (Eq. 3).

    delta_h: (1 or n, C, h, w), the same at every step, or a callable (h, t) -> delta of h's shape, for any rows.
    t_edit: the lowest timestep at which h is edited; below, and with alpha = 0, steps are plain. progress: called with the
    number of images done, see `counted`. Raises FloatingPointError for an overflow.
    """
    x_T = on_device(unet, x_T)
    if not callable(delta_h):
        delta_h = torch.as_tensor(delta_h).to(x_T).expand(len(x_T), -1, -1, -1)

    def run(rows):
        def edit(h, t):
            return h + alpha * (delta_h(h, t) if callable(delta_h) else delta_h[rows])

        x = x_T[rows]
        for t, t_next in counted(reverse_steps(steps), rows, progress):
            x = asymmetric_step(unet, x, t, t_next, edit if alpha and t >= t_edit else None)
        return x

    return finite(unet, torch.cat(list(in_batches(run, unet, x_T, batch_size))))
