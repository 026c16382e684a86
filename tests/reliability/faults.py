"""Faults that are injected into a running study: which process gets which signal at which moment, and what is left after it.

A study is run once undisturbed. In another directory the same command is run again and again, each time with one fault; what
was finished must stay as it is, and in the end every result must be that of the undisturbed study.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from workflow import ROOT

HOOK = Path(__file__).with_name("hook")
CONFIG = {
    "results": "results",
    "datasets": {"digits": {"kind": "digits", "tasks": ["0", "1"]}},
    "support": {"seeds": 4},
    "sources": {"cutpaste": {}, "diffusion": {"model": "mini:adm_32", "steps": 4}},
    "candidates": [
        {"model": "mini:resnet_s", "heads": ["knn", "cosine"]},
        {"model": "descriptor:hog", "resize": 32, "crop": 32},
    ],
    "knn": {"k": 2},
    "preparation": {"size": 32},
    "evaluation": {"bootstrap": 100},
    "runtime": {"device": "cpu", "threads": 1},
}
# Without a network, for tests that must be quick.
SMALL = CONFIG | {"sources": {"cutpaste": {}}, "candidates": CONFIG["candidates"][1:]}
# Seconds, generous as machines may be busy: until a workflow has ended after a signal (after SIGTERM it waits for its jobs),
# and until no process of it is left.
AFTER_ALL, GONE = 1200, 300
SENTENCE = "interrupted; the same command goes on from here"

# What is measured on the machine and differs from run to run: times and memory. All else is compared byte by byte.
UNCOMPARED = ("logs", "benchmarks")  # folders below results
CHECKSUMS = ".sha256"  # of files that are compared themselves
MEASURED_FILES = ("figures/digits/cost.svg", "figures/digits/cost.png", "figures/.snakemake_timestamp")
MEASURED_FILES += ("digits/recommendation.json", "digits/recommendation.md")
MEASURED_COLUMNS = ("median_ms", "p95_ms", "head_ms")  # of costs/*.csv
MEASURED_IN_REPORT = {  # pattern: what stands in its place
    r'<svg role="img" aria-label="digits: cost".*?</svg>': "",
    r"<dt>One image</dt><dd>[^<]* ms</dd>": "",
    r'(<td>(?:knn|cosine)</td>)(?:<td class="number">[^<]*</td>){3}': r"\1",  # median, p95, of the head
    r"[Oo]ne image costs [^<;,]* ms": "",
    r'<div class="scroll"[^>]*aria-label="Runners-up.*?</div>': "",
    r'<section id="took">.*?</section>': "",
}


# Faults


@dataclass(frozen=True)
class Fault:
    """target: "job", "snakemake" or "group": all processes, as Ctrl-C reaches them. moment: of the job, one of MOMENTS."""

    target: str
    signal: signal.Signals
    moment: str

    def __str__(self) -> str:
        of = {"job": "the job", "snakemake": "Snakemake", "group": "all processes"}[self.target]
        return f"{self.signal.name} to {of} {MOMENTS[self.moment]}"


MOMENTS = {
    "import": "while a script imports",
    "work": "while a job computes",
    "write": "while a job writes",
    "rename": "right before a file is put in its place",
    "remove": "right after a file was put in its place",
}
SENT = (
    *(("job", sent) for sent in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)),
    *(("snakemake", sent) for sent in (signal.SIGKILL, signal.SIGTERM)),
    *(("group", sent) for sent in (signal.SIGKILL, signal.SIGINT)),
)
FAULTS = tuple(Fault(target, sent, moment) for (target, sent), moment in product(SENT, MOMENTS))


@dataclass
class Outcome:
    """What came of one fault. log: of the job, which names it."""

    fault: Fault
    log: str
    injected: bool = False
    problems: list[str] = field(default_factory=list)
    survived: bool = False
    identical: bool = False

    @property
    def stage(self) -> str:
        return stage_of(self.log)


def stage_of(log: str) -> str:
    """The stage of a job by the path of its log, results/logs/<stage>/….log."""
    return Path(log).parts[2]


# Running


class Workflow:
    """A study in a directory of its own."""

    def __init__(self, directory: Path, config: dict) -> None:
        self.directory, self.results, self.faults = directory, directory / "results", directory / "faults"
        directory.mkdir(parents=True)
        (directory / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

    @contextmanager
    def started(self, *arguments: str, armed: dict | None = None) -> Iterator[tuple[subprocess.Popen, Path]]:
        """A running Snakemake, leader of a process group of its own, and the file of its output. All of it ends with the block.

        armed: {"log", "moment", "n"} of the job that is to be held.
        """
        for name in ("armed.json", "reached", "go"):
            (self.faults / name).unlink(missing_ok=True)
        self.faults.mkdir(exist_ok=True)
        if armed:
            (self.faults / "armed.json").write_text(json.dumps(armed))
        told = self.directory / "output.txt"
        with told.open("w") as output:
            running = subprocess.Popen(
                self._command(arguments),
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONPATH": str(HOOK), "SWSA_FAULTS": str(self.faults)},
                start_new_session=True,
            )
        try:
            yield running, told
        finally:
            if members(running.pid):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()

    def run(self, *arguments: str) -> tuple[int, str]:
        """(exit status, output) of a call of Snakemake."""
        with self.started(*arguments) as (running, told):
            status = running.wait(3600)
            return status, told.read_text(errors="replace")

    def run_beside(self) -> tuple[int, str]:
        """(exit status, output) of the same command while one `started` is running."""
        done = subprocess.run(
            self._command(()), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600
        )
        return done.returncode, done.stdout

    def _command(self, arguments):
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            str(ROOT / "Snakefile"),
            "--cores",
            "2",
            "--nocolor",
        ]
        command += ["--directory", str(self.directory), *arguments]
        return [*command, "--configfile", str(self.directory / "config.yaml")]

    def jobs(self) -> dict[str, dict]:
        """{log: what the hook counted} of the jobs that have ended, in that order."""
        lines = (self.faults / "jobs.jsonl").read_text().splitlines()
        return {job["log"]: job for job in map(json.loads, lines)}

    def finished(self, output: str) -> dict[str, dict[Path, tuple[int, int]]]:
        """{log: {output file: (inode, time)}} of the jobs that Snakemake says are finished."""
        done = set(re.findall(r"^Finished jobid: (\d+) ", output, re.M))
        jobs = re.findall(r"^    output: (.*)\n    log: (.*)\n(?:    .*\n)*?    jobid: (\d+)$", output, re.M)
        told = {log: self._files(outputs.split(", ")) for outputs, log, number in jobs if number in done}
        assert told or not done, f"Snakemake's log is read in another way than it is written: {output[-1000:]}"
        return told

    def _files(self, outputs):
        paths = [self.directory / name for name in outputs]
        files = [each for path in paths for each in (path.rglob("[!.]*") if path.is_dir() else [path])]
        return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files if path.is_file()}


def members(group: int) -> dict[int, str]:
    """{process id: command line} of the processes of a group that have not ended."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, _, its_group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        except (ProcessLookupError, FileNotFoundError):
            continue
    return found


