"""Backbones of every family: features are what the library's head receives, weights load exactly, errors are clear."""

import json
import pickle
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from PIL import Image

from swsa_core.basics.errors import InputError
from swsa_core.candidates.backbone import load_backbone
from swsa_core.candidates.descriptor import DESCRIPTORS
from swsa_core.candidates.mistakes import check_model
from swsa_core.candidates.transforms import Transform
from swsa_core.mini import architectures

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (*shape, 3), np.uint8) for shape in ((40, 60), (301, 200), (64, 64))]

# One of every way in which a head is cut off: (family:model, args, beginning of the names of the head's parameters).
NETWORKS = [
    ("torchvision:resnet18", {}, "fc."),
    ("torchvision:squeezenet1_1", {}, "classifier."),
    ("torchvision:mobilenet_v3_small", {}, "classifier.3."),
    pytest.param(("torchvision:vit_b_32", {}, "heads.head."), marks=pytest.mark.slow),
    pytest.param(("torchvision:swin_t", {}, "head."), marks=pytest.mark.slow),
    pytest.param(("torchvision:alexnet", {}, "classifier.6."), marks=pytest.mark.slow),
    ("timm:vit_tiny_patch16_224", {}, "head."),
    ("timm:resnet10t", {}, "fc."),
    ("timm:mobilenetv2_050", {"num_classes": 7}, "classifier."),
    ("timm:deit_tiny_distilled_patch16_224", {}, "head"),
    ("open_clip:ViT-S-32-alt", {}, None),
]


def build(model, args):
    """The library's own network with random weights."""
    import torch

    torch.manual_seed(0)
    family, name = model.split(":")
    if family == "torchvision":
        import torchvision

        return torchvision.models.get_model(name, weights=None, **args)
    if family == "timm":
        import timm

        return timm.create_model(name, pretrained=False, **args)
    import open_clip

    return open_clip.create_model(name, pretrained=None, **args)


def candidate(model, **own):
    return {"name": model.replace(":", "-"), "model": model, "weights": None, "args": {}, **own}


def batch_of(backbone, images):
    return np.stack([backbone.transform(image) for image in images])


@pytest.fixture(params=NETWORKS, ids=lambda network: network[0])
def network(request, tmp_path):
    """(library's network, its candidate with the weights in a file, beginning of the head's names)."""
    from safetensors.torch import save_file

    model, args, head = request.param
    module = build(model, args).eval()
    path = tmp_path / "random.safetensors"
    save_file({name: value.clone().contiguous() for name, value in module.state_dict().items()}, path)
    yield module, candidate(model, weights=str(path), args=args), head
    path.unlink()


def own_transform(model, module):
    """The library's own evaluation transform, PIL image -> normalised tensor."""
    family, name = model.split(":")
    if family == "torchvision":
        import torchvision

        return torchvision.models.get_model_weights(name).IMAGENET1K_V1.transforms()
    if family == "timm":
        import timm

        return timm.data.create_transform(**timm.data.resolve_model_data_config(module), is_training=False)
    import open_clip

    config = open_clip.get_model_preprocess_cfg(module)
    keys = ("mean", "std", "resize_mode", "interpolation")
    return open_clip.image_transform(config["size"], is_train=False, **{key: config[key] for key in keys})


def head_input(model, module, images):
    """What the library's head receives for a batch, caught by a hook; of a CLIP model the image embedding."""
    import torch

    caught = []
    if model.startswith("open_clip"):
        return module.encode_image(images).detach()
    if model.startswith("timm"):
        head = module.get_classifier()
        head = head[0] if isinstance(head, tuple) else head
    elif "squeezenet" in model:
        head = module.classifier
    else:
        head = [part for part in module.modules() if isinstance(part, torch.nn.Linear)][-1]
    handle = head.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0].detach()))
    with torch.no_grad():
        module(images)
    handle.remove()
    return caught[0].mean((2, 3)) if caught[0].ndim == 4 else caught[0]


