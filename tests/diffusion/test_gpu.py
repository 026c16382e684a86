"""Diffusion on a real GPU (`make test-gpu`): the outputs of the original network, and batches of any size, also after memory
ran out.

Tolerances are differences over sizes (Frobenius norms) of (x_T, images): about twice what rounding to the precision cost on a
CPU (docs/diffusion.md), and ten times that of float32, whose sums have another order on a GPU.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from golden import VARIANTS, load_golden, needs_golden, read_golden
from networks import tame_adm

from swsa_core.diffusion import asyrp, diffstyle, invert, reconstruct

pytestmark = pytest.mark.gpu
ROOT = Path(__file__).parents[2]
TOLERANCE = {torch.float32: (1e-5, 4e-5), torch.float16: (0.005, 0.015), torch.bfloat16: (0.05, 0.12)}


@pytest.fixture(scope="module")
def golden():
    return read_golden()


@pytest.fixture(scope="module", params=TOLERANCE, ids=str)
def unet(request):
    return load_golden("cuda", request.param)


def difference(found, expected):
    found, expected = found.cpu().double().flatten(), expected.cpu().double().flatten()
    return float((found - expected).norm() / expected.norm())


@needs_golden
def test_goldens(unet, golden):
    of_noise, of_images = TOLERANCE[unet.conv_in.weight.dtype]
    inversion = invert(unet, golden["x0"], 10)
    assert difference(inversion.x_T, golden["xT"]) < of_noise
    x_T = golden["xT"].to("cuda")  # so that each figure below is that of generation alone
    assert difference(reconstruct(unet, x_T, 10)[0], golden["rec"]) < of_images
    for alpha in (0.0, 0.5, 1.0):
        assert difference(asyrp(unet, x_T, golden["delta_h"], alpha, 10), golden[f"asyrp_a{alpha}"]) < of_images
    style, content = inversion.pick(slice(0, 2)), inversion.pick(slice(2, 4))
    for name, options in ({"gen_lerp_inv": {}} | VARIANTS).items():
        for size in (1, 3, 16):
            pairs = diffstyle(unet, style, content, **options, batch_size=size).flatten(0, 1)
            assert difference(pairs, golden[name]) < of_images, (name, size)


def test_the_same_bits_in_every_run():
    unet, x = tame_adm().to("cuda"), torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    first, second = (reconstruct(unet, invert(unet, x, 5).x_T, 5)[0] for _ in range(2))
    assert torch.equal(first, second)


OUT_OF_MEMORY = """
import json, torch
from networks import tame_adm
from swsa_core.diffusion import invert
from swsa_core.diffusion.batches import BatchSize

unet, rows = tame_adm().to("cuda"), 16384
images = torch.rand(rows, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
expected = invert(unet, images, 3, 512).x_T.cpu()
torch.cuda.empty_cache()
free, _ = torch.cuda.mem_get_info()
held, size = torch.empty(free - 2**30, dtype=torch.uint8, device="cuda"), BatchSize(rows)
errors = []
try:
    torch.empty(2**30 + 2**28, dtype=torch.uint8, device="cuda")
except torch.OutOfMemoryError as error:
    errors.append(str(error))
found = invert(unet, images, 3, size).x_T.cpu()
print(json.dumps([errors, size.rows, float((found - expected).norm() / expected.norm())]))
"""


def test_batches_after_memory_really_ran_out():
    """All of the card but 1 GiB is taken, in a process of its own: a feature map of all rows has that size."""
    command, environment = (
        [sys.executable, "-c", OUT_OF_MEMORY],
        os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, env=environment)
    assert ran.returncode == 0, ran.stderr
    errors, rows, error = json.loads(ran.stdout.splitlines()[-1])
    assert "CUDA out of memory" in errors[0]
    assert 1 <= rows < 16384 and error < TOLERANCE[torch.float32][0]
