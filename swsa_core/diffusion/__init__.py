"""Diffusion anomalies: a pretrained diffusion model turns pairs of normal images into anomalies, without training."""

from swsa_core.diffusion.adm import build_adm, load_adm
from swsa_core.diffusion.asyrp import asyrp
from swsa_core.diffusion.ddim import Inversion, invert, reconstruct, timesteps
from swsa_core.diffusion.diffstyle import diffstyle, with_reconstruction

__all__ = [
    "Inversion",
    "asyrp",
    "build_adm",
    "diffstyle",
    "invert",
    "load_adm",
    "reconstruct",
    "timesteps",
    "with_reconstruction",
]
