"""Helpers of the tests that run the workflow: a working directory, a config, a call of Snakemake."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def snakemake(directory, config, *arguments, before=(), check=True, timeout=900):
    """Run Snakemake with `config` in `directory`; returns its output (stdout and stderr together).

    before: config files that `config` changes, as on a user's command line.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "test_config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(directory),
        "--cores", "2", "--nocolor", *arguments, "--configfile", *map(str, before), str(path),
    ]  # fmt: skip
    done = subprocess.run(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, env=environment()
    )
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}\n{done.stdout[-6000:]}")
    return done.stdout


def environment():
    return os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}


def pretend_finished(directory, config):
    """Leave an empty file, or directory, for each output and Snakemake's records of it, as if `config` had been run."""
    for line in snakemake(directory, config, "--summary").splitlines():
        output, *columns = line.split("\t")
        if len(columns) != 5 or output == "output_file":
            continue
        path = directory / output
        made = path.parent if path.suffix else path
        made.mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.touch()
    snakemake(directory, config, "--touch", "--forceall", "--quiet")


def dry_run(directory, config, *arguments):
    """{rule: jobs} that would run, without the target rule `all`."""
    output = snakemake(directory, config, "--dry-run", *arguments)
    table = re.search(r"^job +count\n-+ +-+\n(.*?)^total ", output, re.M | re.S)
    if table is None:
        assert "Nothing to be done" in output, output
        return {}
    jobs = Counter({rule: int(count) for rule, count in (line.split() for line in table[1].strip().splitlines())})
    jobs.pop("all", None)
    return dict(jobs)
