"""The diffusion source of a task: halves, models, sizes; and the rule, resumed after a kill."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from pages import Page
from safetensors.torch import load_file, save_file
from workflow import ROOT, dry_run, snakemake

from swsa_core.anomalies.diffusion import halves
from swsa_core.anomalies.diffusion_model import check, find_model, from_network, overflow, precision_of, to_network
from swsa_core.anomalies.made import check_one_precision
from swsa_core.basics.errors import InputError
from swsa_core.config.config import validate
from swsa_core.config.leaves import stage_version
from swsa_core.diffusion import build_adm
from swsa_core.files import store
from swsa_core.files.images import read_image
from swsa_core.files.text import read_json
from swsa_core.report.contact_sheets import cross_sheet, cross_uri

IDS = [f"{i}.png" for i in range(10)]
ONE_HEAD = {"num_heads": 1}
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
    assert find_model(SOURCE | {"model": str(own)}) == (str(own), None, 256)
    with pytest.raises(
        InputError, match=r"sources\.diffusion\.model: 'adm_imagenet' .* did you mean 'adm_imagenet_256'"
    ):
        find_model(SOURCE | {"model": "adm_imagenet"})
    with pytest.raises(InputError, match="'mini:adm_64' is not in models/mini"):
        find_model(SOURCE | {"model": "mini:adm_64"})


@pytest.mark.parametrize("flags", [{"image_size": 128}, {"num_channels": 64, "resblock_updown": True}, {}])
def test_the_size_is_that_of_the_model_which_is_built(flags, tmp_path):
    own = tmp_path / "own.pt"
    own.touch()
    with torch.device("meta"):
        unet = build_adm(flags | ONE_HEAD)
    assert find_model({"model": str(own), "flags": flags | ONE_HEAD}).side == unet.config.sample_size


def diffusers_model(folder, **change):
    described = {"_class_name": "UNet2DModel", "sample_size": 32} | change
    (folder / "unet").mkdir(parents=True)
    (folder / "unet" / "config.json").write_text(json.dumps(described))
    (folder / "unet" / "diffusion_pytorch_model.safetensors").touch()
    return folder


def test_all_files_that_say_what_a_model_computes_are_named(tmp_path):
    folder = diffusers_model(tmp_path / "hub")
    (folder / "unet" / "diffusion_pytorch_model.fp16.safetensors").touch()
    model = find_model(SOURCE | {"model": str(folder)})
    assert (model.path, model.side) == (str(folder), 32)
    names = ("config.json", "diffusion_pytorch_model.safetensors")
    assert model.files == [str(folder / "unet" / name) for name in names]
    mini = find_model(SOURCE | {"model": "mini:adm_32"}).files
    assert [Path(path).name for path in mini] == ["adm_32.safetensors", "adm_32.json"]
    assert find_model(SOURCE).files == ["resources/weights/adm_imagenet_256.pt"]


def test_diffusers_models_are_checked_before_any_job(tmp_path):
    cases = {
        "act_fn='gelu'": {"act_fn": "gelu"},
        "sample_size=None": {"sample_size": None},
        r"sample_size=\[32, 48\]": {"sample_size": [32, 48]},
        "is of a UNet2DConditionModel": {"_class_name": "UNet2DConditionModel"},
    }
    for number, (message, change) in enumerate(cases.items()):
        folder = diffusers_model(tmp_path / str(number), **change)
        with pytest.raises(InputError, match=rf"^sources\.diffusion\.model: .*config\.json .*{message}"):
            find_model(SOURCE | {"model": str(folder)})
    with pytest.raises(InputError, match=r"sources\.diffusion\.model: .* is no diffusers model"):
        find_model(SOURCE | {"model": str(tmp_path)})


def test_flags_of_a_model_that_brings_its_own_are_refused(tmp_path):
    for model in ("adm_imagenet_256", "mini:adm_32", str(diffusers_model(tmp_path / "hub"))):
        with pytest.raises(InputError, match=r"^sources\.diffusion\.flags: .* brings its own"):
            find_model({"model": model, "flags": {"image_size": 64}})


def test_mistakes_in_flags_and_path_are_told_with_the_config(tmp_path, monkeypatch):
    def model_of(**diffusion):
        return validate(config(**diffusion))["sources"]["diffusion"]["model"]

    for flags, message in (
        ({"num_chanels": 32}, r"^sources\.diffusion\.flags: .*did you mean 'num_channels'"),
        ({"image_size": "32"}, r"^sources\.diffusion\.flags: image_size .*a whole number.* received '32'"),
        ({"learn_sigma": "False"}, r"^sources\.diffusion\.flags: learn_sigma .*true or false.* received 'False'"),
    ):
        with pytest.raises(InputError, match=message):
            model_of(model="own.pt", flags=flags)
    assert model_of(model="own.pt", flags={"attention_resolutions": 8, "channel_mult": "1,2", "dropout": 0.1})
    monkeypatch.setenv("HOME", str(tmp_path))
    assert model_of(model="~/own.pt") == f"{tmp_path}/own.pt"
    for model in ("a{b}.pt", "<results>.pt"):
        with pytest.raises(InputError, match=r"^sources\.diffusion\.model: .*without braces and angle brackets"):
            model_of(model=model)


def test_reading_configs_imports_no_torch():
    script = """