def test_features_are_what_the_head_receives(network):
    import torch

    module, described, head = network
    backbone = load_backbone(described, "cpu")
    transform = own_transform(described["model"], module)
    images = torch.stack([transform(Image.fromarray(image)) for image in IMAGES])
    expected = head_input(described["model"], module, images)
    if "distilled" in described["model"]:  # two heads, each on its own token: the features are their mean
        expected = module.forward_features(images)[:, :2].mean(1).detach()
    features = backbone.features(batch_of(backbone, IMAGES))
    assert features.dtype == np.float32 and features.shape == (len(IMAGES), backbone.feature_size)
    np.testing.assert_allclose(features, expected.numpy(), rtol=1e-4, atol=1e-4 * np.abs(features).max())
    assert backbone.device == "cpu" and pickle.loads(pickle.dumps(backbone.transform)) == backbone.transform
    parameters = {name: value.numel() for name, value in module.named_parameters()}
    kept = [name for name in parameters if (not name.startswith(head) if head else name.startswith("visual."))]
    assert backbone.n_parameters == sum(parameters[name] for name in kept)


@pytest.mark.parametrize("model", ["torchvision:squeezenet1_1", "timm:mobilenetv2_050", "open_clip:ViT-S-32-alt"])
def test_the_head_is_not_needed(model, tmp_path):
    """Weights without the head, or of a head for other classes, or without a CLIP model's text tower, are enough."""
    import torch

    state = build(model, {}).state_dict()
    headless = {name: value for name, value in state.items() if not name.startswith("classifier.")}
    headless = {name: value for name, value in headless.items() if "clip" not in model or name.startswith("visual.")}
    assert len(headless) < len(state)
    features = []
    for name, weights in {"whole": state, "headless": headless}.items():
        torch.save(weights, tmp_path / name)
        backbone = load_backbone(candidate(model, weights=str(tmp_path / name)), "cpu")
        features.append(backbone.features(batch_of(backbone, IMAGES[:1])))
    assert np.array_equal(*features)


def test_weights_that_do_not_fit_are_refused(tmp_path):
    import torch

    module = build("torchvision:resnet18", {})
    state = module.state_dict()
    del state["conv1.weight"]
    state["layer1.0.conv1.weight"] = torch.zeros(1)
    state["extra"] = torch.zeros(1)
    torch.save(state, tmp_path / "bad.pth")
    described = candidate("torchvision:resnet18", weights=str(tmp_path / "bad.pth"))
    with pytest.raises(InputError, match=r"bad\.pth.*lacks 1 \(conv1\.weight\).*1 \(extra\).*layer1\.0\.conv1"):
        load_backbone(described, "cpu")
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(InputError, match=r"text\.safetensors.*damaged"):
        load_backbone(described | {"weights": str(tmp_path / "text.safetensors")}, "cpu")
    torch.save({"state_dict": module.state_dict(), "epoch": 3}, tmp_path / "checkpoint.pth")
    backbone = load_backbone(described | {"weights": str(tmp_path / "checkpoint.pth")}, "cpu")
    assert backbone.weights_sha256 == sha256((tmp_path / "checkpoint.pth").read_bytes()).hexdigest()


def test_a_pickle_is_not_executed(tmp_path):
    import torch

    torch.save({"conv1.weight": Transform(1, 1)}, tmp_path / "pickle.pth")
    with pytest.raises(InputError, match=r"pickle\.pth.*holds a pickled .*Transform, which could execute code"):
        load_backbone(candidate("torchvision:resnet18", weights=str(tmp_path / "pickle.pth")), "cpu")


def test_weights_of_the_library_are_digested(monkeypatch):
    """Without a file the library loads its own; the digest is then one of the parameters, and repeatable."""
    import torchvision

    monkeypatch.setattr(
        torchvision.models._api.WeightsEnum,
        "get_state_dict",
        lambda *_, **__: build("torchvision:resnet18", {}).state_dict(),
    )
    first, second = (load_backbone(candidate("torchvision:resnet18"), "cpu").weights_sha256 for _ in range(2))
    assert first == second and len(first) == 64


