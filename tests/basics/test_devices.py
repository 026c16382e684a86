"""Devices: a GPU where torch can use one, and float32 that is float32. Which of several: test_lease.py."""

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from swsa_core.basics import devices, lease
from swsa_core.basics.devices import find_device, find_dtype, requested_gpus, threads_of, uses_gpu
from swsa_core.basics.errors import InputError, is_out_of_memory

ROOT = Path(__file__).parents[2]


def gpus(folder, patch, count):
    """So many GPUs that torch can use, none of them claimed."""
    patch.setattr(torch.cuda, "is_available", lambda: True)
    patch.setattr(torch.cuda, "device_count", lambda: count)
    patch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=f"gpu-{index}"))
    patch.setattr(lease.tempfile, "gettempdir", lambda: str(folder))
    patch.setattr(lease, "_HELD", {})
    patch.setattr(lease, "_SHARED", [])


def test_a_gpu_that_is_not_there_is_refused(tmp_path, monkeypatch):
    gpus(tmp_path, monkeypatch, 2)
    with pytest.raises(InputError, match=r"runtime\.device: received 'cuda:7', but torch sees cuda:0, cuda:1: use one"):
        find_device("cuda:7")


def machine(monkeypatch, gpu=True, build="13.2", offered=(13, 0), available=False):
    """A machine with or without a GPU, what its torch was built for, what its driver offers, and what torch says."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "has_gpu", lambda: gpu)
    monkeypatch.setattr(devices, "torch_cuda", lambda: build)
    monkeypatch.setattr(devices, "driver_cuda", lambda: offered)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)


OLD_DRIVERS = {
    "older driver": ({"offered": (12, 4)}, "torch needs a driver for CUDA 13.2, and the driver here offers CUDA 12.4"),
    "no driver": ({"offered": None}, r"torch needs a driver for CUDA 13.2, and no driver library \(libcuda.so.1\)"),
    "build without CUDA": ({"build": None}, "the installed torch was built without CUDA"),
}


@pytest.mark.parametrize(("here", "told"), OLD_DRIVERS.values(), ids=OLD_DRIVERS)
def test_a_gpu_that_torch_cannot_use_is_told_in_one_line_and_rules_count_none(here, told, monkeypatch, capsys):
    machine(monkeypatch, **here)
    assert requested_gpus("auto") == 0 and not uses_gpu("auto"), "told without torch, as in the Snakefile"
    assert find_device("auto") == "cpu"
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("WARNING: there is a GPU here, but ") and "computes on the CPU" in line
    assert "`runtime: {device: cpu}` in the config silences this line" in line
    assert re.search(told, line)
    with pytest.raises(InputError, match=rf"received 'cuda', but torch sees no GPU, as {told}.*: use auto or cpu"):
        find_device("cuda")
    assert find_device("cpu") == "cpu"
    assert capsys.readouterr().out == "", "asked for, the CPU needs no word"


def test_what_only_torch_knows_is_told_by_the_job(monkeypatch, capsys):
    """A card that is refused for another reason than its driver, say its rights."""
    machine(monkeypatch, offered=(13, 0))
    assert requested_gpus("auto") == 1
    assert find_device("auto") == "cpu"
    assert "built for CUDA 13.2, the driver here offers CUDA 13.0" in capsys.readouterr().out


@pytest.mark.parametrize("offered", [(13, 0), (13, 2), (14, 1)])
def test_a_driver_runs_builds_of_its_major_version_and_of_older_ones(offered, tmp_path, monkeypatch, capsys):
    machine(monkeypatch, offered=offered)
    assert requested_gpus("auto") == 1
    gpus(tmp_path, monkeypatch, 1)
    assert find_device("auto") == "cuda:0"
    assert capsys.readouterr().out == ""


def test_where_jobs_have_an_environment_of_their_own_a_gpu_counts(monkeypatch):
    machine(monkeypatch, build="", offered=(12, 4))
    assert requested_gpus("auto") == 1


def test_a_rule_asks_for_a_gpu_where_its_job_can_use_one(monkeypatch):
    machine(monkeypatch, gpu=False)
    assert [requested_gpus(device) for device in ("auto", "cpu", "cuda", "cuda:1")] == [0, 0, 1, 1]
    elsewhere = [requested_gpus(device, elsewhere=True) for device in ("auto", "cpu", "cuda", "cuda:1")]
    assert elsewhere == [1, 0, 1, 1], "what a login node has does not matter to a cluster's jobs"


def test_a_gpu_is_known_by_its_device_file_unless_it_is_hidden(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidiactl").touch()
    assert not devices.has_gpu(tmp_path)
    (tmp_path / "dev" / "nvidia0").touch()
    assert devices.has_gpu(tmp_path)
    for value, seen in {"": False, "-1": False, "NoDevFiles": False, "1": True, "GPU-2ab": True}.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
        assert devices.has_gpu(tmp_path) == seen


def test_a_gpu_that_is_hidden_is_passed_over_without_a_word(monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(devices.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto") == "cpu" and requested_gpus("auto") == 0
    assert capsys.readouterr().out == ""


def test_the_version_that_torch_was_built_for_is_read_without_importing_it():
    code = "import sys\nfrom swsa_core.basics import devices\nprint(devices.torch_cuda(), 'torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout == f"{torch.version.cuda} False\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [("cuda: Optional[str] = '12.8'", "12.8"), ("cuda = '12.8'", "12.8"), ("cuda: Optional[str] = None", None)],
)
def test_builds_of_torch_with_and_without_cuda(line, expected, tmp_path, monkeypatch):
    (tmp_path / "version.py").write_text(f"__version__ = '2.15.0'\n{line}\nhip = None\n")
    spec = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: spec)
    assert devices.torch_cuda() == expected
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: None)
    assert devices.torch_cuda() == ""


def test_the_driver_tells_its_version(monkeypatch):
    def library(status, version):
        def asked(pointer):
            pointer._obj.value = version
            return status

        return lambda name: SimpleNamespace(cuDriverGetVersion=asked)

    monkeypatch.setattr(devices.ctypes, "CDLL", library(0, 12040))
    assert devices.driver_cuda() == (12, 4)
    monkeypatch.setattr(devices.ctypes, "CDLL", library(1, 0))
    assert devices.driver_cuda() is None
    monkeypatch.undo()
    monkeypatch.setattr(devices.ctypes, "CDLL", lambda name: (_ for _ in ()).throw(OSError(name)))
    assert devices.driver_cuda() is None


@pytest.mark.parametrize(
    ("cores", "gpus", "threads"),
    [(8, 4, 2), (8, 2, 4), (32, 4, 4), (8, 3, 2), (2, 4, 1), (1, 1, 1), (None, 4, 4), (8, None, 4), (8, 0, 4)],
)
def test_as_many_gpu_jobs_fit_the_cores_as_there_are_gpus(cores, gpus, threads):
    assert threads_of(True, cores, gpus, wanted=4) == threads
    assert threads_of(False, cores, gpus, wanted=4) == 4
    if cores and gpus and cores >= gpus:
        assert gpus * threads <= cores


def test_without_a_gpu(monkeypatch):
    machine(monkeypatch, gpu=False)
    assert find_device("auto") == find_device("cpu") == "cpu"
    with pytest.raises(InputError, match=r"runtime\.device: received 'cuda', but torch sees no GPU: use auto or cpu"):
        find_device("cuda")


def test_precision():
    assert find_dtype("auto", "cpu") == find_dtype("float32", "cuda:0") == torch.float32
    assert find_dtype("auto", "cuda:1") == find_dtype("bfloat16", "cpu") == torch.bfloat16
    assert find_dtype("float16", "cuda:0") == find_dtype("float16", "cpu") == torch.float16


FLOAT32 = """
import json, torch
from swsa_core.basics.devices import inference
getter = torch._C._get_fp32_precision_getter

