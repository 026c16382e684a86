"""The workflow used as a module of another Snakefile, with renamed rules, gives what it gives by itself."""

import subprocess
import sys

import pytest
import yaml
from workflow import ROOT, environment, snakemake

CONFIG = {
    "datasets": {"digits": {"kind": "digits", "tasks": ["3"]}},
    "support": {"seeds": 4},
    "sources": {"cutpaste": {}, "procedural": {"pool": 10}},
    "candidates": ["mini:resnet_s", "descriptor:hog"],
    "knn": {"k": 2},
    "preparation": {"size": 32},
    "runtime": {"device": "cpu", "threads": 1},
    "evaluation": {"bootstrap": 100},
}
IMPORTING = f"""
module swsa:
    snakefile: "{ROOT}/Snakefile"
    config: config | {{"results": "results/of_the_module"}}

use rule * from swsa as swsa_*

rule count:
    default_target: True
    input: rules.swsa_all.input
    output: "count.txt"
    shell: "wc -l < results/of_the_module/tables/table1.csv > {{output}}"
"""


def imported(directory, *arguments, config=CONFIG):
    """What Snakemake prints for a Snakefile in `directory` that imports the workflow."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "Snakefile").write_text(IMPORTING)
    (directory / "config.yaml").write_text(yaml.safe_dump(config))
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--cores",
        "2",
        "--nocolor",
        *arguments,
        "--configfile",
        "config.yaml",
    ]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, env=environment(), timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def test_rules_are_renamed_and_find_the_library_and_the_bundled_models(tmp_path):
    output = imported(tmp_path, "--dry-run")
    for rule in ("swsa_cutpaste", "swsa_sample_procedural", "swsa_embed_support", "swsa_report", "count"):
        assert rule in output
    assert f"{ROOT}/models/mini/resnet_s.safetensors" in output
    assert "not present in the Snakefile" not in output  # of local rules, which are renamed too


@pytest.mark.study
@pytest.mark.slow
def test_results_are_those_of_the_workflow_itself(tmp_path):
    imported(tmp_path / "importing")
    snakemake(tmp_path / "own", CONFIG)
    ours, theirs = tmp_path / "own" / "results", tmp_path / "importing" / "results" / "of_the_module"
    compared = [path.relative_to(ours) for path in ours.glob("*/*.csv") if path.parent.name != "costs"]  # measured
    assert len(compared) > 8
    for path in compared:
        assert (ours / path).read_bytes() == (theirs / path).read_bytes(), path
    assert (theirs / "report.html").is_file()
    assert "Nothing to be done" in imported(tmp_path / "importing", "--dry-run")
