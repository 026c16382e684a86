"""Embedding on a real GPU (`make test-gpu`): the numbers of the CPU, in batches of any size, also after memory ran out.

Tolerances are differences of features over their size (Frobenius norms): 1e-4 in float32, where sums have another order and
nothing is rounded to TF32; 3 % in bfloat16, of which a rounding is .4 %.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import models

from swsa_core.candidates.backbone import load_backbone

pytestmark = pytest.mark.gpu
ROOT = Path(__file__).parents[2]
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.03}
NETWORKS = ("mini:resnet_m", "mini:vit_m", "torchvision:resnet50", "torchvision:vit_b_16")


@pytest.fixture(scope="module", params=NETWORKS)
def candidate(request, tmp_path_factory):
    """A bundled network, or a large one with random weights."""
    family, _, name = request.param.partition(":")
    spec = {"name": name, "model": request.param, "args": {}}
    if family == "torchvision":
        torch.manual_seed(0)
        spec["weights"] = str(tmp_path_factory.mktemp("weights") / "weights.pt")
        torch.save(models.get_model(name).state_dict(), spec["weights"])
    return spec


def images_for(backbone, n):
    side = backbone.transform.crop
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def difference(found, expected):
    return np.linalg.norm(np.float64(found) - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("precision", TOLERANCE)
def test_features_and_patches_are_those_of_the_cpu_in_any_batch(precision, candidate):
    here, there = load_backbone(candidate, "cpu", "float32", 4), load_backbone(candidate, "cuda", precision, 4)
    images = images_for(here, 19)
    expected, of_patches = here.with_patches(images)
    for size in (19, 7, 1):
        parts = [there.with_patches(images[start : start + size]) for start in range(0, 19, size)]
        features, found = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        assert features.dtype == np.float32 and difference(features, expected) < TOLERANCE[precision], size
        assert found.dtype == np.float16 and difference(found, of_patches) < max(TOLERANCE[precision], 2e-3), size


@pytest.mark.parametrize("precision", TOLERANCE)
def test_the_same_bits_in_every_run(precision, candidate):
    backbone = load_backbone(candidate, "cuda", precision)
    images = images_for(backbone, 8)
    np.testing.assert_array_equal(backbone.features(images), backbone.features(images))


OUT_OF_MEMORY = """
import json, sys
import numpy as np, torch
from swsa_core.candidates.backbone import load_backbone
from swsa_core.embedding.embed import in_batches

spec = {"name": "resnet50", "model": "torchvision:resnet50", "args": {}, "weights": sys.argv[1]}
backbone = load_backbone(spec, "cuda", "float32")
images = np.random.default_rng(0).integers(0, 256, (256, 224, 224, 3), dtype=np.uint8)
expected, _ = in_batches(backbone, images, 16, print)
torch.cuda.empty_cache()
free, _ = torch.cuda.mem_get_info()
held, told = torch.empty(free - 2**30, dtype=torch.uint8, device="cuda"), []
found, size = in_batches(backbone, images, 256, told.append)
error = float(np.linalg.norm(found[0] - expected[0]) / np.linalg.norm(expected[0]))
print(json.dumps([told, size, error]))
"""


def test_batches_after_memory_really_ran_out(tmp_path):
    """All of the card but 1 GiB is taken, in a process of its own: the first feature maps of 256 images are .8 GB each."""
    torch.manual_seed(0)
    torch.save(models.resnet50().state_dict(), tmp_path / "weights.pt")
    command = [sys.executable, "-c", OUT_OF_MEMORY, str(tmp_path / "weights.pt")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=300)
    told, size, error = json.loads(ran.stdout.splitlines()[-1])
    assert "out of memory with 256 images a batch, going on with 128 (OutOfMemoryError: CUDA out of memory" in told[0]
    assert 1 <= size < 256 and error < TOLERANCE["float32"]