import sys
from swsa_core.anomalies.diffusion_model import find_model
from swsa_core.anomalies.made import check_one_precision
from swsa_core.config.config import validate
find_model({"model": "mini:adm_32", "flags": None})
print({"torch", "diffusers"} & set(sys.modules))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout == "set()\n"


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


def check_source(config):
    valid = validate(config)
    check(valid["sources"]["diffusion"], valid["preparation"])


def test_a_precision_of_its_own_comes_before_that_of_the_config():
    plain, own = (validate(config(**keys))["sources"]["diffusion"] for keys in ({}, {"precision": "float16"}))
    assert precision_of(plain, "bfloat16") == "bfloat16" and precision_of(own, "bfloat16") == "float16"
    with pytest.raises(InputError, match=r"sources\.diffusion\.precision: received 'half'"):
        validate(config(precision="half"))


def test_without_the_key_what_is_tracked_is_what_it_was_before_the_key_came():
    keys = ["model", "flags", "gamma", "steps", "interpolation", "t_edit", "dt_lambda", "content_h"]
    for given in ({}, {"precision": None}):
        assert list(validate(config(**given))["sources"]["diffusion"]) == keys
    assert list(validate(config(precision="auto"))["sources"]["diffusion"]) == [*keys, "precision"]


@pytest.mark.parametrize(
    ("precision", "cure"),
    [
        ("float16", "set sources.diffusion.precision to bfloat16, .* or to float32"),
        ("bfloat16", "set sources.diffusion.precision to float32"),
        ("float32", "check the model's weights and flags"),
    ],
)
def test_an_overflow_is_told_with_source_task_and_cure(precision, cure):
    message = str(overflow("birds", "wren", precision))
    found = rf"^sources\.diffusion, data set 'birds', task 'wren': .* overflow in {precision}, .*: {cure}"
    assert re.search(found, message)


def test_size_of_model_and_preparation_must_agree():
    check_source(config())
    with pytest.raises(
        InputError, match=r"preparation\.size: received 32, but .*'adm_imagenet_256' makes images of 256"
    ):
        check_source(config(model="adm_imagenet_256"))
    with pytest.raises(InputError, match="'original' cannot go with the source 'diffusion'"):
        validate(config() | {"preparation": "original"})


def test_pixels_round_trip():
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 6, 3), dtype=np.uint8)
    assert np.array_equal(from_network(to_network(list(images))), images)
    assert from_network(np.array([-9.0, 9.0, 0.0]).reshape(1, 3, 1, 1)).ravel().tolist() == [0, 255, 128]


def test_anomalies_of_two_precisions_are_not_embedded_together():
    check_one_precision({"a.h5": None, "b.h5": None})
    check_one_precision({"a.h5": "float32", "b.h5": "float32"})
    with pytest.raises(
        InputError,
        match=r"1 of 3 files of anomalies were generated in float32, the others in bfloat16, .* Delete b\.h5 and rerun",
    ):
        check_one_precision({"a.h5": "bfloat16", "b.h5": "float32", "c.h5": "bfloat16"})


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


