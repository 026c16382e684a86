"""The lease of GPUs: simulated cards, real processes, kernel locks. No card has two owners, and a killed owner has none."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from swsa_core.basics import lease
from swsa_core.basics.devices import find_device
from swsa_core.basics.errors import InputError

ROOT = Path(__file__).parents[2]
FORK = multiprocessing.get_context("fork")


def cards(patch, folder, names, free=None):
    """This process sees the cards `names`, in this order, and has claimed none; claims of all are files of `folder`."""
    free = free or [1000] * len(names)
    patch.setattr(torch.cuda, "is_available", lambda: True)
    patch.setattr(torch.cuda, "device_count", lambda: len(names))
    patch.setattr(lease, "free_memory", lambda: {f"GPU-{name}": one for name, one in zip(names, free, strict=True)})
    patch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=names[index]))
    patch.setattr(lease.tempfile, "gettempdir", lambda: str(folder))
    patch.setattr(lease, "_HELD", {})
    patch.setattr(lease, "_SHARED", [])


class Other:
    """Another process, which sees some cards and takes one: `device`. It keeps it until it ends, at last with the block."""

    def __init__(self, folder, names, free=None, device="auto"):
        self._results, self._end = FORK.Queue(), FORK.Event()
        self.process = FORK.Process(target=self._run, args=(folder, names, free, device))
        self.process.start()
        self.device, self.told = self._results.get(timeout=30)

    def _run(self, folder, names, free, device):
        told = []
        with pytest.MonkeyPatch.context() as patch:
            cards(patch, folder, names, free)
            self._results.put((find_device(device, told.append), told))
            self._end.wait(60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._end.set()
        self.process.join(30)


def test_jobs_take_different_gpus_and_give_them_back(tmp_path, monkeypatch, capsys):
    cards(monkeypatch, tmp_path, "ab")
    assert find_device("auto") == "cuda:0"
    for _ in range(2):  # one after the other: the second job finds the GPU free again
        with Other(tmp_path, "ab") as other:
            assert (other.device, other.told) == ("cuda:1", [])
    assert find_device("cuda") == "cuda:0", "a job goes on with the GPU that it has"
    assert find_device("cuda:1") == "cuda:1"
    assert capsys.readouterr().out == ""


def test_one_card_under_different_numbers_is_one_card(tmp_path, monkeypatch):
    """CUDA_VISIBLE_DEVICES orders and hides cards, by number or UUID, so that numbers mean nothing between jobs."""
    cards(monkeypatch, tmp_path, "ab")
    assert find_device("auto") == "cuda:0"
    with Other(tmp_path, "ba") as other:
        assert other.device == "cuda:0", "its cuda:0 is the other card"
    with Other(tmp_path, "a") as other:
        assert other.device == "cuda:0" and "is shared" in other.told[0], "the scheduler's choice stands"
    with Other(tmp_path, "b") as other:
        assert (other.device, other.told) == ("cuda:0", [])


@pytest.mark.parametrize("wanted", ["auto", "cuda"])
def test_a_card_that_a_job_names_is_passed_over_by_others(wanted, tmp_path):
    with Other(tmp_path, "ab", device="cuda:0"), Other(tmp_path, "ab", device="cuda:0") as second:
        assert (second.device, second.told) == ("cuda:0", []), "who names a card has it, whoever else does"
        with Other(tmp_path, "ab", device=wanted) as third:
            assert third.device == "cuda:1"


def test_a_job_shares_the_first_gpu_where_all_are_taken(tmp_path, monkeypatch, capsys):
    with Other(tmp_path, "ab") as first, Other(tmp_path, "ab") as second:
        assert {first.device, second.device} == {"cuda:0", "cuda:1"}
        cards(monkeypatch, tmp_path, "ab")
        assert find_device("cuda") == "cuda:0"
    assert find_device("cuda") == "cuda:0", "the network of the first task is there, also once another card is free"
    told = capsys.readouterr().out
    assert told.count("\n") == 1
    assert "cuda:0 is shared" in told and "all GPUs here (2) are taken" in told and "--resources gpu=2," in told


def test_a_job_takes_the_gpu_with_the_most_free_memory(tmp_path, monkeypatch):
    cards(monkeypatch, tmp_path, "abc", free=(1000, 70_000, 79_000))
    assert find_device("auto") == "cuda:2"


def test_of_the_others_gpus_a_job_takes_the_freest(tmp_path, monkeypatch, capsys):
    """A card that another job has claimed is passed over, however little that job has filled it yet."""
    free = (1000, 70_000, 79_000)
    with (
        Other(tmp_path, "abc", free) as first,
        Other(tmp_path, "abc", free) as second,
        Other(tmp_path, "abc", free) as third,
    ):
        assert [first.device, second.device, third.device] == ["cuda:2", "cuda:1", "cuda:0"]
        cards(monkeypatch, tmp_path, "abc", free)
        assert find_device("auto") == "cuda:2", "all are taken: the freest is shared"
    assert "cuda:2 is shared with another job" in capsys.readouterr().out


ANSWERS = {
    "two cards": ("echo 'GPU-a, 100'; echo 'GPU-b, 80000'", "cuda:1"),
    "another card": ("echo 'GPU-z, 80000'; echo 'GPU-b, 1'", "cuda:1"),
    "no number": ("echo 'GPU-a, [N/A]'; echo 'GPU-b, 5'", "cuda:1"),
    "an error": ("echo 'NVIDIA-SMI has failed, because it could not communicate with the driver'; exit 9", "cuda:0"),
    "no answer": ("exec /bin/sleep 60", "cuda:0"),
}


@pytest.mark.parametrize(("answer", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_memory_is_what_the_drivers_tool_tells(answer, expected, tmp_path, monkeypatch):
    """torch is not asked: it would take some of each card. Where the tool tells nothing, the first free card is taken."""
    asked = lease.free_memory
    cards(monkeypatch, tmp_path, "ab")
    monkeypatch.setattr(lease, "free_memory", asked)
    monkeypatch.setattr(lease, "ANSWERS_WITHIN", 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: pytest.fail("torch was asked"))
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{answer}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_device("auto") == expected


def test_without_the_drivers_tool_no_memory_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert lease.free_memory() == {}


def test_of_one_visible_gpu_nothing_is_asked_and_it_is_claimed(tmp_path, monkeypatch):
    """As under a scheduler, which chose it."""
    cards(monkeypatch, tmp_path, "b")
    monkeypatch.setattr(lease, "free_memory", lambda: pytest.fail("asked"))
    assert find_device("auto") == "cuda:0"
    with Other(tmp_path, "ab", free=(1000, 2000)) as other:
        assert other.device == "cuda:0", "a job outside the scheduler takes another card, though this one is freer"


PCI = {"pci_domain_id": 0, "pci_bus_id": 0xC1, "pci_device_id": 0}
SLICES = "MIG-9f0d0a4c-6f0e-5d5a-8f2c-000000000001", "MIG-9f0d0a4c-6f0e-5d5a-8f2c-000000000002"
IDENTITIES = {
    "card by number": ("1,0", PCI | {"uuid": "2ab"}, "GPU-2ab"),
    "card by UUID": ("GPU-2a", PCI | {"uuid": "2ab"}, "GPU-2ab"),
    "nothing hidden": (None, PCI | {"uuid": "2ab"}, "GPU-2ab"),
    "slice": (SLICES[1], PCI | {"uuid": "2ab"}, SLICES[1]),
    "slice of an older driver": ("MIG-GPU-2ab/1/0", PCI, "MIG-GPU-2ab-1-0"),
    "card without a UUID": ("0", PCI, "PCI-0000-c1-00"),
}


@pytest.mark.parametrize(("visible", "properties", "expected"), IDENTITIES.values(), ids=IDENTITIES)
def test_what_a_device_is_called(visible, properties, expected, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(**properties))
    assert lease.physical_id(0) == expected


def test_slices_of_one_card_are_different_devices(tmp_path, monkeypatch):
    cards(monkeypatch, tmp_path, ["card"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", SLICES[0])
    assert find_device("auto") == "cuda:0"
    with Other(tmp_path, ["card"]) as same:
        assert "is shared" in same.told[0]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", SLICES[1])
    with Other(tmp_path, ["card"]) as second:
        assert (second.device, second.told) == ("cuda:0", [])


def test_other_users_can_claim_whatever_the_umask(tmp_path, monkeypatch):
    cards(monkeypatch, tmp_path, "a")
    before = os.umask(0o077)
    try:
        find_device("auto")
        assert os.umask(0o077) == 0o077, "what the job writes later has the umask that the user set"
    finally:
        os.umask(before)
    [folder] = tmp_path.iterdir()
    [lock] = folder.iterdir()
    assert folder.stat().st_mode & 0o7777 == 0o1777, "others may add files and cannot remove these"
    assert lock.stat().st_mode & 0o777 == 0o666


def test_a_claim_that_cannot_be_made_is_told(tmp_path, monkeypatch):
    cards(monkeypatch, tmp_path, "a")
    (tmp_path / "swsa-gpus").write_text("no directory")
    with pytest.raises(InputError, match=r"GPU-a\.lock: cannot be locked .* cannot claim cuda:0: .* set TMPDIR"):
        find_device("auto")


def test_a_link_in_the_place_of_a_claim_is_not_followed(tmp_path, monkeypatch):
    """The directory is open to all users: none of them can have another's file opened for writing."""
    cards(monkeypatch, tmp_path, "a")
    (tmp_path / "swsa-gpus").mkdir()
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "swsa-gpus" / "GPU-a.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(InputError, match="cannot be locked"):
        find_device("auto")
    assert (tmp_path / "precious").read_text() == "kept"


