"""What the workflows of GitHub, the container and the release say twice is the same everywhere."""

import json
import re

import pytest
import yaml
from literals import ROOT

import swsa_core

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps(path):
    jobs = yaml.safe_load(path.read_text())["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def test_python_is_the_same_in_ci_container_and_environment():
    found = {
        str(step["with"]["python-version"])
        for path in WORKFLOWS
        for step in steps(path)
        if "python-version" in step.get("with", {})
    }
    found.add(re.search(r"^FROM python:([\d.]+)-slim$", (ROOT / "Dockerfile").read_text(), re.M)[1])
    (python,) = re.findall(r"python=([\d.]+)", (ROOT / "envs" / "swsa.yaml").read_text())
    assert found == {python}


def test_release_please_knows_the_version_and_the_line_that_holds_it():
    manifest = json.loads((ROOT / ".github" / "release-please-manifest.json").read_text())
    config = json.loads((ROOT / ".github" / "release-please-config.json").read_text())
    assert manifest == {".": swsa_core.__version__} and config["packages"].keys() == manifest.keys()
    for file in config["packages"]["."]["extra-files"]:
        lines = [line for line in (ROOT / file).read_text().splitlines() if "x-release-please-version" in line]
        assert len(lines) == 1 and f'"{swsa_core.__version__}"' in lines[0]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_read_only_and_run_pinned_code(path):
    whole = yaml.safe_load(path.read_text())
    assert whole["permissions"] == {"contents": "read"}
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert used and all(re.search(r"@([0-9a-f]{40}|v\d+)$", one) for one in used)
    targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.M)
    for step in steps(path):
        assert set(re.findall(r"^make (\S+)$", step.get("run", ""), re.M)) <= set(targets)