def reconstructing(**diffusion):
    """`config` with the protocol `reconstructed` and two heads."""
    return config(**diffusion) | {
        "candidates": [{"model": "descriptor:hog", "heads": ["knn", "mahalanobis"]}],
        "evaluation": {"bootstrap": 100, "protocols": ["reconstructed", "leave_one_out"]},
    }


@pytest.mark.study
@needs_model
def test_rules_make_all_pairs_and_reconstructions_and_an_edit_reruns_what_depends_on_them(tmp_path):
    planned = snakemake(tmp_path, reconstructing(), "--dry-run")
    assert re.search(r"^rule diffusion:\n +input: .*adm_32\.safetensors, .*adm_32\.json$", planned, re.M)
    snakemake(tmp_path, reconstructing())
    arrays, attributes = store.read(tmp_path / "results" / "digits" / "anomalies" / "diffusion" / "3.h5")
    assert arrays["images"].shape == (4, 32, 32, 3)
    assert attributes["source"] == "diffusion"
    weights = ROOT / "models" / "mini" / "adm_32.safetensors"
    assert attributes["weights_sha256"] == sha256(weights.read_bytes()).hexdigest()
    assert (attributes["precision"], attributes["stage_version"]) == ("float32", stage_version("diffusion"))
    assert f"torch {version('torch')}" in attributes["versions"]
    log = (tmp_path / "results" / "logs" / "diffusion" / "digits" / "3.log").read_text()
    assert "1 of 2 styles are done" in log and "2 of 2 styles are done" in log
    support = read_json(tmp_path / "results" / "digits" / "support" / "3.json")
    style, content = halves(support["seed_ids"], 0, "digits", "3")
    assert arrays["parents"].tolist() == [[s, c] for s in style for c in content]
    again, _ = store.read(tmp_path / "results" / "digits" / "reconstructions" / "diffusion" / "3.h5")
    assert again["images"].shape == (4, 32, 32, 3) and again["parents"].ravel().tolist() == support["seed_ids"]
    auroc = pd.read_csv(tmp_path / "results" / "digits" / "auroc.csv", keep_default_na=False)
    compared = auroc[(auroc.protocol == "reconstructed") & (auroc.n_anomalies == "all")]
    assert compared.candidate.nunique() == 2 and set(compared.n_normal) == {4}
    page = Page((tmp_path / "results" / "report.html").read_text())
    for words in ("All diffusion anomalies", "Reconstructions by the diffusion network", "protocol reconstructed"):
        assert words in page.text
    sheet = tmp_path / "results" / "digits" / "reconstructions" / "diffusion" / "3.png"
    assert cross_uri(read_image(sheet)) in page.links
    below = dict.fromkeys(["evaluate", "select", "strategies", "tables", "figures", "report"], 1)
    below |= {"support_curve": 1, "recommendation": 1}
    made = dict.fromkeys(["diffusion", "embed_anomalies", "reconstruct_diffusion", "embed_reconstructions"], 1)
    scores = dict.fromkeys(["score_knn", "score_mahalanobis"], 1)
    assert dry_run(tmp_path, reconstructing(gamma=0.5)) == made | scores | below
    assert dry_run(tmp_path, reconstructing()) == {}


@needs_model
def test_float16_is_recorded_and_an_overflow_ends_in_a_sentence(tmp_path):
    target = "results/digits/anomalies/diffusion/3.h5"
    snakemake(tmp_path, config(precision="float16"), target)
    _, attributes = store.read(tmp_path / target)
    assert attributes["precision"] == "float16"
    mini = find_model(SOURCE | {"model": "mini:adm_32"})
    state = load_file(mini.path)
    save_file(
        state | {"input_blocks.0.0.weight": state["input_blocks.0.0.weight"].float() * 1e6},
        tmp_path / "loud.safetensors",
    )
    loud = config(precision="float16", model="loud.safetensors", flags=mini.flags)
    told = snakemake(tmp_path, loud, target, check=False)
    assert "data set 'digits', task '3': the diffusion network's values overflow in float16" in told
    assert "Traceback" not in (tmp_path / LOG).read_text()


