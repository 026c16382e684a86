"""What one pass of a network costs, counted on shapes alone without its weights, and how fast this machine does it."""

from typing import Any, NamedTuple

from swsa_core.basics.speed import batch_of, materialise, mean_seconds
from swsa_core.candidates import family_of
from swsa_core.candidates.backbone import load_backbone
from swsa_core.candidates.family import CandidateSpec, Network
from swsa_core.candidates.maps import by_hooks, patches
from swsa_core.candidates.mistakes import check_model, loading
from swsa_core.embedding.embed import BATCH_SIZE


class Cost(NamedTuple):
    """Cost of one image through a backbone: FLOPs (2 per multiply-add), parameters without the head, size of its features, and
    of those of a patch where they were asked for."""

    flops: int
    parameters: int
    features: int
    patch: int = 0


def backbone_cost(candidate: CandidateSpec, with_patches: bool = False) -> Cost:
    """`Cost` of a backbone, or of the CLIP model as `clip_backbone` gives it. A descriptor's FLOPs are not counted."""
    check_model(candidate)
    if family_of(candidate).blank is None:
        return Cost(0, 0, load_backbone(candidate).feature_size)
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    network, images = _backbone(candidate)
    patch = 0
    with torch.no_grad():
        with FlopCounterMode(display=False) as counter:
            features = network.forward(images)
        if with_patches:
            look = network.look or by_hooks(network.module, network.forward)
            patch = patches(look(images, candidate.get("layers")).maps, 2).shape[2]
    named = network.module.named_parameters()
    parameters = sum(value.numel() for name, value in named if not name.startswith(network.head))
    return Cost(counter.get_total_flops(), parameters, features.shape[1], patch)


def backbone_speed(candidate: CandidateSpec, flops: int, device: str, dtype: Any) -> float:
    """FLOPs per second of a candidate's network on `device`; `flops` of one image, from `backbone_cost`."""
    import torch

    from swsa_core.basics.devices import inference

    network, image = _backbone(candidate)
    materialise(network.module, device)
    images = torch.rand(batch_of(BATCH_SIZE[device.split(":")[0]], flops, device), *image.shape[1:], device=device)
    run = inference(lambda: network.forward(images))
    with torch.autocast(device.split(":")[0], dtype, enabled=dtype != torch.float32):
        return flops * len(images) / mean_seconds(run, device)


def _backbone(candidate: CandidateSpec) -> tuple[Network, Any]:
    """(Network without its weights, image (1, 3, crop, crop) on the same device)."""
    import torch

    blank = family_of(candidate).blank
    assert blank is not None  # as it is no descriptor
    with loading(candidate):
        network = blank(candidate)
    network.module.eval().requires_grad_(False)
    crop = candidate["crop"] or network.transform.crop
    return network, torch.zeros(1, 3, crop, crop, device=next(network.module.parameters()).device)
