"""Weights load exactly, out of whatever training's checkpoint, and what is no trained network is refused by its name."""

import argparse
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from swsa_core.basics.errors import InputError
from swsa_core.files.weights import load_weights


def network():
    """A model of the shape of a library's: matrices, a bias, and a count that is no floating-point number."""
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2))


@pytest.fixture
def state():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return network().state_dict()


def load(content, path):
    (save_file if path.suffix == ".safetensors" else torch.save)(content, path)
    module = network()
    load_weights(module, path)
    return module.state_dict()


def is_same(found, state):
    return all(torch.equal(found[name], value) for name, value in state.items())


WRAPPED = {
    "plain": lambda state: state,
    "several GPUs": lambda state: {f"module.{name}": value for name, value in state.items()},
    "lightning": lambda state: {"state_dict": state, "epoch": 3, "optimizer_states": [{"lr": 0.1}]},
    "model_state_dict": lambda state: {"model_state_dict": state, "optimizer_state_dict": {"state": {}}},
    "its name beside": lambda state: {"state_dict": state, "model": "resnet18"},
    "with settings": lambda state: {"model": state, "args": argparse.Namespace(lr=0.1)},
    "nested": lambda state: {"model": {"state_dict": state}},
    "average": lambda state: {"state_dict_ema": state},
    "DINO": lambda state: {"teacher": {f"module.backbone.{name}": value for name, value in state.items()}},
}  # fmt: skip


@pytest.mark.parametrize("how", WRAPPED)
def test_checkpoints_are_opened(how, state, tmp_path):
    assert is_same(load(WRAPPED[how](state), tmp_path / "w.pt"), state)


def test_safetensors_and_halves(state, tmp_path):
    assert is_same(load(state, tmp_path / "w.safetensors"), state)
    halves = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    assert is_same(load(halves, tmp_path / "w.pt"), {name: value.float() for name, value in halves.items()})


@pytest.mark.parametrize("keys", [("state_dict", "state_dict_ema"), ("model", "model_ema"), ("student", "teacher")])
def test_which_of_several_networks_is_the_users_choice(keys, state, tmp_path):
    message = rf"w\.pt' holds several state dicts, '{keys[0]}' and '{keys[1]}', expected one: save the one"
    with pytest.raises(InputError, match=message):
        load(dict.fromkeys(keys, state), tmp_path / "w.pt")


def changed(change, only=lambda value: value.is_floating_point()):
    return lambda state: {name: change(value) if only(value) else value for name, value in state.items()}


def one_value(state):
    state["2.weight"][1, 2] = float("nan")
    return state


REFUSED = {
    "integers": (changed(lambda value: (value * 100).to(torch.int8)), r"has 0\.weight strided int8, expected dense floating"),
    "sparse": (changed(lambda value: value.to_sparse()), r"has 0\.weight sparse_coo float32, expected dense"),
    "not a number": (one_value, r"has NaN or infinite numbers in 2\.weight"),
    "zeros": (changed(torch.zeros_like), r"2 of its 2 matrices \(0\.weight, 2\.weight\) hold one number repeated"),
    "ones": (changed(torch.ones_like), r"one number repeated, .*: give trained weights"),
    "names that are numbers": (lambda state: dict(enumerate(state.values())), "holds no state dict, {name: tensor}"),
    "nothing": (lambda state: {}, "holds no state dict"),
    "a list": (lambda state: list(state.values()), "holds no state dict"),
    "other things": (lambda state: {"optimizer": {"state": state}}, "holds no state dict.*model_state_dict, model"),
    "a module": (lambda state: network(), r"holds a whole pickled module, a torch\.nn\.modules\.container\.Sequential, "
                 r"expected a state dict of tensors; save model\.state_dict\(\)"),
    "an object": (lambda state: state | {"x": InputError("x")}, r"holds a pickled swsa_core\.basics\.errors\.InputError"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_trained_network_is_refused(what, state, tmp_path):
    change, message = REFUSED[what]
    with pytest.raises(InputError, match=rf"the weights file '.*w\.pt' .*{message}"):
        load(change(state), tmp_path / "w.pt")


def test_a_matrix_may_be_unused(state, tmp_path):
    state["2.weight"].zero_()
    assert is_same(load(state, tmp_path / "w.pt"), state)


def test_a_script_is_told_from_damage(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "w.pt"))
    with pytest.raises(InputError, match=r"w\.pt' is a TorchScript archive, .*; save model\.state_dict"):
        load_weights(network(), tmp_path / "w.pt")


def deflated(source, target):
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in archive.namelist():
            packed.writestr(name, archive.read(name))


def test_a_file_that_unpacks_to_far_more_than_the_model_is_not_unpacked(state, tmp_path, monkeypatch):
    torch.save(state | {"extra": torch.zeros(25_000_000)}, tmp_path / "plain.pt")
    deflated(tmp_path / "plain.pt", tmp_path / "w.pt")
    needed = sum(value.nbytes for value in state.values())
    with monkeypatch.context() as patched, pytest.raises(InputError) as told:
        patched.setattr(torch, "load", lambda *args, **kwargs: pytest.fail("unpacked"))
        load_weights(network(), tmp_path / "w.pt")
    assert "bytes; the model's own weights are" in str(told.value) and f" {needed:,}, at most " in str(told.value)
    with pytest.raises(InputError, match=r"has, unexpected, 1 \(extra\)"):  # as large, and no larger than the file
        load_weights(network(), tmp_path / "plain.pt")


def test_damage_and_the_machine_are_told_apart(tmp_path, monkeypatch):
    (tmp_path / "w.pt").write_bytes(b"no weights")
    with pytest.raises(InputError, match=r"w\.pt' cannot be read, it is damaged or no weights file"):
        load_weights(network(), tmp_path / "w.pt")

    def fails(*args, **kwargs):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(torch, "load", fails)
    with pytest.raises(InputError, match=r"w\.pt cannot be read .*the disk or its mount fails"):
        load_weights(network(), tmp_path / "w.pt")
