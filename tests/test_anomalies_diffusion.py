"""The diffusion source of a task: halves, models, sizes; and the rule, resumed after a kill."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
from workflow import ROOT, dry_run, snakemake

from swsa_core import store
from swsa_core.anomalies.diffusion import check_size, find_model, from_network, halves, to_network
from swsa_core.config import validate
from swsa_core.contact_sheets import cross_sheet
from swsa_core.errors import InputError

IDS = [f"{i}.png" for i in range(10)]
SOURCE = {"model": "adm_imagenet_256", "flags": None}


def test_halves_are_a_random_partition_in_order():
    style, content = halves(IDS, 0, "birds", "wren")
    assert len(style) == len(content) == 5
    assert sorted(style + content) == IDS
    assert style == sorted(style)
    assert (style, content) == halves(IDS, 0, "birds", "wren") != halves(IDS, 0, "birds", "robin")


def test_models_are_found_by_name_or_path(tmp_path):
    assert find_model(SOURCE) == ("resources/weights/adm_imagenet_256.pt", None, 256)
    own = tmp_path / "own.pt"
    own.touch()
    assert find_model(SOURCE | {"model": str(own), "flags": {"image_size": 64}})[2] == 64
    (tmp_path / "config.json").write_text('{"sample_size": 32}')
    assert find_model(SOURCE | {"model": str(tmp_path)})[2] == 32
    with pytest.raises(
        InputError, match=r"sources\.diffusion\.model: 'adm_imagenet' .* did you mean 'adm_imagenet_256'"
    ):
        find_model(SOURCE | {"model": "adm_imagenet"})
    with pytest.raises(InputError, match="'mini:adm_64' is not in models/mini"):
        find_model(SOURCE | {"model": "mini:adm_64"})


def config(**diffusion):
    return {
        "datasets": {"digits": {"kind": "digits", "tasks": ["3"]}},
        "support": {"seeds": 4},
        "sources": {"diffusion": {"model": "mini:adm_32", "steps": 3} | diffusion},
        "candidates": ["descriptor:hog"],
        "preparation": {"size": 32},
        "runtime": {"device": "cpu", "threads": 1},
        "evaluation": {"bootstrap": 100},
    }


def test_size_of_model_and_preparation_must_agree():
    check_size(validate(config()))
    with pytest.raises(
        InputError, match=r"preparation\.size: received 32, but .*'adm_imagenet_256' makes images of 256"
    ):
        check_size(validate(config(model="adm_imagenet_256")))
    with pytest.raises(InputError, match="'original' cannot go with the source 'diffusion'"):
        validate(config() | {"preparation": "original"})


def test_pixels_round_trip():
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 6, 3), dtype=np.uint8)
    assert np.array_equal(from_network(to_network(list(images))), images)
    assert from_network(np.array([-9.0, 9.0, 0.0]).reshape(1, 3, 1, 1)).ravel().tolist() == [0, 255, 128]


def test_cross_sheet_has_styles_on_top_and_contents_at_the_left():
    def tile(value):
        return np.full((8, 8, 3), value, np.uint8)

    made = np.array([[tile(10 * i + j) for j in (1, 2, 3)] for i in (1, 2)])
    sheet = cross_sheet([tile(100), tile(101)], [tile(50), tile(51), tile(52)], made, gap=2)
    grid = [[int(sheet[top, left, 0]) for left in (2, 14, 24)] for top in (2, 14, 24, 34)]
    assert grid == [[255, 100, 101], [50, 11, 21], [51, 12, 22], [52, 13, 23]]


needs_model = pytest.mark.skipif(
    not (ROOT / "models" / "mini" / "adm_32.safetensors").exists(), reason="no mini diffusion model"
)


@needs_model
def test_rule_makes_all_pairs_and_an_edit_reruns_what_depends_on_it(tmp_path):
    snakemake(tmp_path, config())
    arrays, attributes = store.read(tmp_path / "results" / "digits" / "anomalies" / "diffusion" / "3.h5")
    assert arrays["images"].shape == (4, 32, 32, 3)
    assert attributes["source"] == "diffusion"
    support = store.read_json(tmp_path / "results" / "digits" / "support" / "3.json")
    style, content = halves(support["seed_ids"], 0, "digits", "3")
    assert arrays["parents"].tolist() == [[s, c] for s in style for c in content]
    assert "All pairs" in (tmp_path / "results" / "report.html").read_text()
    below = dict.fromkeys(["score_knn", "evaluate", "select", "strategies", "tables", "figures", "report"], 1)
    assert dry_run(tmp_path, config(gamma=0.5)) == {"diffusion": 1, "embed_anomalies": 1, **below}
    assert dry_run(tmp_path, config()) == {}


RUNNING = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from workflow import snakemake
print(snakemake(Path({directory!r}), {config!r}, {target!r}))
"""
TARGET = "results/digits/anomalies/diffusion/3.h5"
LOG = "results/logs/diffusion/digits/3.log"