def test_no_network_is_told_with_the_way_out(monkeypatch):
    import torchvision

    def offline(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setattr(torchvision.models._api.WeightsEnum, "get_state_dict", offline)
    with pytest.raises(InputError, match=r"candidates\.torchvision-resnet18.*no route to host.*`weights`"):
        load_backbone(candidate("torchvision:resnet18"), "cpu")


def test_a_package_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(
        InputError, match=r"^candidates\.timm-resnet18: .*package that is not installed \(.*timm.*: install it"
    ):
        load_backbone(candidate("timm:resnet18"), "cpu")


@pytest.mark.parametrize(
    ("model", "own", "message"),
    [
        ("torchvison:resnet18", {}, "torchvision"),
        ("torchvision:resnet19", {}, "resnet18"),
        ("torchvision:resnet18", {"args": {"weights": "IMAGENET1K_V3"}}, "IMAGENET1K_V1"),
        ("torchvision:resnet18", {"args": {"depth": 3}}, "depth"),
        ("timm:resnet511", {}, "resnet51q"),
        ("timm:resnet18.a1_in1kk", {}, r"no weights 'a1_in1kk' of resnet18: did you mean 'resnet18.a1_in1k'"),
        ("torchvision:resnet18", {"weights": "absent.ckpt"}, r"the weights file 'absent\.ckpt' is not there"),
        ("open_clip:ViT-S-32-alt", {"args": {"pretrained": "x"}}, "no pretrained weights of ViT-S-32-alt: give a file"),
        ("open_clip:ViT-B-32", {"weights": "absent.pt"}, r"'absent\.pt' is not there"),
        ("open_clip:ViT-B-33", {}, "ViT-B-32"),
        ("open_clip:ViT-B-32", {}, "laion400m_e32"),
        ("open_clip:ViT-B-32", {"args": {"pretrained": "laion400m_e33"}}, "laion400m_e32"),
        ("descriptor:hogg", {}, "hog"),
        ("descriptor:hog", {"args": {"cell": 3}}, "cells"),
        ("descriptor:hog", {"args": {"cells": 1000}}, "128 px"),
        ("descriptor:hog", {"mean": [0.5] * 3}, "no mean"),
        ("descriptor:hog", {"crop": 200}, "crop 200 is larger than resize 128"),
        ("descriptor:hog", {"weights": "here.pth"}, "no weights"),
        ("mini:resnet_xxl", {}, "models/mini has no resnet_xxl"),
        ("timm:resnet10t", {"weights": "nowhere.safetensors"}, "nowhere.safetensors"),
    ],
)
def test_mistakes_are_named(model, own, message):
    with pytest.raises(InputError, match=message) as raised:
        load_backbone(candidate(model, **own), "cpu")
    assert f"candidates.{model.replace(':', '-')}" in str(raised.value)


def test_an_image_size_that_the_network_cannot_take(tmp_path):
    import torch

    torch.save(build("timm:vit_tiny_patch16_224", {}).state_dict(), tmp_path / "vit.pth")
    described = candidate("timm:vit_tiny_patch16_224", weights=str(tmp_path / "vit.pth"))
    with pytest.raises(InputError, match="240 x 240 px"):
        load_backbone(described | {"resize": 256, "crop": 240}, "cpu")


# A small vision transformer, whose blocks and width do not matter here.
SMALL_VIT = {"depth": 1, "embed_dim": 64, "num_heads": 2}


@pytest.mark.parametrize("headless", [False, True])
def test_position_embeddings_are_resampled_as_timm_does_it(headless, tmp_path):
    """A local file of another image size gives what timm's own filter of checkpoints makes of it."""
    import torch
    from timm.models.vision_transformer import checkpoint_filter_fn

    name, path = "timm:vit_small_patch14_dinov2", tmp_path / "vit.pt"
    state = build(name, SMALL_VIT | {"img_size": 112, "num_classes": 5}).state_dict()
    state["pos_embed"] = torch.randn(state["pos_embed"].shape)  # (1, 1 + 8 · 8, 64)
    torch.save({key: value for key, value in state.items() if not headless or not key.startswith("head.")}, path)
    args = SMALL_VIT | {"img_size": 56, "num_classes": 5}
    backbone = load_backbone(candidate(name, weights=str(path), args=args, resize=56, crop=56), "cpu")
    module = build(name, args).eval()
    module.load_state_dict(checkpoint_filter_fn(dict(state), module))
    assert module.pos_embed.shape == (1, 1 + 4 * 4, 64)
    batch = batch_of(backbone, IMAGES)
    mean, std = torch.tensor(backbone.transform.mean), torch.tensor(backbone.transform.std)
    images = ((torch.from_numpy(batch) / 255 - mean) / std).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = module.forward_head(module.forward_features(images), pre_logits=True).numpy()
    np.testing.assert_allclose(backbone.features(batch), expected, rtol=1e-4, atol=1e-5)


def test_no_other_shape_is_changed_on_the_way(tmp_path):
    """A file of another patch size, of another width or without one tensor is refused, as it was not trained for this."""
    import torch

    name, path = "timm:vit_small_patch14_dinov2", str(tmp_path / "vit.pt")
    described = candidate(name, weights=path, args=SMALL_VIT | {"img_size": 56}, resize=56, crop=56)
    for other in ({"patch_size": 7}, {"embed_dim": 32}):
        torch.save(build(name, SMALL_VIT | {"img_size": 112} | other).state_dict(), path)
        with pytest.raises(InputError, match=r"in another shape .*patch_embed\.proj\.weight"):
            load_backbone(described, "cpu")
    state = build(name, SMALL_VIT | {"img_size": 112}).state_dict()
    del state["blocks.0.mlp.fc1.weight"]
    torch.save(state, path)
    with pytest.raises(
        InputError, match=r"lacks 1 \(blocks\.0\.mlp\.fc1\.weight\); it has in another shape 1 \(pos_embed"
    ):
        load_backbone(described, "cpu")


def test_a_vision_transformer_may_take_any_size(tmp_path):
    import torch

    args = SMALL_VIT | {"dynamic_img_size": True}
    torch.save(build("timm:vit_small_patch14_dinov2", args).state_dict(), tmp_path / "vit.pt")
    described = candidate("timm:vit_small_patch14_dinov2", weights=str(tmp_path / "vit.pt"), args=args)
    assert load_backbone(described | {"resize": 70, "crop": 56}, "cpu").feature_size == 64


@pytest.mark.parametrize(
    ("model", "args", "message"),
    [
        ("timm:vit_tiny_patch16_224", {"global_pool": ""}, r"returns float32 numbers of shape \(1, 197, 192\).*`args`"),
        ("timm:vit_tiny_patch16_224", {"global_pool": "x"}, r"does not take these `args` \{'global_pool': 'x'\}"),
        ("timm:vit_tiny_patch16_224", {"features_only": True}, "FeatureGetterNet by `args` .*such as features_only"),
        ("timm:vit_tiny_patch16_224", {"patch_size": 0}, r"these `args` \{'patch_size': 0\} \(ZeroDivisionError"),
        ("timm:resnet10t", {"global_pool": ""}, r"shape \(1, 512, 6, 6\) for 1 image, expected one vector"),
        ("timm:resnet10t", {"features_only": True}, "FeatureListNet by `args`"),
        ("timm:resnet10t", {"output_stride": 3}, r"these `args` \{'output_stride': 3\} \(AssertionError\)"),
        ("timm:resnet10t", {"block_args": "a"}, "does not take these `args`"),
        ("torchvision:resnet18", {"num_classes": -1}, "`args`"),
        ("open_clip:ViT-S-32-alt", {"load_weights": False}, r"args\.load_weights is false"),
        ("mini:vit_s", {"depth": 3}, r"does not take these `args` \{'depth': 3\}"),
    ],
)
def test_args_that_leave_no_vector_of_features(model, args, message, tmp_path):
    """Each is one sentence that names the candidate and `args`."""
    import torch

    own = {}
    if not model.startswith("mini"):
        torch.save(build(model, {}).state_dict(), tmp_path / "w.pt")
        own = {"weights": str(tmp_path / "w.pt")}
    with pytest.raises(InputError, match=message) as raised:
        load_backbone(candidate(model, args=args, **own), "cpu")
    assert str(raised.value).startswith(f"candidates.{model.replace(':', '-')}: ") and "\n" not in str(raised.value)


def test_a_network_returns_one_floating_vector_for_each_image():
    import torch

    from swsa_core.candidates.forward_pass import vectors

    assert vectors(torch.ones(2, 3, dtype=torch.bfloat16), 2).shape == (2, 3)
    for wrong in ([torch.ones(2, 3)], torch.ones(3), torch.ones(1, 3), torch.ones(2, 0), torch.ones(2, 3).long()):
        with pytest.raises(InputError, match=r"the network returns .* for 2 images, expected one vector"):
            vectors(wrong, 2)


@pytest.mark.parametrize("model", ["torchvision:resnet18", "timm:resnet10t", "open_clip:ViT-S-32-alt", "mini:vit_s"])
def test_weights_that_can_be_none_are_told_before_any_job(model, tmp_path):
    (tmp_path / "empty.pt").touch()
    for path, message in {
        tmp_path: "is a directory: name the file in it",
        tmp_path / "absent.pt": "is not there",
        tmp_path / "empty.pt": "is empty, it has 0 bytes",
    }.items():
        with pytest.raises(InputError, match=rf"^candidates\.{model.replace(':', '-')}: the weights file .*{message}"):
            check_model(candidate(model, weights=str(path)))


def test_a_cache_that_cannot_be_written_is_told(monkeypatch):
    import torchvision

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied", "/nonexistent")

    monkeypatch.setattr(torchvision.models._api.WeightsEnum, "get_state_dict", denied)
    with pytest.raises(InputError, match=r"Permission denied: '/nonexistent'\); set XDG_CACHE_HOME to a directory"):
        load_backbone(candidate("torchvision:resnet18"), "cpu")


def test_a_gpu_that_is_not_there():
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(InputError, match=r"runtime\.device.*'cuda'"):
        load_backbone(candidate("timm:resnet10t"), "cuda")


def test_own_transform(tmp_path):
    import torch

    module = build("timm:resnet10t", {}).eval()
    torch.save(module.state_dict(), tmp_path / "w.pth")
    own = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "resize": 80, "crop": 64, "interpolation": "bilinear"}
    backbone = load_backbone(candidate("timm:resnet10t", weights=str(tmp_path / "w.pth"), **own), "cpu")
    assert str(backbone.transform) == "resize 80 bilinear, crop 64, mean 0.1 0.2 0.3, std 0.4 0.5 0.6"
    batch = batch_of(backbone, IMAGES)
    assert batch.shape == (3, 64, 64, 3) and batch.dtype == np.uint8
    normalised = (torch.from_numpy(batch) / 255 - torch.tensor(own["mean"])) / torch.tensor(own["std"])
    with torch.no_grad():
        expected = module.forward_head(module.forward_features(normalised.permute(0, 3, 1, 2)), pre_logits=True)
    np.testing.assert_allclose(backbone.features(batch), expected.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [(8, 8), (375, 500), (501, 333), (33, 1000)])