RUNNING = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from workflow import snakemake
print(snakemake(Path({directory!r}), {config!r}, {target!r}))
"""
TARGET = "results/digits/anomalies/diffusion/3.h5"
LOG = "results/logs/diffusion/digits/3.log"
RECONSTRUCTIONS = "results/digits/reconstructions/diffusion/3.h5"
THEIR_LOG = "results/logs/reconstruct_diffusion/digits/3.log"


@contextmanager
def running(directory, settings, target=TARGET, log=LOG):
    """A workflow's process group, once the job of `target` has made something; all of it is gone when the block has ended."""
    (directory / log).unlink(missing_ok=True)
    code = RUNNING.format(
        tests=str(Path(__file__).parents[1]), directory=str(directory), config=settings, target=target
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        while not ((directory / log).exists() and " are done" in (directory / log).read_text()):
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


def finished_rows(directory, target=TARGET, n=16):
    """Number of rows in the partial file of a job that was killed before the last of n."""
    assert not (directory / target).exists()
    # without locks: the killed process, until the disk has let go of it, holds its own
    with h5py.File(directory / f"{target}.partial", locking=False) as file:
        done = int(file.attrs["done"])
    assert 0 < done < n
    return done


def assert_same(directories, target):
    """That the file and its sheet are the same in both directories, bit by bit."""
    (expected, attributes), (found, its_attributes) = (store.read(directory / target) for directory in directories)
    assert attributes == its_attributes and expected.keys() == found.keys()
    for name, array in expected.items():
        assert np.array_equal(array, found[name]), name
    sheets = [(directory / target).with_suffix(".png").read_bytes() for directory in directories]
    assert sheets[0] == sheets[1]


@needs_model
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc to find the job's process")
def test_kill_and_rerun_give_identical_anomalies(tmp_path):
    """The job alone is killed, as for its memory, and then Snakemake with it, as by a power cut."""
    settings = config(steps=30) | {"support": {"seeds": 8}}  # four styles and four contents
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    with running(killed, settings) as group:
        [job] = [pid for pid, command in members(group).items() if ".generate.py" in command]
        os.kill(job, signal.SIGKILL)
    first = finished_rows(killed) / 4
    with running(killed, settings) as group:  # the same command again
        os.killpg(group, signal.SIGKILL)
    assert f"the first {first:g} of 4 styles are not computed again" in (killed / LOG).read_text()
    second = finished_rows(killed) / 4
    assert first < second and {first, second} <= {1, 2, 3}, "whole styles"

    assert "--unlock" in snakemake(killed, settings, TARGET, check=False), "what to type after Snakemake's own end"
    snakemake(killed, settings, "--unlock")
    snakemake(killed, settings, TARGET)
    log = (killed / LOG).read_text()
    assert f"the first {second:g} of 4 styles are not computed again" in log
    assert [line for line in log.splitlines() if line.endswith("styles are done")] == [
        f"{style} of 4 styles are done" for style in range(int(second) + 1, 5)
    ]
    snakemake(whole, settings, TARGET)
    assert_same((whole, killed), TARGET)


@pytest.mark.study
@needs_model
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc to find the job's process")
def test_a_killed_job_of_reconstructions_goes_on_where_it_was(tmp_path):
    settings = reconstructing(steps=50) | {"runtime": {"device": "cpu", "threads": 1, "batch_size": 2}}
    settings["support"] = {"seeds": 8}
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    with running(killed, settings, RECONSTRUCTIONS, THEIR_LOG) as group:
        [job] = [pid for pid, command in members(group).items() if ".generate.py" in command]
        os.kill(job, signal.SIGKILL)
    done = finished_rows(killed, RECONSTRUCTIONS, 8)
    for directory in (killed, whole):
        snakemake(directory, settings, RECONSTRUCTIONS)
    assert f"the first {done} of 8 images are not computed again" in (killed / THEIR_LOG).read_text()
    assert_same((whole, killed), RECONSTRUCTIONS)
