"""Devices: a GPU where there is one, and another one for each job."""

import multiprocessing
import os
from types import SimpleNamespace

import pytest
import torch

from swsa_core.basics import devices
from swsa_core.basics.devices import find_device, find_dtype
from swsa_core.basics.errors import InputError


def two_gpus(folder, patch):
    patch.setattr(torch.cuda, "is_available", lambda: True)
    patch.setattr(torch.cuda, "device_count", lambda: 2)
    patch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=f"gpu-{index}"))
    patch.setattr(devices.tempfile, "gettempdir", lambda: str(folder))
    patch.setattr(devices, "_CLAIMS", {})


def other_job(folder, results, end=None):
    with pytest.MonkeyPatch.context() as patch:
        two_gpus(folder, patch)
        results.put(find_device("auto"))
        if end:
            end.wait(30)


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
    assert find_device("cuda") == "cuda:0", "a job goes on with the GPU that it has"
    assert find_device("cuda:1") == "cuda:1"
    assert capsys.readouterr().out == ""


def test_a_job_shares_the_first_gpu_where_all_are_taken(tmp_path, monkeypatch, capsys):
    context = multiprocessing.get_context("fork")
    results, end = context.Queue(), context.Event()
    others = [context.Process(target=other_job, args=(tmp_path, results, end)) for _ in range(2)]
    for process in others:
        process.start()
    assert {results.get(timeout=30) for _ in others} == {"cuda:0", "cuda:1"}
    two_gpus(tmp_path, monkeypatch)
    assert find_device("cuda") == "cuda:0"
    end.set()
    for process in others:
        process.join()
    told = capsys.readouterr().out
    assert told.count("\n") == 1
    assert "cuda:0 is shared" in told and "all GPUs here (2) are taken" in told and "--resources gpu=2," in told


def test_other_users_can_open_the_lock_whatever_the_umask(tmp_path, monkeypatch):
    two_gpus(tmp_path, monkeypatch)
    before = os.umask(0o077)
    try:
        find_device("auto")
    finally:
        os.umask(before)
    [lock] = tmp_path.iterdir()
    assert lock.stat().st_mode & 0o777 == 0o644


def test_a_gpu_that_is_not_there_is_refused(tmp_path, monkeypatch):
    two_gpus(tmp_path, monkeypatch)
    with pytest.raises(InputError, match=r"runtime\.device: received 'cuda:7', but torch sees cuda:0, cuda:1: use one"):
        find_device("cuda:7")


def test_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto") == find_device("cpu") == "cpu"
    with pytest.raises(InputError, match=r"runtime\.device: received 'cuda', but torch sees no GPU: use auto or cpu"):
        find_device("cuda")


def test_precision():
    assert find_dtype("auto", "cpu") == find_dtype("float32", "cuda:0") == torch.float32
    assert find_dtype("auto", "cuda:1") == find_dtype("bfloat16", "cpu") == torch.bfloat16
