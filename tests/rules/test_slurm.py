"""The workflow on a real SLURM: through a cancelled job and a controller that goes away to the numbers of a local run."""

import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from layouts import SHARED
from same_results import differences
from workflow import ROOT, environment, snakemake

CLUSTER = SHARED / "slurm" / "slurm-test-cluster"
PROFILE = ROOT / "profiles" / "slurm"
# On this cluster no job may take more than an hour, and nobody waits for long before a look.
OF_THIS_CLUSTER = [
    *("--default-resources", "mem_mb=8000 * attempt", "runtime=20 * attempt"),
    *("--slurm-init-seconds-before-status-checks", "1", "--max-status-checks-per-second", "1"),
]
STUDY = {
    "results": "results",
    "datasets": {"digits": {"kind": "digits", "tasks": ["0", "3"]}},
    "support": {"seeds": 10},
    "sources": {"diffusion": {"model": "mini:adm_32"}, "cutpaste": {}},
    "candidates": [{"model": "mini:resnet_s"}, {"model": "descriptor:hog", "resize": 32, "crop": 32}],
    "preparation": {"size": 32},
    "evaluation": {"bootstrap": 200},
    "runtime": {"device": "auto", "threads": 1},
}

pytestmark = [
    pytest.mark.study,
    pytest.mark.skipif(not CLUSTER.exists(), reason=f"there is no {CLUSTER} to bring a SLURM up with"),
]


class Cluster:
    """A SLURM whose files lie in `directory`."""

    def __init__(self, directory):
        self.directory = directory
        self.up()
        self.environment = environment() | self._exports()

    def up(self):
        """Start the daemons, or those that are missing."""
        given = os.environ | {"SLURM_TEST_MEM_MB": "64000", "SLURM_TEST_CPUS": "8"}  # small jobs beside them
        subprocess.run(["bash", CLUSTER, "up", self.directory], env=given, check=True)

    def down(self):
        subprocess.run(["bash", CLUSTER, "down", self.directory], check=True)

    def _exports(self):
        told = subprocess.run(["bash", CLUSTER, "env", self.directory], stdout=subprocess.PIPE, text=True, check=True)
        values = dict(re.findall(r"^export (\w+)=(.*)$", told.stdout, re.M))
        path = [str(PROFILE / "without_accounting"), f"{self.directory}/bin", os.environ["PATH"]]
        return {"SLURM_CONF": values["SLURM_CONF"], "PATH": os.pathsep.join(path)}

    def ask(self, *command):
        done = subprocess.run(command, env=self.environment, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout

    def running(self, rule):
        """{what a job of a rule is about: SLURM's number of it}, of those that run."""
        lines = self.ask("squeue", "--noheader", "--states=running", "--format=%i %k").splitlines()
        jobs = [line.split() for line in lines]
        return {comment.rpartition("_wildcards_")[2]: number for number, comment in jobs if f"rule_{rule}_" in comment}

    def stop_controller(self):
        os.kill(int((self.directory / "run" / "slurmctld.pid").read_text()), 15)


def until(happens, seconds=1800):
    """What `happens` returns once it is true."""
    end = time.monotonic() + seconds
    while not (found := happens()):
        assert time.monotonic() < end, f"{happens} did not come true within {seconds} s"
        time.sleep(0.5)
    return found


def devices(number):
    """(node, value of CUDA_VISIBLE_DEVICES) that a SLURM job's scripts see."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            known = dict(entry.partition("=")[::2] for entry in (process / "environ").read_text().split("\0"))
            if known.get("SLURM_JOB_ID") == number and ".generate.py" in (process / "cmdline").read_text():
                found.add((known.get("SLURMD_NODENAME"), known.get("CUDA_VISIBLE_DEVICES")))
    return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="the extra `cluster` is not installed")
    started = Cluster(tmp_path_factory.mktemp("slurm"))
    yield started
    started.down()


@pytest.fixture(scope="module")
def survived(cluster, tmp_path_factory):
    """(directory, output, devices) of a run on the cluster.

    Its GPU jobs run side by side, one is cancelled half-way, and the controller is gone for half a minute while it runs again.
    """
    directory = tmp_path_factory.mktemp("on_slurm")
    config = directory / "config.yaml"
    config.write_text(str(STUDY))
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(directory)),
        *("--nocolor", "--workflow-profile", str(PROFILE), *OF_THIS_CLUSTER, "--configfile", str(config)),
    ]
    output = directory / "output"
    with output.open("w") as file:
        process = subprocess.Popen(command, env=cluster.environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        jobs = until(lambda: process.poll() is not None or (len(found := cluster.running("diffusion")) == 2 and found))
        assert process.poll() is None, output.read_text()[-6000:]
        seen = [until(lambda number=number: devices(number)) for number in jobs.values()]
        log = directory / "results" / "logs" / "diffusion" / "digits" / "0.log"
        until(lambda: log.exists() and "of 5 styles are done" in log.read_text())
        cluster.ask("scancel", jobs["digits_0"])
        again = until(lambda: {cluster.running("diffusion").get("digits_0", "")} - {"", jobs["digits_0"]})
        until(lambda: devices(*again))  # a job that only begins asks the controller, and would be submitted once more
        cluster.stop_controller()
        time.sleep(30)
        cluster.up()
        assert process.wait(3600) == 0, output.read_text()[-6000:]
    finally:
        process.kill()  # where it still runs; its jobs end with the cluster
        process.wait()
    return directory, output.read_text(), seen


def test_gpu_jobs_get_devices_of_their_own(survived):
    (first,), (second,) = survived[2]
    assert first != second
    for node, device in (first, second):
        assert node and device in ("0", "1")


def test_a_cancelled_job_is_submitted_again_and_goes_on(survived):
    assert len(re.findall(r"slurm_logs/rule_diffusion/digits_0/\d+\.log\)", survived[1])) == 2
    log = (survived[0] / "results" / "logs" / "diffusion" / "digits" / "0.log").read_text()  # of the second try
    assert re.search(r"going on after \d+ of \d+ rows of an interrupted run", log)


def test_small_jobs_are_submitted_together(survived):
    assert len(re.findall(r"submitted with SLURM jobid \d+ \(log: \S+/group_split_support", survived[1])) == 1


def test_the_report_is_found_and_named(survived):
    report = survived[0] / "results" / "report.html"
    assert report.stat().st_size > 10_000
    assert f"The report: {report}" in survived[1]


def test_the_numbers_are_those_of_a_local_run(survived, tmp_path):
    snakemake(tmp_path, STUDY)
    assert differences(survived[0] / "results", tmp_path / "results") == []
