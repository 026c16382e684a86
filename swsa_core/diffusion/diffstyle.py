"""DiffStyle (Jeong et al. 2024, "InjectFusion"), the paper's Eq. 2: the content's h enters the style's generation."""

from collections.abc import Callable
from functools import partial

import torch

from swsa_core.basics.devices import inference
from swsa_core.diffusion.batches import BatchSize, counted, in_batches
from swsa_core.diffusion.ddim import (
    Edit,
    Inversion,
    asymmetric_step,
    ddim_step,
    finite,
    inversion_on_device,
    reconstruct,
    reverse_steps,
)
from swsa_core.diffusion.hspace import UNet, decode, encode

Gamma = float | torch.Tensor
"""One weight of the content, or one for each row, (n, 1, 1, 1)."""


def lerp(h: torch.Tensor, content: torch.Tensor, gamma: Gamma) -> torch.Tensor:
    """(1 - gamma) h + gamma content; shapes broadcast."""
    return (1 - gamma) * h + gamma * content


def slerp(h: torch.Tensor, content: torch.Tensor, gamma: Gamma) -> torch.Tensor:
    """Spherical interpolation from h to `content`, scaled to h's norm first; both (n, C, h, w), h may have one row.

    Where the two are parallel or opposite, angles define no path, and the interpolation is linear.
    """
    a, b = h.flatten(1), content.flatten(1)  # (n, d)
    gamma = gamma.flatten(1) if isinstance(gamma, torch.Tensor) else gamma  # (n, 1)
    b = b * (a.norm(dim=1) / b.norm(dim=1).clamp_min(1e-12))[:, None]
    angle = torch.cosine_similarity(a, b)[:, None].clamp(-1, 1).acos()  # (n, 1)
    straight = angle.sin() < 1e-3
    sine = torch.where(straight, 1.0, angle.sin())
    weight_a = torch.where(straight, 1 - gamma, ((1 - gamma) * angle).sin() / sine)
    weight_b = torch.where(straight, gamma, (gamma * angle).sin() / sine)
    return (weight_a * a + weight_b * b).view_as(content)


INTERPOLATIONS = {"linear": lerp, "slerp": slerp}


@inference
def diffstyle(
    unet: UNet,
    style: Inversion,
    content: Inversion,
    gamma: Gamma = 0.7,
    interpolation: str = "linear",
    t_edit: int = 0,
    dt_lambda: float = 1.0,
    content_h: str = "inversion",
    batch_size: int | BatchSize | None = None,
    progress: Callable[[float], None] | None = None,
) -> torch.Tensor:
    """Eq. 2 for all pairs of two `Inversion`s: images (n_style, n_content, 3, H, W) float32, not clipped.

    A pair starts at its style's x_T. At every timestep t >= t_edit the h of its current x_t is mixed with its content's
    h of that timestep, gamma being the weight of the content, of all pairs or (n_style, n_content). dt_lambda: see `ddim_step`.
    content_h: "inversion", where the last h serves t = 999 too, or "reconstruction" (pass `with_reconstruction` of
    the content to several calls to do that work once).
    batch_size: see `in_batches`. progress: called with the number of images done, see `counted`.
    Raises ValueError for unknown choices and for inversions of different steps, FloatingPointError for an overflow.
    """
    if interpolation not in INTERPOLATIONS or content_h not in ("inversion", "reconstruction"):
        raise ValueError(
            f"expected interpolation 'linear' or 'slerp' and content_h 'inversion' or 'reconstruction', received "
            f"{interpolation!r} and {content_h!r}"
        )
    steps, n, m = len(style.timesteps), len(style.x_T), len(content.x_T)
    if steps != len(content.timesteps):
        raise ValueError(f"style was inverted in {steps} steps and content in {len(content.timesteps)}")
    if content_h == "reconstruction" and len(content.h) < steps:
        content = with_reconstruction(unet, content, batch_size)
    style, content = inversion_on_device(unet, style), inversion_on_device(unet, content)
    of_pairs = gamma.to(content.h).reshape(n, m, 1, 1, 1) if isinstance(gamma, torch.Tensor) else None

    def edit_to(t, rows, weights):
        mix = partial(INTERPOLATIONS[interpolation], gamma=gamma if weights is None else weights)
        return content_edit(content, mix, t_edit, t, rows)

    def edit_of(i):  # towards the contents, of style i
        return lambda t, rows: edit_to(t, rows, None if of_pairs is None else of_pairs[i, rows])

    first, *later = reverse_steps(steps)
    x_second = torch.cat(
        [
            first_step(unet, x_T, *first, edit_of(i), content.x_T, dt_lambda, batch_size)
            for i, x_T in enumerate(style.x_T.split(1))
        ]
    )  # (n * m, 3, H, W), style by style
    content_of = torch.arange(m, device=content.h.device).repeat(n)  # (n * m,)

    def finish(rows):
        x, weights = x_second[rows], None if of_pairs is None else of_pairs.flatten(0, 1)[rows]
        for t, t_next in counted(later, rows, progress):
            x = asymmetric_step(unet, x, t, t_next, edit_to(t, content_of[rows], weights), dt_lambda)
        return x

    images = torch.cat(list(in_batches(finish, unet, x_second, batch_size)))
    return finite(unet, images).unflatten(0, (n, m))


def content_edit(
    content: Inversion,
    mix: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    t_edit: int,
    t: int,
    rows: slice | torch.Tensor,
) -> Edit | None:
    """`asymmetric_step`'s edit at timestep t towards the h of the contents `rows` (b rows); None below t_edit."""
    if t < t_edit:
        return None
    target = content.h[min(content.timesteps.index(t), len(content.h) - 1), rows]  # (b, C, h, w)
    return lambda h, t: mix(h, target)


def first_step(
    unet: UNet,
    x_T: torch.Tensor,
    t: int,
    t_next: int,
    edit_to: Callable[[int, slice], Edit | None],
    contents: torch.Tensor,
    dt_lambda: float = 1.0,
    batch_size: int | BatchSize | None = None,
) -> torch.Tensor:
    """`asymmetric_step` of one style's x_T (1, 3, H, W) towards each of m `contents` (m, 3, H, W): (m, 3, H, W).

    The pairs share the encoding of x_T and its plain prediction, which is decoded in one batch with the first edits.
    """
    h, skips, embedding = encode(unet, x_T, t)
    if edit_to(t, slice(None)) is None:
        x = ddim_step(x_T, decode(unet, h, skips, embedding), t, t_next, dt_lambda=dt_lambda)
        return x.expand(len(contents), -1, -1, -1)
    plain: list[torch.Tensor] = []

    def run(rows):
        edited = edit_to(t, rows)(h.float(), t).to(h.dtype)  # (b, C, h, w)
        if plain:
            eps_edited = decode(unet, edited, skips, embedding)
        else:
            eps, eps_edited = decode(unet, torch.cat([h, edited]), skips, embedding).split([1, len(edited)])
            plain.append(eps)
        return ddim_step(x_T, plain[0], t, t_next, eps_edited, dt_lambda)

    return torch.cat(list(in_batches(run, unet, contents, batch_size)))


def with_reconstruction(
    unet: UNet,
    inversion: Inversion,
    batch_size: int | BatchSize | None = None,
    progress: Callable[[float], None] | None = None,
) -> Inversion:
    """`inversion` with the h of its reconstruction, which has one for every timestep, 999 included."""
    _, h = reconstruct(unet, inversion.x_T, len(inversion.timesteps), batch_size, progress)
    return inversion._replace(h=h.flip(0))  # increasing t
