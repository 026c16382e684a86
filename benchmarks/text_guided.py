"""Training of Δh three ways, on random weights, and what a text's direction does to unseen images.

    python benchmarks/text_guided.py                                  # seconds, memory and gradients of the three ways
    python benchmarks/text_guided.py --similarity docs/text_guided.png  # the bundled models: CLIP similarity against alpha

The three ways take the same gradients of one image, at each edited timestep: the plain way, which recomputes both trajectories
from x_T for each of them; the original repository's, which carries both along; and ours, whose unedited one is an input.
"""

import argparse
import time
from functools import partial

import numpy as np
import torch
from diffusion import MID_SIZE  # benchmarks/diffusion.py, beside this file
from torch.nn import functional as F

from swsa_core.anomalies.diffusion_model import find_model, to_network
from swsa_core.candidates.clip import embed_texts, image_encoder, load_clip
from swsa_core.candidates.section import clip_backbone
from swsa_core.datasets import digits
from swsa_core.diffusion import asyrp, build_adm, invert, load_adm
from swsa_core.diffusion.ddim import ALPHA_BAR, ddim_step, predicted_image
from swsa_core.diffusion.delta_h import as_edit, delta_h_for
from swsa_core.diffusion.hspace import encode
from swsa_core.diffusion.text_direction import Target, Way, edited_image, edited_steps, fit, loss_of, unedited
from swsa_core.files.images import prepared

TEXTS = ("a photo of a letter", "a noisy image", "a red flower", "a broken object")
ALPHAS = (0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2)
N_TRAINED, N_UNSEEN = 10, 20


def hooked(unet, delta_h, x, t):
    """P_t of a whole call of the network whose mid block is hooked to add Δh."""
    embedding = encode(unet, x, t)[2] if delta_h else None
    hook = (
        unet.mid_block.register_forward_hook(lambda *given: given[2] + delta_h(given[2], embedding))
        if delta_h
        else None
    )
    eps = unet(x, t).sample[:, :3]
    if hook:
        hook.remove()
    return predicted_image(x, eps, t), eps


def walked(unet, delta_h, x, steps):
    """x after `steps`, edited by Δh or plain where it is None."""
    with torch.no_grad():
        for t, t_next in steps:
            eps = hooked(unet, None, x, t)[1]
            edited = None
            if delta_h:
                embedding = encode(unet, x, t)[2]
                hook = unet.mid_block.register_forward_hook(lambda m, i, h, e=embedding: h + delta_h(h, e))
                edited = unet(x, t).sample[:, :3]
                hook.remove()
            x = ddim_step(x, eps, t, t_next, edited)
    return x


def plain_way(unet, delta_h, way, target, steps):
    """Both trajectories from x_T on, for each timestep; whole hooked calls."""
    source = target.encoder(way.image)
    for i, (t, _) in enumerate(steps):
        before = walked(unet, None, way.x_T, steps[:i])
        with torch.no_grad():
            predicted, _ = hooked(unet, None, before, t)
        edited, _ = hooked(unet, delta_h, walked(unet, delta_h, way.x_T, steps[:i]), t)
        loss_of(edited, predicted, source, target).backward()


def original_way(unet, delta_h, way, target, steps):
    """As the Asyrp repository: both trajectories step by step, the encoder shared by two decoder passes."""
    source = target.encoder(way.image)
    x = unmoved = way.x_T
    for t, t_next in steps:
        with torch.no_grad():
            predicted, eps_unmoved = hooked(unet, None, unmoved, t)
            unmoved = ddim_step(unmoved, eps_unmoved, t, t_next)
        x = our_step(unet, delta_h, x, t, t_next, predicted, source, target)


def our_way(unet, delta_h, way, target, steps):
    """The unedited P_t are an input."""
    source, x = target.encoder(way.image), way.x_T
    for (t, t_next), predicted in zip(steps, way.predicted, strict=True):
        x = our_step(unet, delta_h, x, t, t_next, predicted[None], source, target)


def our_step(unet, delta_h, x, t, t_next, predicted, source, target):
    edited, eps = edited_image(unet, delta_h, x, t)
    loss_of(edited, predicted, source, target).backward()
    return ALPHA_BAR[t_next] ** 0.5 * edited.detach() + (1 - ALPHA_BAR[t_next]) ** 0.5 * eps


def saved_bytes(run):
    """Bytes that the graph of a computation holds for its gradient, weights apart."""
    held = {}

    def pack(tensor):
        if not isinstance(tensor, torch.nn.Parameter):
            held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes(), tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(size for size, _ in held.values())