def test_transform_equals_torchvision(interpolation, shape):
    from torchvision.transforms import v2

    image = RNG.integers(0, 256, (*shape, 3), np.uint8)
    expected = v2.Compose([v2.Resize(73, v2.InterpolationMode(interpolation)), v2.CenterCrop(64)])(
        Image.fromarray(image)
    )
    assert np.array_equal(Transform(73, 64, interpolation)(image), np.asarray(expected))


@pytest.mark.parametrize(
    ("model", "args"), [("torchvision:resnet18", {}), ("timm:vit_tiny_patch16_224", {"img_size": 64})]
)
def test_batch_size_does_not_matter(model, args, tmp_path):
    import torch

    torch.save(build(model, args).state_dict(), tmp_path / "w.pth")
    backbone = load_backbone(candidate(model, weights=str(tmp_path / "w.pth"), args=args, resize=64, crop=64), "cpu")
    batch = RNG.integers(0, 256, (64, 64, 64, 3), np.uint8)
    whole = backbone.features(batch)
    for size in (1, 7):
        parts = np.concatenate([backbone.features(batch[i : i + size]) for i in range(0, len(batch), size)])
        np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-5 * np.abs(whole).max())


def test_bfloat16_is_near_float32(tmp_path):
    import torch

    torch.save(build("torchvision:resnet18", {}).state_dict(), tmp_path / "w.pth")
    described = candidate("torchvision:resnet18", weights=str(tmp_path / "w.pth"), resize=64, crop=64)
    exact, half = (load_backbone(described, "cpu", precision) for precision in ("auto", "bfloat16"))
    batch = batch_of(exact, IMAGES)
    a, b = exact.features(batch), half.features(batch)
    assert b.dtype == np.float32 and not np.array_equal(a, b)
    assert np.linalg.norm(a - b) < 0.02 * np.linalg.norm(a)
    assert np.array_equal(a, load_backbone(described, "cpu", "float32").features(batch))
    assert [backbone.attributes()["precision"] for backbone in (exact, half)] == ["float32", "bfloat16"]


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_descriptors(name):
    backbone = load_backbone(candidate(f"descriptor:{name}"))
    features = backbone.features(batch_of(backbone, IMAGES))
    assert features.shape == (3, backbone.feature_size) and features.dtype == np.float32
    assert np.isfinite(features).all() and len(np.unique(features, axis=0)) == 3
    assert (backbone.n_parameters, backbone.weights_sha256, backbone.device, backbone.precision) == (0, "", "", "")
    assert "scikit-image" in backbone.versions and name in str(backbone.transform)
    again = pickle.loads(pickle.dumps(backbone.transform))
    assert np.array_equal(again(IMAGES[0]), features[0])


