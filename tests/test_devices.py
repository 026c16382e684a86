"""Devices: a GPU where there is one, and another one for each job."""

import multiprocessing
from types import SimpleNamespace

import pytest
import torch

from swsa_core import devices
from swsa_core.devices import find_device, find_dtype
from swsa_core.errors import InputError


def two_gpus(folder, patch):
    patch.setattr(torch.cuda, "is_available", lambda: True)
    patch.setattr(torch.cuda, "device_count", lambda: 2)
    patch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=f"gpu-{index}"))
    patch.setattr(devices.tempfile, "gettempdir", lambda: str(folder))
    patch.setattr(devices, "_CLAIMS", [])


def other_job(folder, results):
    with pytest.MonkeyPatch.context() as patch:
        two_gpus(folder, patch)
        results.put(find_device("auto"))


def test_jobs_take_different_gpus_and_give_them_back(tmp_path, monkeypatch, capsys):
    two_gpus(tmp_path, monkeypatch)
    assert find_device("auto") == "cuda:0"
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    found = []
    for _ in range(2):  # one after the other: the second job finds the GPU free again
        process = context.Process(target=other_job, args=(tmp_path, results))
        process.start()
        found.append(results.get(timeout=30))
        process.join()
    assert found == ["cuda:1", "cuda:1"]
    assert find_device("cuda") == "cuda:1"
    assert find_device("cuda:1") == "cuda:1"
    assert capsys.readouterr().out == ""
    assert find_device("cuda") == "cuda:0", "all are taken: the first one is shared"
    told = capsys.readouterr().out
    assert told.count("\n") == 1
    assert "cuda:0 is shared" in told and "all GPUs here (2) are taken" in told and "--resources gpu=2," in told


def test_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto") == find_device("cpu") == "cpu"
    with pytest.raises(InputError, match=r"runtime\.device: received 'cuda', but torch sees no GPU: use auto or cpu"):
        find_device("cuda")


def test_precision():
    assert find_dtype("auto", "cpu") == find_dtype("float32", "cuda:0") == torch.float32
    assert find_dtype("auto", "cuda:1") == find_dtype("bfloat16", "cpu") == torch.bfloat16
