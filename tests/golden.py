"""The outputs of the original diffusion network in ../shared/golden/adm, whose README says how they were made."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from swsa_core.diffusion import load_adm

GOLDEN = Path(__file__).parents[2] / "shared" / "golden" / "adm"
needs_golden = pytest.mark.skipif(not GOLDEN.exists(), reason="needs ../shared/golden, outputs of the original network")
VARIANTS = {
    "gen_lerp_rec": {"content_h": "reconstruction"},
    "gen_slerp_inv_tedit500": {"interpolation": "slerp", "t_edit": 500},
    "gen_slerp03_inv_tedit400_dtl": {"interpolation": "slerp", "gamma": 0.3, "t_edit": 400, "dt_lambda": 0.9985},
}


def read_golden():
    """{name: tensor} of its arrays."""
    arrays = {}
    for name in ("inversion_recon", "diffstyle", "asyrp"):
        arrays |= dict(np.load(GOLDEN / f"{name}.npz"))
    return {name: torch.from_numpy(array) for name, array in arrays.items() if array.ndim}


def load_golden(device="cpu", dtype=torch.float32):
    """Its network."""
    flags = json.loads((GOLDEN / "config.json").read_text())["args"]
    return load_adm(GOLDEN / "model_adm.safetensors", flags, device, dtype)