def take_interrupts() -> None:
    """Let SIGINT reach what this process starts: a shell without job control starts what runs in its background without it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_for(condition, seconds: float) -> bool:
    """Whether `condition` became true in time."""
    deadline = time.monotonic() + seconds
    while not (true := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(true)


def inject(workflow: Workflow, fault: Fault, armed: dict) -> tuple[Outcome, str]:
    """Run the study until the armed job is at its moment, send the signal, and see what is left; also Snakemake's output."""
    outcome = Outcome(fault, armed["log"])
    reached = workflow.faults / "reached"
    with workflow.started(armed=armed) as (running, told):
        wait_for(lambda: (reached.exists() and reached.read_text()) or running.poll() is not None, 3600)
        outcome.injected = reached.exists()
        if not outcome.injected:
            outcome.problems.append("the job did not come to the moment")
            return outcome, told.read_text(errors="replace")
        target = int(reached.read_text()) if fault.target == "job" else running.pid
        (os.killpg if fault.target == "group" else os.kill)(target, fault.signal)
        time.sleep(0.3)
        (workflow.faults / "go").touch()
        if not wait_for(lambda: running.poll() is not None, AFTER_ALL):
            outcome.problems.append("Snakemake did not end")
        elif not wait_for(lambda: not members(running.pid), GONE):
            outcome.problems.append(f"processes are left: {members(running.pid)}")
        output = told.read_text(errors="replace")
    if "Traceback" in output:
        outcome.problems.append("a traceback")
    if fault.signal == signal.SIGINT and SENTENCE not in output:
        outcome.problems.append("the sentence of an interruption is not told")
    return outcome, output