@pytest.mark.parametrize(("jobs", "at_most"), [(200, 8), (60, 4)], ids=["more than cards", "as many as cards"])
def test_no_card_has_two_owners_and_killed_owners_have_none(jobs, at_most, tmp_path, monkeypatch):
    command = [sys.executable, str(ROOT / "tests" / "leased_jobs.py"), str(tmp_path), str(jobs), str(at_most)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert ran.returncode == 0, ran.stderr
    *lines, killed = ran.stdout.splitlines()
    assert int(killed) >= jobs // 10, "the test kills"
    assert len(lines) >= jobs // 2, "and not before they took a card"
    assert not [line for line in lines if line.endswith("double")]
    owned = [line for line in lines if line.split()[1] == "own"]
    assert {line.split()[0] for line in owned} == set("abcd")
    if at_most == 4:
        assert owned == lines, "there is a card for each: a job that ended, or was killed, left its own"
    cards(monkeypatch, tmp_path, "abcd")
    assert all(lease.claim(card) for card in range(4)), "all are free at the end"


REAL_JOB = """
import sys, torch
from swsa_core.basics.devices import find_device
from swsa_core.basics.lease import physical_id

device = find_device("auto")
product = torch.eye(64, device=device) @ torch.ones(64, 64, device=device)
print(physical_id(int(device.partition(":")[2])), product.sum().item(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def real_jobs(tmp_path):
    """A function that starts another job on a real GPU and returns (process, what it prints first)."""
    running = []

    def start():
        environment = os.environ | {"TMPDIR": str(tmp_path)}
        command = [sys.executable, "-c", REAL_JOB]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        running.append(subprocess.Popen(command, cwd=ROOT, env=environment, **pipes))
        return running[-1], running[-1].stdout.readline()

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.gpu(count=2)
def test_two_jobs_compute_on_two_real_devices(real_jobs):
    (first, told), (_, other) = real_jobs(), real_jobs()
    names = {line.split()[0] for line in (told, other)}
    assert len(names) == 2 and {line.split()[1] for line in (told, other)} == {"4096.0"}
    first.kill()
    first.wait()
    if torch.cuda.device_count() == 2:
        _, third = real_jobs()
        assert third == told, "the card of a killed job is free again"


@pytest.mark.gpu
def test_a_real_card_is_called_what_the_driver_calls_it(real_jobs):
    _, told = real_jobs()
    listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True).stdout
    assert told.split()[0] in listing