def test_descriptors_tell_apart_what_they_describe():
    """Colour knows no place, HOG and LBP no brightness; stripes of another direction differ in HOG and LBP."""
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::8], stripes[:, 1::8] = 100, 100
    turned = np.rot90(stripes).copy()
    for name, describe in DESCRIPTORS.items():
        distance = np.linalg.norm(describe(stripes) - describe(turned))
        brighter = np.linalg.norm(describe(stripes) - describe(stripes * 2))
        assert (distance < 1e-6) == (name == "color_histogram")
        assert (brighter < 1e-2) == (name != "color_histogram")


@pytest.mark.parametrize("name", sorted(architectures.MODELS))
def test_shipped_mini_models(name):
    check_model(candidate(f"mini:{name}"))
    backbone = load_backbone(candidate(f"mini:{name}"), "cpu")
    assert 0 < backbone.n_parameters < 4e6
    features = backbone.features(batch_of(backbone, IMAGES))
    assert features.shape == (3, backbone.feature_size) and features.std(axis=0).max() > 0


def test_mini_family(tmp_path):
    """With any weights of the architecture: x / 127.5 - 1 at 32 x 32 px, `features` of the network."""
    import torch
    from safetensors.torch import save_file

    for name in architectures.MODELS:
        module = architectures.build(name).eval()
        save_file({key: value.half() for key, value in module.state_dict().items()}, tmp_path / f"{name}.safetensors")
        backbone = load_backbone(candidate(f"mini:{name}", weights=str(tmp_path / f"{name}.safetensors")), "cpu")
        batch = batch_of(backbone, IMAGES)
        assert batch.shape == (3, 32, 32, 3)
        module.load_state_dict({key: value.half().float() for key, value in module.state_dict().items()})
        with torch.no_grad():
            expected = module.features(torch.from_numpy(batch).permute(0, 3, 1, 2) / 127.5 - 1)
        np.testing.assert_allclose(
            backbone.features(batch), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max())
        )
        assert backbone.feature_size == module.feature_size
        parameters = {key: value.numel() for key, value in module.named_parameters()}
        assert backbone.n_parameters == sum(n for key, n in parameters.items() if not key.startswith("head."))


