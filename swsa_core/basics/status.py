"""How far a run of Snakemake is, in one line made from its log events, and the handler that shows it.

On a terminal the line stays at the bottom and is written over and over; a log file gets it now and then.
"""

import logging
import os
import shutil
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TextIO

from swsa_core.basics.wording import estimated_time, measured_time, part, plural

SOON = 10  # seconds from the start in which nothing is said of the time left
EVERY = 30  # seconds between two lines in a log at least
AT_LEAST = 600  # seconds after which a log gets a line even if no job finished
# What the line and those of finished jobs tell on a terminal in place of Snakemake, whose log file has it all.
REPLACED = ("workflow_started", "resources_info", "job_info", "job_started", "job_finished", "progress")
NOISE = ("Select jobs to execute...", "Conda environments: ignored")
ERASE = "\x1b[K"  # from the cursor to the end of the line


class Started(NamedTuple):
    """A job that runs, or that was handed to a cluster: its rule, its wildcards, its GPUs, and since when."""

    rule: str
    wildcards: tuple[str, ...]
    gpus: int
    since: float


@dataclass
class Run:
    """What the log events told so far; times are seconds of one clock.

    jobs: {rule: jobs of the run}. gpus: that all jobs may hold at a time, None where there is no limit. running: {job id:
    job}. done, seconds: finished jobs of each rule, and the time of all of them. gpu_seconds: GPUs times seconds of
    finished jobs.
    """

    jobs: Counter[str]
    began: float
    gpus: int | None = None
    running: dict[int, Started] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)
    done: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    gpu_seconds: float = 0.0


def begin(run: Run, job: int, started: Started) -> None:
    """Note that a job starts, perhaps once more."""
    run.running[job] = started
    run.failed.discard(job)


def finish(run: Run, job: int, now: float) -> tuple[Started, float] | None:
    """Note that a job finished; returns it and its seconds, None where its start was not told."""
    if (started := run.running.pop(job, None)) is None:
        return None
    took = now - started.since
    run.done[started.rule] += 1
    run.seconds[started.rule] = run.seconds.get(started.rule, 0.0) + took
    run.gpu_seconds += took * started.gpus
    return started, took


def fail(run: Run, job: int) -> None:
    """Note that a job failed."""
    run.running.pop(job, None)
    run.failed.add(job)


def seconds_left(run: Run, now: float) -> float | None:
    """Time that the jobs which are left will take, as many at a time as so far; None as long as too little is known.

    A job takes the mean of the finished ones of its rule. Where none is finished, it is the mean of all, or the time that
    one of them has run already. Something is known once finished jobs stand for at least half of those that are left.
    """
    left = run.jobs - run.done
    means = {rule: run.seconds[rule] / n for rule, n in run.done.items()}
    if now - run.began < SOON or not left or 2 * sum(left[rule] for rule in means) < left.total():
        return None
    elapsed = {rule: max(now - job.since for job in jobs) for rule, jobs in _by_rule(run).items()}
    mean_of_all = sum(run.seconds.values()) / run.done.total()
    expected = {rule: means.get(rule, max(mean_of_all, elapsed.get(rule, 0))) for rule in left}
    work = sum(n * expected[rule] for rule, n in left.items())
    work -= sum(min(now - job.since, expected.get(job.rule, 0)) for job in run.running.values())
    busy = sum(run.seconds.values()) + sum(now - job.since for job in run.running.values())
    at_a_time = min(busy / (now - run.began), left.total())
    return work / at_a_time if at_a_time else None


def gpu_share(run: Run, now: float) -> float | None:
    """Share of the time of all GPUs in which a job held one; None where no job did, or their number is not known."""
    held = run.gpu_seconds + sum(job.gpus * (now - job.since) for job in run.running.values())
    return min(1, held / (run.gpus * (now - run.began))) if held and run.gpus else None


def line(run: Run, now: float) -> str:
    """The line while jobs run.

    >>> run = Run(Counter(embed=9, score=3), began=0.0, done=Counter(embed=5), seconds={"embed": 100.0})
    >>> begin(run, 7, Started("embed", ("birds",), 0, since=90.0))
    >>> line(run, 100.0)
    '5 of 12 jobs, about 2.0 min left: embed'
    """
    left = seconds_left(run, now)
    told = [_count(run), *([f"about {estimated_time(left)} left"] if left is not None else []), *_of_gpus(run, now)]
    running = sorted(((len(jobs), rule) for rule, jobs in _by_rule(run).items()), key=lambda one: -one[0])
    names = ", ".join(rule if n == 1 else f"{rule} ({n})" for n, rule in running)
    return ", ".join(told) + (f": {names}" if names else "")