def unlocked(workflow: Workflow) -> list[str]:
    """Do what Snakemake says about a lock that a killed Snakemake left; problems on the way."""
    if not any((workflow.directory / ".snakemake" / "locks").glob("*")):
        return []
    status, output = workflow.run("--unlock")
    return [] if status == 0 else [f"--unlock failed: {output[-500:]}"]


def disturbed(
    workflow: Workflow, reference: Workflow, waiting: list[Fault], draws: np.random.Generator
) -> list[Outcome]:
    """Run a study with one fault in each stage, as long as any wait, then to its end. Those that were tried are taken away."""
    jobs, outcomes, finished = reference.jobs(), [], {}
    for stage in dict.fromkeys(map(stage_of, jobs)):
        left = [job for log, job in jobs.items() if stage_of(log) == stage and log not in finished]
        job = left[draws.integers(len(left))] if left else {}
        fault = next((one for one in waiting if job.get(one.moment)), None)
        if fault is None:
            continue
        waiting.remove(fault)
        outcome, output = inject(workflow, fault, armed_at(job, fault.moment, draws))
        outcome.problems += changed(finished) + unlocked(workflow)
        finished |= workflow.finished(output)
        outcomes.append(outcome)
        print(f"{fault}, {job['log']}: {'; '.join(outcome.problems) or 'done'}", flush=True)
    status, output = workflow.run()
    changes = changed(finished) + ([] if status == 0 else [f"the study did not go on: {output[-1000:]}"])
    differing = differences(reference.results, workflow.results)
    for outcome in outcomes:
        outcome.problems += changes
        outcome.survived, outcome.identical = not outcome.problems, not differing
        outcome.problems += differing
    return outcomes


def armed_at(job: dict, moment: str, draws: np.random.Generator) -> dict:
    """A random moment of a job, not among the last where another run may have fewer. job: of `Workflow.jobs`."""
    if moment == "work":
        n = draws.uniform(0, 0.8 * job["work"])
    else:
        n = 1 + int(draws.integers(0.9 * job[moment]) if moment == "import" else draws.integers(job[moment]))
    return {"log": job["log"], "moment": moment, "n": n}


def changed(finished: dict[str, dict[Path, tuple[int, int]]]) -> list[str]:
    """What was finished and was made again since."""
    return [
        f"{path} was made again" if path.exists() else f"{path} is gone"
        for files in finished.values()
        for path, state in files.items()
        if not path.exists() or (path.stat().st_ino, path.stat().st_mtime_ns) != state
    ]


# Comparing


def differences(expected: Path, found: Path) -> list[str]:
    """What differs between the results of two runs, but for what the machine measures."""
    ours, theirs = results_of(expected), results_of(found)
    one_sided = [f"{name} is in one of both alone" for name in sorted(ours.keys() ^ theirs.keys())]
    return one_sided + [f"{name} differs" for name in sorted(ours.keys() & theirs.keys()) if ours[name] != theirs[name]]


def results_of(results: Path) -> dict[str, bytes]:
    """{path below results: its content without what is measured} of all files but logs, benchmarks and checksums."""
    found = {}
    for path in results.rglob("*"):
        name = path.relative_to(results).as_posix()
        if path.is_file() and path.suffix != CHECKSUMS and name.split("/")[0] not in UNCOMPARED:
            found[name] = without_measures(name, path.read_bytes())
    return found


def without_measures(name: str, content: bytes) -> bytes:
    """The content of a result without what is measured on the machine."""
    if name in MEASURED_FILES:
        return b""
    if name.startswith("costs/"):
        return pd.read_csv(BytesIO(content)).drop(columns=[*MEASURED_COLUMNS]).to_csv().encode()
    if name == "report.html":
        text = content.decode()
        for pattern, instead in MEASURED_IN_REPORT.items():
            text = re.sub(pattern, instead, text, flags=re.DOTALL)
        return text.encode()
    return content
