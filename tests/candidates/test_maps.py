"""Feature maps of a network's middle, from the pass that gives its features."""

import numpy as np
import pytest
import torch

from swsa_core.basics.errors import InputError
from swsa_core.candidates.backbone import load_backbone
from swsa_core.candidates.maps import CHANNELS, as_map, by_hooks, chosen, middle_stages, patches
from swsa_core.candidates.timm import network as timm_network
from swsa_core.candidates.torchvision import network as torchvision_network

IMAGES = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))


def test_the_two_stages_before_the_last_or_the_middle_blocks():
    assert middle_stages([4, 8, 16, 32]) == [1, 2] and middle_stages([2, 2, 4, 8, 8, 16, 32]) == [4, 5]
    assert middle_stages([16] * 12) == [5, 8] and middle_stages([8]) == [0] and middle_stages([8, 16]) == [0]


def test_layers_are_checked():
    assert chosen([4, 8, 16, 32], [0, 3]) == [0, 3]
    with pytest.raises(InputError, match="layers: there is no stage 4, the network has 4, counted from 0"):
        chosen([4, 8, 16, 32], [4])
    with pytest.raises(InputError, match="no stages with maps"):
        chosen([], None)


def test_outputs_of_parts_as_maps():
    assert as_map(torch.zeros(2, 8, 7, 7), 2).shape == (2, 8, 7, 7)
    assert as_map(torch.zeros(2, 7, 7, 8), 2).shape == (2, 8, 7, 7)
    tokens = torch.arange(2 * 9 * 5.0).view(2, 9, 5)
    with_class = torch.cat([torch.full((2, 1, 5), -1.0), tokens], dim=1)
    assert torch.equal(as_map(with_class, 2), as_map(tokens, 2))
    assert torch.equal(as_map(tokens.transpose(0, 1), 2), as_map(tokens, 2)), "batch second"
    assert as_map(tokens, 2)[0, :, 0, 1].tolist() == tokens[0, 1].tolist()
    for other in (
        torch.zeros(2, 8),
        torch.zeros(2, 8, 1, 1),
        torch.zeros(2, 9, dtype=torch.int64),
        None,
        torch.zeros(2, 11, 4),
    ):
        assert as_map(other, 2) is None


def test_patches_of_a_grid_by_hand():
    one = torch.arange(16.0).view(1, 1, 4, 4)
    found = patches([one], 4)
    assert found.shape == (1, 16, 1) and found[0, 5, 0] == 5 and found[0, 0, 0] == (0 + 1 + 4 + 5) / 4
    assert patches([one], 2).shape == (1, 4, 1) and patches([one, one], 8).shape == (1, 64, 2)
    assert patches([torch.zeros(1, 1000, 4, 4)], 4).shape == (1, 16, CHANNELS)


@pytest.mark.parametrize(
    ("model", "shapes"),
    [
        ("resnet18", [(128, 28, 28), (256, 14, 14)]),
        ("mobilenet_v2", [(32, 28, 28), (96, 14, 14)]),
        ("vit_b_32", [(768, 7, 7)] * 2),
    ],
)
def test_hooks_find_the_stages_of_torchvision_s_networks(model, shapes):
    with torch.device("meta"):
        made = torchvision_network(model, "none", {})
    seen = by_hooks(made.module.eval(), made.forward)(IMAGES.to("meta"), None)
    assert [tuple(one.shape[1:]) for one in seen.maps] == shapes


@pytest.mark.parametrize("model", ["resnet18", "tf_efficientnet_lite0", "vit_tiny_patch16_224", "convnext_atto"])
def test_timm_gives_the_features_of_its_forward_pass_with_the_maps(model):
    torch.manual_seed(0)
    made = timm_network(model, "none", {})
    made.module.eval()
    with torch.no_grad():
        seen = made.look(IMAGES, None)
        torch.testing.assert_close(seen.features, made.forward(IMAGES), rtol=0, atol=0)
        assert len(made.look(IMAGES, [0]).maps) == 1 and len(seen.maps) == 2


def test_a_backbone_gives_features_and_patches_of_one_pass():
    candidate = {"name": "net", "model": "mini:resnet_m"}
    plain, patched = load_backbone(candidate, "cpu"), load_backbone(candidate, "cpu", grid=4)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    features, of_patches = patched.with_patches(images)
    np.testing.assert_allclose(features, plain.features(images), rtol=1e-5, atol=1e-6)
    assert of_patches.shape == (3, 16, patched.patch_size) and of_patches.dtype == np.float16
    assert plain.with_patches is None and plain.patch_size == 0
