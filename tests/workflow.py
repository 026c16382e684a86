"""Helpers of the tests that run the workflow: a working directory, a config, a call of Snakemake."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
NO_JOBS = {"--dry-run", "--summary", "--touch"}


def snakemake(directory, config, *arguments, before=(), check=True, timeout=900):
    """Run Snakemake with `config` in `directory`; returns its output (stdout and stderr together).

    before: config files that `config` changes, as on a user's command line.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "test_config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    other_code = "--snakefile" in arguments
    arguments = [
        "--snakefile", str(ROOT / "Snakefile"), "--directory", str(directory), "--cores", "2", "--nocolor", *arguments,
        "--configfile", *map(str, before), str(path),
    ]  # fmt: skip
    if NO_JOBS.isdisjoint(arguments) or other_code:
        status, output = run(arguments, timeout)
    else:
        status, output = run_without_jobs(arguments)
    if check and status:
        raise AssertionError(f"snakemake {' '.join(arguments)}\n{output[-6000:]}")
    return output


def run(arguments, timeout):
    """(exit status, output) of a call of Snakemake in a process of its own."""
    command = [sys.executable, "-m", "snakemake", *arguments]
    done = subprocess.run(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, env=environment()
    )
    return done.returncode, done.stdout


def run_without_jobs(arguments):
    """As `run`, of a call that runs no job, in a fork of a process that has imported everything."""
    server = forking_server()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output"
        request = {"arguments": arguments, "environment": environment(), "output": str(output)}
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        return int(server.stdout.readline()), output.read_text(errors="replace")


@cache
def forking_server():
    """The process of tests/forked_snakemake.py, which ends with this one."""
    command = [sys.executable, str(Path(__file__).with_name("forked_snakemake.py"))]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))  # where plugins may be, too
    return subprocess.Popen(
        command,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
    )


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
