"""DiffStyle (Jeong et al. 2024, "InjectFusion"), the paper's Eq. 2: the content's h enters the style's generation."""

import torch

from swsa_core.diffusion.batches import in_batches
from swsa_core.diffusion.ddim import asymmetric_step, reconstruct, reverse_steps


def lerp(h, content, gamma):
    """(1 - gamma) h + gamma content; shapes broadcast."""
    return (1 - gamma) * h + gamma * content


def slerp(h, content, gamma):
    """Spherical interpolation from h to `content`, scaled to h's norm first; both (n, C, h, w), h may have one row.

    Where the two are parallel or opposite, angles define no path, and the interpolation is linear.
    """
    a, b = h.flatten(1), content.flatten(1)  # (n, d)
    b = b * (a.norm(dim=1) / b.norm(dim=1).clamp_min(1e-12))[:, None]
    angle = torch.cosine_similarity(a, b)[:, None].clamp(-1, 1).acos()  # (n, 1)
    straight = angle.sin() < 1e-3
    sine = torch.where(straight, 1.0, angle.sin())
    weight_a = torch.where(straight, 1 - gamma, ((1 - gamma) * angle).sin() / sine)
    weight_b = torch.where(straight, gamma, (gamma * angle).sin() / sine)
    return (weight_a * a + weight_b * b).view_as(content)


INTERPOLATIONS = {"linear": lerp, "slerp": slerp}


@torch.no_grad()
def diffstyle(
    unet,
    style,
    content,
    gamma=0.7,
    interpolation="linear",
    t_edit=0,
    dt_lambda=1.0,
    content_h="inversion",
    batch_size=None,
    progress=None,
):
    """Eq. 2 for all pairs of two `Inversion`s: images (n_style, n_content, 3, H, W) float32, not clipped.

    A pair starts at its style's x_T. At every timestep t >= t_edit the h of its current x_t is mixed with its content's
    h of that timestep, gamma being the weight of the content. dt_lambda: see `ddim_step`.
    content_h: "inversion", where the last h serves t = 999 too, or "reconstruction" (pass `with_reconstruction` of
    the content to several calls to do that work once).
    progress: called with the number of finished images after each batch.
    Raises ValueError for unknown choices and for inversions of different steps, FloatingPointError for an overflow.
    """
    if interpolation not in INTERPOLATIONS or content_h not in ("inversion", "reconstruction"):
        raise ValueError(
            f"expected interpolation 'linear' or 'slerp' and content_h 'inversion' or 'reconstruction', received "
            f"{interpolation!r} and {content_h!r}"
        )
    steps = len(style.timesteps)
    if steps != len(content.timesteps):
        raise ValueError(f"style was inverted in {steps} steps and content in {len(content.timesteps)}")
    if content_h == "reconstruction" and len(content.h) < steps:
        content = with_reconstruction(unet, content, batch_size)
    n, m = len(style.x_T), len(content.x_T)
    content_of = torch.arange(m, device=content.h.device).repeat(n)  # (n * m,), style by style

    def step(x, t, t_next, rows):
        """`asymmetric_step` towards the contents in `rows`."""
        if t < t_edit:
            return asymmetric_step(unet, x, t, t_next, dt_lambda=dt_lambda)
        target = content.h[min(style.timesteps.index(t), len(content.h) - 1), rows]  # (b, C, h, w)
        return asymmetric_step(
            unet, x, t, t_next, lambda h, t: INTERPOLATIONS[interpolation](h, target, gamma), dt_lambda
        )

    first, *later = reverse_steps(steps)

    def start(x_T):
        """The first step of one style's pairs, which share x_T (1, 3, H, W), its encoding and its plain prediction."""

        def run(rows):
            return step(x_T, *first, rows).expand(rows.stop - rows.start, -1, -1, -1)

        return torch.cat(list(in_batches(run, unet, content.x_T, batch_size)))

    def finish(rows):
        x = x_second[rows]
        for t, t_next in later:
            x = step(x, t, t_next, content_of[rows])
        return x

    x_second = torch.cat([start(x_T) for x_T in style.x_T.split(1)])  # (n * m, 3, H, W)
    images = []
    for batch in in_batches(finish, unet, x_second, batch_size):
        images.extend(batch)
        if progress:
            progress(len(images))
    images = torch.stack(images).unflatten(0, (n, m))
    if not images.isfinite().all():
        raise FloatingPointError(f"the network's values overflow in {unet.conv_in.weight.dtype}: use float32")
    return images


def with_reconstruction(unet, inversion, batch_size=None):
    """`inversion` with the h of its reconstruction, which has one for every timestep, 999 included."""
    _, h = reconstruct(unet, inversion.x_T, len(inversion.timesteps), batch_size)
    return inversion._replace(h=h.flip(0))  # increasing t