@contextmanager
def running(directory, settings):
    """A workflow's process group, once its diffusion job has finished a style; all of it is gone when the block has ended."""
    (directory / LOG).unlink(missing_ok=True)
    code = RUNNING.format(tests=str(Path(__file__).parent), directory=str(directory), config=settings, target=TARGET)
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        while not ((directory / LOG).exists() and "styles are done" in (directory / LOG).read_text()):
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.01)
        yield process.pid
        process.communicate(timeout=60)
        deadline = time.monotonic() + 30
        while members(process.pid):
            assert time.monotonic() < deadline, "a process outlived the workflow"
            time.sleep(0.01)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def members(group):
    """{process id: command line} of a process group; a killed process is among them until its files are closed."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, _, its_group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found[int(entry.name)] = (entry / "cmdline").read_text()
        except (ProcessLookupError, FileNotFoundError):
            continue
    return found


def finished_styles(directory):
    """Number of the styles in the partial file of a job that was killed before the last one."""
    assert not (directory / TARGET).exists()
    with h5py.File(directory / f"{TARGET}.partial") as file:
        done = int(file.attrs["done"])
    assert done % 4 == 0 and 0 < done < 16
    return done // 4


@needs_model
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc to find the job's process")
def test_kill_and_rerun_give_identical_anomalies(tmp_path):
    """The job alone is killed, as for its memory, and then Snakemake with it, as by a power cut."""
    settings = config(steps=30) | {"support": {"seeds": 8}}  # four styles and four contents
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    with running(killed, settings) as group:
        [job] = [pid for pid, command in members(group).items() if ".diffusion.py" in command]
        os.kill(job, signal.SIGKILL)
    first = finished_styles(killed)
    with running(killed, settings) as group:  # the same command again
        os.killpg(group, signal.SIGKILL)
    assert f"the first {first} of 4 styles are not computed again" in (killed / LOG).read_text()
    second = finished_styles(killed)
    assert first < second

    assert "--unlock" in snakemake(killed, settings, TARGET, check=False), "what to type after Snakemake's own end"
    snakemake(killed, settings, "--unlock")
    snakemake(killed, settings, TARGET)
    log = (killed / LOG).read_text()
    assert f"the first {second} of 4 styles are not computed again" in log
    assert [line for line in log.splitlines() if line.endswith("styles are done")] == [
        f"{style} of 4 styles are done" for style in range(second + 1, 5)
    ]
    snakemake(whole, settings, TARGET)
    expected, result = (store.read(directory / TARGET) for directory in (whole, killed))
    assert expected[1] == result[1] and expected[0].keys() == result[0].keys()
    for name, array in expected[0].items():
        assert np.array_equal(array, result[0][name]), name
    sheets = [(directory / TARGET).with_suffix(".png").read_bytes() for directory in (whole, killed)]
    assert sheets[0] == sheets[1]