def compare(steps, t_edit, dtype):
    torch.manual_seed(0)
    unet = build_adm(MID_SIZE).requires_grad_(False).eval().to(dtype)
    unet.conv_out.weight.mul_(0.1)
    tower = torch.nn.Linear(3 * 32 * 32, 64, dtype=dtype).requires_grad_(False)

    def encoder(images):
        return F.normalize(torch.tanh(tower(F.interpolate(images, (32, 32)).flatten(1))), dim=1)

    target = Target(encoder, F.normalize(torch.randn(64, dtype=dtype), dim=0), 3.0, steps, t_edit)
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    x_T, edited = invert(unet, image, steps).x_T, edited_steps(steps, t_edit)
    way = Way(image.to(dtype), x_T.to(dtype), unedited(unet, x_T, steps, t_edit)[0])
    found = {}
    for name, run in (("plain", plain_way), ("original", original_way), ("ours", our_way)):
        delta_h = delta_h_for(unet, 0).to(dtype)
        started = time.perf_counter()
        run(unet, delta_h, way, target, edited)
        seconds = time.perf_counter() - started
        found[name] = seconds, torch.cat([parameter.grad.flatten() for parameter in delta_h.parameters()])
    ours = found["ours"]
    for name, (seconds, gradient) in found.items():
        difference = (gradient - ours[1]).norm() / ours[1].norm()
        print(
            f"{name:9} {seconds / len(edited):6.2f} s a step, {seconds / ours[0]:5.2f} times ours; the gradient differs by "
            f"{difference:.1e} of its norm"
        )
    delta_h = delta_h_for(unet, 0).to(dtype)
    one = saved_bytes(
        lambda: loss_of(
            edited_image(unet, delta_h, way.x_T, edited[0][0])[0], way.predicted[:1], encoder(way.image), target
        )
    )
    print(
        f"{len(edited)} timesteps; the graph of one holds {one / 1e6:.1f} MB, of all at once {len(edited) * one / 1e6:.1f} MB"
    )


def similarity(path, epochs, steps, t_edit):
    model = find_model({"model": "mini:adm_32", "flags": None})
    unet = load_adm(model.path, model.flags)
    clip = load_clip(clip_backbone({"model": "mini:clip", "weights": None, "tag": None}))
    texts = F.normalize(torch.from_numpy(embed_texts(clip, list(TEXTS))), dim=1)
    encoder = image_encoder(clip, "cpu")
    preparation = {"size": 32, "crop": "center", "fit": "crop"}
    by_label = {label: [row for row in digits.rows({}) if row.label == label] for label in ("3", "8")}
    chosen = [row for i in range((N_TRAINED + N_UNSEEN) // 2) for row in (by_label["3"][i], by_label["8"][i])]
    images = torch.from_numpy(to_network([prepared(row.image_id, preparation) for row in chosen]))
    x_T = invert(unet, images, steps).x_T
    predicted = unedited(unet, x_T[:N_TRAINED], steps, t_edit)
    found = {}
    for text, towards in zip(TEXTS, texts, strict=True):
        delta_h = delta_h_for(unet, 0)
        optimizer = torch.optim.SGD(delta_h.parameters(), 0.5)
        orders = [np.random.default_rng(epoch).permutation(N_TRAINED) for epoch in range(epochs)]
        target = Target(encoder, towards, 3.0, steps, t_edit)
        *_, losses = fit(
            unet, delta_h, optimizer, lambda i: Way(images[[i]], x_T[[i]], predicted[i]), orders, target, []
        )
        make = partial(asyrp, unet, x_T[N_TRAINED:], as_edit(unet, delta_h.requires_grad_(False)))
        means = []
        for alpha in ALPHAS:
            with torch.no_grad():
                made = encoder(make(alpha, steps, t_edit=t_edit).clamp(-1, 1))
            means.append((made @ towards).mean().item())
        print(
            text,
            "loss",
            np.round(np.reshape(losses, (epochs, -1)).mean(1), 3),
            "similarity",
            np.round(means, 3),
            flush=True,
        )
        found[text] = means
    draw(found).savefig(path, dpi=120)


def draw(found):
    """The figure of {text: mean similarity at each of ALPHAS}."""
    from matplotlib.figure import Figure

    ax = (figure := Figure(figsize=(7.6, 3.6), layout="constrained")).subplots()
    for text, means in found.items():
        ax.plot(ALPHAS, means, marker="o", label=text)
    ax.set_xlabel("edit strength α")
    ax.set_ylabel(f"mean CLIP similarity to the text,\n{N_UNSEEN} images that training did not see")
    figure.legend(frameon=False, loc="outside right upper")
    ax.grid(alpha=0.3)
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--similarity", metavar="FIGURE", help="measure the bundled models instead, and draw this figure"
    )
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--t-edit", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument(
        "--double", action="store_true", help="in float64, where rounding has no part in the differences"
    )
    given = parser.parse_args()
    if given.similarity:
        similarity(given.similarity, given.epochs, given.steps, given.t_edit)
    else:
        compare(given.steps, given.t_edit, torch.float64 if given.double else torch.float32)