SHARED_CANDIDATES = {
    "squeezenet": candidate(
        "torchvision:squeezenet1_1", weights=str(SHARED / "weights" / "squeezenet1_1-imagenet.safetensors")
    ),
    "mobilenet": candidate(
        "timm:mobilenetv2_100",
        weights=str(SHARED / "weights" / "mobilenetv2_100-imagenet.safetensors"),
        args={"pad_type": "same", "num_classes": 1001},
        mean=[128 / 255] * 3,
        std=[128 / 255] * 3,
        resize=256,
        crop=224,
    ),
}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder of real images and weights is absent")
@pytest.mark.parametrize("name", SHARED_CANDIDATES)
def test_real_weights(name):
    """Real ImageNet weights on a real photograph: the features are what the head of the library's network receives."""
    import torch
    from safetensors.torch import load_file

    described = SHARED_CANDIDATES[name]
    backbone = load_backbone(described, "cpu")
    assert backbone.n_parameters == {"squeezenet": 722_496, "mobilenet": 2_223_872}[name]
    assert backbone.weights_sha256 == sha256(Path(described["weights"]).read_bytes()).hexdigest()
    module = build(described["model"], described["args"]).eval()
    module.load_state_dict(load_file(described["weights"]))
    photograph = np.asarray(Image.open(SHARED / "data" / "flowers102" / "jpg" / "image_00001.jpg").convert("RGB"))
    batch = batch_of(backbone, [photograph])
    mean, std = torch.tensor(backbone.transform.mean), torch.tensor(backbone.transform.std)
    images = ((torch.from_numpy(batch) / 255 - mean) / std).permute(0, 3, 1, 2)
    expected = head_input(described["model"], module, images)
    features = backbone.features(batch)
    np.testing.assert_allclose(features, expected.numpy(), rtol=1e-4, atol=1e-4 * np.abs(features).max())


