"""`snakemake --cores 8 --resources gpu=2`: two jobs at a time, each on a GPU of its own, with four threads each."""

import json
import os
import shutil
from itertools import combinations

import pytest
from layouts import draw
from workflow import ROOT, snakemake

pytestmark = [pytest.mark.slow, pytest.mark.study]
CANDIDATES = ("mini:vit_s", "mini:resnet_s", "mini:vit_m")  # one more than cards
# Appended to devices.py of a copy of the project: two cards that torch tells of and cannot compute on. What a job takes, from
# when until when, is written down; then it computes on the CPU.
TWO_CARDS = """
_find_on_real_cards = find_device


def find_device(device, log=print):
    import atexit, json, time
    from types import SimpleNamespace
    from unittest import mock

    import torch

    cards = {
        "is_available": lambda: True,
        "device_count": lambda: 2,
        "get_device_properties": lambda index: SimpleNamespace(uuid=f"simulated-{index}"),
    }
    with mock.patch.multiple(torch.cuda, **cards):
        found = _find_on_real_cards(device, log)
    record = {"device": found, "threads": int(os.environ["OMP_NUM_THREADS"]), "from": time.time()}
    atexit.register(lambda: Path(f"gpu_{os.getpid()}.json").write_text(json.dumps(record | {"until": time.time()})))
    time.sleep(3)  # so that it is still there when the next job comes
    return "cpu"
"""


@pytest.fixture
def project(tmp_path):
    """The Snakefile of a copy of the project that finds two simulated cards."""
    copy = tmp_path / "project"
    for name in ("rules", "workflow_scripts", "swsa_core"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("profiles", "envs", "models", "config", "config.yaml"):
        os.symlink(ROOT / name, copy / name)
    with (copy / "swsa_core" / "basics" / "devices.py").open("a", encoding="utf-8") as devices:
        devices.write(TWO_CARDS)
    return shutil.copy(ROOT / "Snakefile", copy / "Snakefile")


def test_two_jobs_at_a_time_on_two_gpus(project, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where cards are claimed
    study = tmp_path / "study"
    for split in ("train", "test"):
        for number in range(8):
            draw(study / "images" / split / f"{number % 2}" / f"{number}.png", seed=number)
    config = {
        "datasets": {"letters": {"kind": "classes", "root": "images"}},
        "support": {"seeds": 2},
        "sources": {"cutpaste": {}},
        "candidates": list(CANDIDATES),
        "knn": {"k": 1},
        "preparation": {"size": 32},
        "runtime": {"device": "cuda", "threads": 4},
    }
    arguments = ("--snakefile", str(project), "--cores", "8", "--resources", "gpu=2", "--until", "embed_images")
    output = snakemake(study, config, *arguments)
    jobs = [json.loads(path.read_text()) for path in study.glob("gpu_*.json")]
    assert len(jobs) == len(CANDIDATES) and output.count("threads: 4") >= len(jobs), output
    assert [job["threads"] for job in jobs] == [4] * len(jobs)
    assert {job["device"] for job in jobs} == {"cuda:0", "cuda:1"}
    together = [pair for pair in combinations(jobs, 2) if overlap(*pair)]
    assert together, "no two jobs ran at once"
    assert all(first["device"] != second["device"] for first, second in together)
    assert len(together) < len(jobs), "a third job waits for a card"
    assert "is shared with another job" not in output
    assert {path.name for path in (tmp_path / "swsa-gpus").iterdir()} == {
        "GPU-simulated-0.lock",
        "GPU-simulated-1.lock",
    }


def overlap(first, second):
    return first["from"] < second["until"] and second["from"] < first["until"]
