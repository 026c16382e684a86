"""The profiles beside the default one: Snakemake and its plugins know every key, and none loses what the default sets."""

import importlib.util
import re

import pytest
import yaml
from snakemake import cli
from workflow import ROOT, snakemake

PLUGINS = {
    "default": [],
    "slurm": ["snakemake_executor_plugin_slurm"],
    "cloud-storage": ["snakemake_storage_plugin_s3"],
    "kubernetes": ["snakemake_executor_plugin_kubernetes", "snakemake_storage_plugin_s3"],
}


@pytest.fixture(params=PLUGINS)
def profile(request):
    missing = [name for name in PLUGINS[request.param] if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the profile {request.param} needs {', '.join(missing)}")
    return ROOT / "profiles" / request.param


def test_every_profile_is_listed():
    assert {path.name for path in (ROOT / "profiles").iterdir()} == set(PLUGINS)


def test_snakemake_and_the_plugins_know_every_key(profile, monkeypatch):
    monkeypatch.chdir(ROOT)
    _, known = cli.parse_args(["--workflow-profile", str(profile)])  # which ends in SystemExit at any other key
    assert known.executor == yaml.safe_load((profile / "config.yaml").read_text()).get("executor")


def test_no_profile_loses_what_the_default_sets(profile):
    default, other = (
        yaml.safe_load((path / "config.yaml").read_text()) for path in (ROOT / "profiles" / "default", profile)
    )
    if "executor" in other:  # a limit for the whole cluster
        del default["resources"]
    assert {key: other.get(key) for key in default} == default


def test_small_jobs_are_submitted_together_and_resources_grow(tmp_path):
    pytest.importorskip("snakemake_executor_plugin_slurm")
    study = {
        "datasets": {"digits": {"kind": "digits", "tasks": ["0", "3"]}},
        "support": {"seeds": 4},
        "sources": {"cutpaste": {}},
        "candidates": ["descriptor:hog"],
        "knn": {"k": 2},
    }
    profile = str(ROOT / "profiles" / "slurm")
    for attempt in (1, 2):
        output = snakemake(tmp_path, study, "--dry-run", "--workflow-profile", profile, "--attempt", str(attempt))
        assert re.search(r"Group job split_support", output)
        of_rule = dict(re.findall(r"rule (\w+):.*?mem_mb=(\d+)", output, re.S))
        assert of_rule["split_support"] == str(2000 * attempt) and of_rule["embed_images"] == str(8000 * attempt)