def test_parsing_imports_no_network_library():
    """Checking a config, and a whole descriptor job, get by without torch; mini models without the model libraries."""
    script = """
import sys, json
from swsa_core.candidates.backbone import load_backbone
from swsa_core.candidates.mistakes import check_model
for model in ("torchvision:resnet18", "timm:resnet18.a1_in1k", "open_clip:ViT-B-16-quickgelu", "descriptor:hog"):
    check_model({"name": model, "model": model, "args": {"pretrained": "openai"} if "open_clip" in model else {}})
import swsa_core.embedding.embed
load_backbone({"name": "hog", "model": "descriptor:hog"})
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"torch", "torchvision", "timm", "open_clip", "sklearn", "matplotlib"} & set(json.loads(ran.stdout))


def check_cut(names):
    """The cut network gives one vector an image of the default size; nothing is computed on the meta device."""
    import torch

    from swsa_core.candidates import torchvision

    with torch.device("meta"):
        for name in names:
            network = torchvision.network(name, "not read", {})
            network.module.eval()
            features = network.forward(torch.empty(2, 3, network.transform.crop, network.transform.crop))
            assert features.ndim == 2 and features.shape[0] == 2, name
            assert features.shape[1] != 1000, name
    return features.shape[1]


@pytest.mark.parametrize(
    ("name", "size"),
    {"vit_h_14": 1280, "resnet50": 2048, "vgg11": 4096, "inception_v3": 2048, "googlenet": 1024}.items(),
)
def test_penultimate_layer_of_torchvision(name, size):
    assert check_cut([name]) == size


@pytest.mark.slow
def test_every_torchvision_classifier_has_a_penultimate_layer():
    from torchvision import models

    names = models.list_models(module=models)
    check_cut([name for name in names if not name.startswith("regnet")])  # regnets compute their widths with tensors