def last_line(run: Run, now: float) -> str:
    """The line at the end of a run."""
    return ", ".join([f"{_count(run)} in {measured_time(now - run.began)}", *_of_gpus(run, now)])


def is_terminal(stream: TextIO) -> bool:
    """Whether a line of `stream` can be written over."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def over(text: str, stream: TextIO) -> str:
    """`text` of a job for the `stream` that it shares with the line: what it does not cover of the line, it erases."""
    return text.replace("\n", f"{ERASE}\n") if is_terminal(stream) else text


def watch(logger: logging.Logger, output: Any, gpus: int | None) -> None:
    """Show the line in what Snakemake prints: in place of what it would tell of each job on a terminal, beside it elsewhere.

    output: Snakemake's `output_settings`. gpus: that all jobs may hold at a time, None where there is no limit.
    Nothing is changed in a dry run, where `--quiet` asks for less or `--verbose` for more, and where a plugin prints.
    """
    quiet = {one.name for one in output.quiet or ()} & {"RULES", "PROGRESS", "ALL"}
    printer = next((one for one in logger.handlers if one.name == "DefaultStreamHandler"), None)
    if output.dryrun or output.verbose or quiet or not isinstance(printer, logging.StreamHandler):
        return
    logger.removeHandler(printer)
    logger.addHandler(StatusHandler(printer, gpus))


class StatusHandler(logging.Handler):
    """Hands records on to `printer`, Snakemake's handler of its terminal or log, and keeps the line below them."""

    def __init__(self, printer: logging.StreamHandler, gpus: int | None) -> None:
        super().__init__()
        self._printer, self._stream, self._gpus = printer, printer.stream, gpus
        self._terminal = is_terminal(printer.stream)
        self._run: Run | None = None
        self._told, self._told_done = 0.0, 0  # when a log got its last line, and how many jobs were done then
        self._ended = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        try:
            if not self._terminal or (event not in REPLACED and record.msg not in NOISE):
                self._erase()
                self._printer.handle(record)
            self._note(event, record, time.monotonic())
            self._show()
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        self.acquire()
        try:
            self._end()
        finally:
            self.release()
        self._printer.close()
        super().close()

    def _note(self, event, record, now):
        """Take from a record what `Run` holds."""
        if event == "run_info":
            jobs = Counter({rule: n for rule, n in record.stats.items() if rule != "total"})
            self._run, self._told = Run(jobs, now, self._gpus), now
            self._ended.clear()
            threading.Thread(target=self._keep_showing, daemon=True).start()
        elif self._run is None:
            return
        elif event == "job_info":
            gpus = record.resources.get("gpu", 0)
            gpus = gpus if isinstance(gpus, int) else 0  # a cluster may be asked for them in words
            begin(self._run, record.jobid, Started(record.rule_name, tuple(record.wildcards.values()), gpus, now))
        elif event == "job_error":
            fail(self._run, record.jobid)
        elif event == "job_finished" and (found := finish(self._run, record.job_id, now)):
            job, took = found
            if self._terminal:
                self._erase()
                name = " ".join((job.rule, *job.wildcards))
                self._stream.write(f"[{time.strftime('%H:%M:%S')}] {name}: {measured_time(took)}\n")
        elif event == "progress" and record.done == record.total:
            self._end()

    def _keep_showing(self):
        while not self._ended.wait(1):
            with self.lock:
                try:
                    self._show()
                except (OSError, ValueError):  # the terminal was closed
                    return

    def _show(self):
        if self._run is None or self._ended.is_set():
            return
        now, done = time.monotonic(), self._run.done.total()
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r{line(self._run, now)[:width]}{ERASE}\r")
        elif now - self._told >= (EVERY if done != self._told_done else AT_LEAST):
            self._told, self._told_done = now, done
            self._stream.write(f"[{time.strftime('%H:%M:%S')}] {line(self._run, now)}\n")
        self._stream.flush()

    def _erase(self):
        if self._terminal and self._run is not None:
            self._stream.write(f"\r{ERASE}")

    def _end(self):
        """Write the last line, once."""
        if self._run is None or self._ended.is_set():
            return
        self._ended.set()
        self._erase()
        self._stream.write(f"{last_line(self._run, time.monotonic())}\n")
        self._stream.flush()


def _count(run):
    done, total = run.done.total(), run.jobs.total()
    told = plural(total, "job") if done == total else f"{done:,} of {plural(total, 'job')}"
    return told + (f", {len(run.failed)} failed" if run.failed else "")


def _of_gpus(run, now):
    share = gpu_share(run, now)
    return [] if share is None else [f"GPUs held {part(share)} of the time"]


def _by_rule(run):
    """{rule: its jobs that run}."""
    found: dict[str, list[Started]] = {}
    for job in run.running.values():
        found.setdefault(job.rule, []).append(job)
    return found