def switches():
    new = [getter(*at) for at in (("cuda", "matmul"), ("cuda", "conv"), ("mkldnn", "matmul"), ("mkldnn", "conv"))]
    # The older record too, which raises where the two disagree; torch.compile reads it.
    return [*new, torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32]

before = switches()
within = inference(switches)()
print(json.dumps([before, within, before == switches()]))
"""


@pytest.mark.parametrize("container", [False, True], ids=["plain", "NVIDIA's container"])
def test_float32_means_float32_in_products_and_convolutions(container):
    """What a GPU would compute in is set, and told, without one. The variable is that of NVIDIA's containers."""
    environment = os.environ | {"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": str(int(container))}
    command = [sys.executable, "-W", "error", "-c", FLOAT32]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment)
    before, within, restored = json.loads(ran.stdout)
    assert before[:2] == ["tf32" if container else "none", "tf32"] and before[4:] == [container, True]
    assert "tf32" not in within and within[4:] == [False, False]
    assert restored


MESSAGES = {
    "GPU": "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB",
    "CPU": "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried",
    "cuBLAS": "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "cuDNN's workspace": "GET was unable to find an engine to execute this computation",
    "cuDNN's plans": "cuDNN Frontend error: [cudnn_frontend] Error: No valid execution plans built.",
    "cuDNN's index": "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if you passed in a non-contiguous input.",
    "CUDA's grid": "CUDA error: invalid configuration argument\nCUDA kernel errors might be asynchronously reported at some "
    "other API call, so the stacktrace below might be incorrect.",
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_what_a_batch_that_is_too_large_ends_in_is_recognised(message):
    assert is_out_of_memory(RuntimeError(message))


def test_other_errors_are_not_taken_for_memory():
    for message in (
        "CUDA error: an illegal memory access was encountered",
        "Given groups=1, weight of size [4, 3, 3, 3], expected input[1, 4, 8, 8] to have 3 channels, but got 4 channels",
        "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED",
    ):
        assert not is_out_of_memory(RuntimeError(message))


ALLOCATING = """
import resource
import sys
import numpy as np
from swsa_core.basics.devices import find_device
if sys.argv[1] == "kept":
    assert find_device("cpu") == "cpu"
np.ones(3_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(3_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such settings")
def test_memory_that_a_network_frees_is_kept_for_its_next_pass():
    faults = {}
    for way in ("given back", "kept"):
        command = [sys.executable, "-c", ALLOCATING, way]
        ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        faults[way] = int(ran.stdout)
    assert faults["kept"] < faults["given back"] / 10
