"""What the anomalies of a diffusion source cost: passes of its network, FLOPs and memory, counted before it runs."""

from typing import Any

from swsa_core.anomalies.diffusion_model import find_model
from swsa_core.anomalies.source import Work


def passes(section: dict, seeds: int) -> tuple[int, int]:
    """(encoder, decoder) passes, in images, of one task's anomalies; see docs/diffusion.md.

    The encoder runs once per step, the decoder twice where the content enters. A style's first step is shared by its pairs,
    and a last step that is edited needs one decoder pass.
    """
    from swsa_core.diffusion import timesteps

    steps, styles = section["steps"], seeds // 2
    pairs = styles**2
    edited = sum(t >= section["t_edit"] for t in timesteps(steps)) - 1  # the first step always is, and is shared
    inversion = seeds * (steps - 1)
    reconstruction = styles * steps if section["content_h"] == "reconstruction" else 0
    encoder = inversion + reconstruction + styles + pairs * (steps - 1)
    decoder = inversion + reconstruction + styles + pairs * (steps + edited)
    return encoder, decoder - pairs if section["t_edit"] == 0 else decoder


def work(section: dict, seeds: int) -> Work:
    """The `Work` of one task; the memory is that of the weights and of the h of all inversions, in float32."""
    return work_of_passes(section, seeds, *passes(section, seeds))


def work_of_reconstruction(section: dict, seeds: int) -> Work:
    """The `Work` of inverting each seed image of one task and generating it again."""
    again = seeds * (2 * section["steps"] - 1)
    return work_of_passes(section, seeds, again, again)


def work_of_passes(section: dict, seeds: int, encoder: float, decoder: float) -> Work:
    """The `Work` of so many passes, in images; the memory holds the h of `seeds` inversions."""
    from swsa_core.diffusion.cost import diffusion_cost

    cost = diffusion_cost(*find_model(section)[:2])
    flops = round(encoder * cost.encoder + decoder * cost.decoder)
    memory = 4 * (cost.parameters + seeds * section["steps"] * cost.h)
    return Work(flops / (cost.encoder + cost.decoder), flops, memory)


def speed(section: dict, device: str, dtype: Any) -> float:
    """FLOPs per second of the network on `device`, measured."""
    from swsa_core.basics.devices import find_dtype
    from swsa_core.diffusion.cost import diffusion_cost, diffusion_speed

    model = find_model(section)
    cost = diffusion_cost(model.path, model.flags)
    dtype = find_dtype(section["precision"], device) if section.get("precision") else dtype
    return diffusion_speed(model.path, model.flags, cost.encoder + cost.decoder, device, dtype)
