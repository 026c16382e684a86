"""Every path of diffusion on a GPU, with the whole ADM-256, on fake tensors: devices and dtypes, and what leaves the card."""

from collections import Counter

import numpy as np
import pytest
import torch
from fake_gpu import fake_gpu

from swsa_core.anomalies.diffusion import Diffusion
from swsa_core.candidates.clip import image_encoder, load_clip
from swsa_core.diffusion import adm, asyrp, load_adm
from swsa_core.diffusion.batches import BatchSize
from swsa_core.diffusion.cost import diffusion_speed
from swsa_core.diffusion.delta_h import as_edit, delta_h_for
from swsa_core.diffusion.generate import generate, invert_halves, regenerate
from swsa_core.diffusion.text_direction import Target, Way, train_on, unedited

SIDE, STEPS = 256, 2
WAITS = Counter({"torch.bool": 1})  # for whether all numbers are finite, once at the end


@pytest.fixture(scope="module")
def left():
    """What left the GPU: `fake_gpu.Leaving.counts` of the block in which the tests of this module run."""
    with fake_gpu() as counts:
        yield counts


PRECISIONS = [torch.float16, torch.bfloat16, torch.float32]  # first the mixed one, where dtypes meet


@pytest.fixture(scope="module", params=PRECISIONS, ids=str)
def unet(request, left, tmp_path_factory):
    """The published model as `load_adm` puts it on a GPU; its file, of which only the shapes count, is not read."""
    weights = tmp_path_factory.mktemp("weights") / "adm_imagenet_256.pt"
    weights.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            adm, "kept_beside", lambda path, arguments, shapes, make: {k: torch.empty(v) for k, v in shapes.items()}
        )
        return load_adm(weights, None, "cuda", request.param)


@pytest.fixture
def images(left):
    left.clear()
    return torch.rand(3, 3, SIDE, SIDE) * 2 - 1  # as they come from a file, on the CPU


def is_on_gpu(tensor, *shape):
    return tensor.device.type == "cuda" and tensor.dtype == torch.float32 and tensor.shape == shape


def source(**changes):
    return Diffusion(steps=STEPS, **changes).model_dump()


def test_the_whole_network_is_on_the_gpu_in_its_precision(unet):
    parameters = list(unet.parameters())
    assert sum(parameter.numel() for parameter in parameters) == 552_814_086
    assert {tensor.device.type for tensor in (*parameters, *unet.buffers())} == {"cuda"}
    dtype = unet.conv_in.weight.dtype
    kept = {torch.float32} if dtype == torch.float16 else set()
    assert {parameter.dtype for parameter in parameters} == {dtype} | kept
    assert unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last)


def test_pairs_of_inverted_images(unet, images, left):
    given = source(content_h="reconstruction", gammas=[0.3, 0.7], interpolation="slerp")
    style, content = invert_halves(unet, images, 1, given, BatchSize())
    assert is_on_gpu(style.x_T, 1, 3, SIDE, SIDE) and is_on_gpu(content.x_T, 2, 3, SIDE, SIDE)
    assert is_on_gpu(style.h, STEPS - 1, 1, 1024, 8, 8) and is_on_gpu(content.h, STEPS, 2, 1024, 8, 8)
    assert left == Counter({"torch.bool": 2})
    left.clear()
    [pairs] = generate(unet, style, content, given, batch_size=BatchSize())
    assert is_on_gpu(pairs, 2, 3, SIDE, SIDE) and left == WAITS


def test_reconstructions(unet, images, left):
    [again] = regenerate(unet, images[:1], source())
    assert is_on_gpu(again, 1, 3, SIDE, SIDE)
    assert left == Counter({"torch.bool": 2})  # of the inversion, and of what is made


def test_a_direction_is_trained_and_followed(unet, images, left, guide):
    delta_h, dtype = delta_h_for(unet), unet.conv_in.weight.dtype
    x_T = images[:1].to("cuda")
    predicted = unedited(unet, x_T, STEPS, 500)
    assert is_on_gpu(predicted, 1, 1, 3, SIDE, SIDE) and left == WAITS
    left.clear()
    optimizer = torch.optim.SGD(delta_h.parameters(), 0.5)
    target = Target(guide, torch.empty(512, device="cuda"), 3.0, STEPS, 500)
    train_on(unet, delta_h, optimizer, Way(x_T, x_T, predicted[0]), target)
    assert left == Counter({"torch.float32": 1}), "the loss alone"
    for parameter in delta_h.parameters():
        assert is_on_gpu(parameter, *parameter.shape) and is_on_gpu(parameter.grad, *parameter.shape)
    assert unet.conv_in.weight.grad is None and unet.conv_in.weight.dtype == dtype
    left.clear()
    made = asyrp(unet, x_T, as_edit(unet, delta_h), 1.5, STEPS, BatchSize(), 500)
    assert is_on_gpu(made, 1, 3, SIDE, SIDE) and left == WAITS


@pytest.fixture(scope="module")
def guide(left):
    """The image tower that Asyrp was trained with, ViT-B/16, through which gradients flow."""
    model = {
        "name": "guide",
        "model": "open_clip:ViT-B-16-quickgelu",
        "args": {"pretrained": "openai"},
        "weights": "none",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("swsa_core.candidates.open_clip.load_weights", lambda *given: None)
        patch.setattr("swsa_core.candidates.open_clip.check_weights", lambda candidate: None)
        patch.setattr("swsa_core.candidates.clip.file_sha256", lambda path: "")
        return image_encoder(load_clip(model), "cuda")


def test_the_speed_that_a_plan_counts_with(left, tmp_path, monkeypatch):
    """`snakemake plan` measures the network in the batches of the stage."""
    monkeypatch.setattr("swsa_core.basics.speed.LEAST_SECONDS", 0)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    config = {
        "image_size": 16,
        "num_channels": 32,
        "num_res_blocks": 1,
        "channel_mult": "1,2",
        "attention_resolutions": "8",
    }
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        assert np.isfinite(diffusion_speed(str(tmp_path / "none.pt"), config, 10**9, "cuda", dtype))
