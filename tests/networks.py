"""A small diffusion network for tests."""

import torch

from swsa_core.diffusion import build_adm


def tame_adm():
    """A network of the ADM pattern for 16 px with random weights whose trajectories stay tame."""
    config = {"image_size": 16, "num_channels": 32, "num_res_blocks": 1, "channel_mult": "1,2", "learn_sigma": True}
    config |= {"num_head_channels": 16, "attention_resolutions": "8", "resblock_updown": True}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = build_adm(config).requires_grad_(False).eval()
    unet.conv_out.weight.mul_(0.1)
    return unet
