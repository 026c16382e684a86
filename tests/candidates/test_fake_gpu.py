"""Embedding and fine-tuning on a GPU, with the largest networks, on fake tensors: devices, dtypes, and what leaves the card."""

from collections import Counter

import numpy as np
import pytest
import torch
from fake_gpu import fake_gpu

from swsa_core.basics.devices import inference
from swsa_core.candidates import family_of
from swsa_core.candidates.backbone import Backbone
from swsa_core.candidates.clip import encode_texts, image_encoder, load_clip
from swsa_core.candidates.forward_pass import on_device, vectors
from swsa_core.candidates.maps import by_hooks, patches
from swsa_core.exposure.fine_tune import Examples, learner

N, GRID = 4, 14
PRECISIONS = (torch.float32, torch.bfloat16)


def candidate(model, **args):
    """A candidate with a file of weights, which is not read, so that nothing is downloaded."""
    return {"name": "large", "model": model, "args": args, "weights": "none"}


# {candidate: (parameters of the module, numbers of a feature)}
LARGEST = {
    "ViT-H/14 of torchvision": (candidate("torchvision:vit_h_14"), 630_764_800, 1280),
    "ViT-H/14 of open_clip": (candidate("open_clip:ViT-H-14", pretrained="laion2b_s32b_b79k"), 632_076_800, 1024),
    "ViT-L/14 of DINOv2": (candidate("timm:vit_large_patch14_dinov2.lvd142m"), 304_367_616, 1024),
    "WideResNet-101": (candidate("torchvision:wide_resnet101_2"), 124_837_696, 2048),
}


def blank_images(network, n=N):
    side = network.transform.crop
    return torch.zeros(n, side, side, 3, dtype=torch.uint8, device="cuda")


@pytest.mark.parametrize(("spec", "parameters", "size"), LARGEST.values(), ids=LARGEST)
def test_features_and_patches_stay_on_the_gpu(spec, parameters, size):
    with fake_gpu() as left:
        network = family_of(spec).load(spec)
        look = network.look or by_hooks(network.module, network.forward)
        left.clear()
        for dtype in PRECISIONS:
            passed = on_device(network, network.transform, "cuda", dtype)
            everything = [*network.module.parameters(), *network.module.buffers()]
            assert {tensor.device.type for tensor in everything} == {"cuda"}
            assert sum(parameter.numel() for parameter in network.module.parameters()) == parameters
            assert {tensor.dtype for tensor in network.module.parameters()} == {torch.float32}, (
                "autocast rounds, not we"
            )
            features = vectors(passed(inference(network.forward), blank_images(network)), N)
            assert (features.dtype, features.device.type, tuple(features.shape)) == (torch.float32, "cuda", (N, size))
        if not spec["model"].startswith("open_clip"):  # whose stages are found by hooks too
            seen = passed(inference(lambda images: look(images, None)), blank_images(network))
            found = patches(seen.maps, GRID)
            assert found.device.type == "cuda" and found.shape[:2] == (N, GRID**2)
        assert not left, "nothing is waited for"


def test_products_are_computed_in_the_precision_that_is_asked_for():
    """That is, autocast is on in bfloat16 alone: the test above would pass without it."""
    spec, found = candidate("torchvision:resnet18"), {}
    with fake_gpu():
        network = family_of(spec).load(spec)
        network.module.layer4.register_forward_hook(lambda part, given, output: found.update({dtype: output.dtype}))
        for dtype in PRECISIONS:
            on_device(network, network.transform, "cuda", dtype)(network.forward, blank_images(network))
    assert found == {dtype: dtype for dtype in PRECISIONS}


def test_both_towers_of_clip(monkeypatch):
    monkeypatch.setattr("swsa_core.candidates.open_clip.load_weights", lambda *given: None)
    monkeypatch.setattr("swsa_core.candidates.open_clip.check_weights", lambda spec: None)
    monkeypatch.setattr("swsa_core.candidates.clip.file_sha256", lambda path: "")
    with fake_gpu() as left:
        clip = load_clip(candidate("open_clip:ViT-H-14", pretrained="laion2b_s32b_b79k"))
        encode = image_encoder(clip, "cuda")
        left.clear()
        images = torch.zeros(N, 3, 256, 256, device="cuda", requires_grad=True)
        found = encode(images)
        found.sum().backward()  # that is, there is a way back to the images
        texts = encode_texts(clip, ["a photo of a bird", "a photo"])
        for tensor, n in ((found, N), (texts, 2)):
            assert (tensor.dtype, tensor.device.type, tuple(tensor.shape)) == (torch.float32, "cuda", (n, 1024))
        assert images.grad.device.type == "cuda" and images.grad.shape == images.shape
        assert not left


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_step_of_fine_tuning(task):
    """Weights and loss are float32, whatever the passes are in, and all that leaves the card is the loss."""
    spec = candidate("timm:vit_large_patch14_dinov2.lvd142m", depth=2)
    exposure = {"task": task, "batch_size": N, "learning_rate": 1e-4}
    with fake_gpu() as left:
        network = family_of(spec).load(spec)
        for dtype in PRECISIONS:
            passed = on_device(network, network.transform, "cuda", dtype)
            backbone = Backbone(
                *("large", spec["model"], 1024, 0, network.transform, lambda batch: batch, "", ""),
                network=network,
                run=lambda forward, batch, passed=passed: passed(forward, torch.from_numpy(batch).to("cuda")),
            )
            side = network.transform.crop
            examples = Examples(np.zeros((N, side, side, 3), np.uint8), np.array([0, 0, 0, 1], np.float32))
            model, step, _ = learner(backbone, examples, exposure, 1.0)
            left.clear()
            step(np.arange(N))
            for parameter in model.parameters():
                assert (parameter.dtype, parameter.device.type) == (torch.float32, "cuda")
            learnt = [parameter for parameter in model.parameters() if parameter.grad is not None]
            assert len(learnt) > 20 and {parameter.grad.dtype for parameter in learnt} == {torch.float32}
            assert left == Counter({"torch.float32": 1})
