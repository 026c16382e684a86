"""The line that tells how far a run is: what it says, and that it gives way to everything else on a terminal."""

import io
import logging
import os
import pty
import re
import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import pytest
from literals import ROOT

from swsa_core.basics import status
from swsa_core.basics.status import Run, Started, begin, fail, finish, last_line, line, seconds_left, watch

OUTPUT = SimpleNamespace(quiet=None, dryrun=False, verbose=False)


def run_of(jobs, done=(), gpus=None):
    """A run that began at 0. done: (rule, seconds that it took, GPUs) of jobs that ran one after the other."""
    run, now = Run(Counter(jobs), 0.0, gpus), 0.0
    for i, (rule, took, held) in enumerate(done):
        begin(run, i, Started(rule, (), held, now))
        now += took
        finish(run, i, now)
    return run, now


def test_time_left_is_the_mean_of_each_rule_times_its_jobs():
    run, now = run_of({"a": 10, "b": 4}, [("a", 10, 0), ("a", 20, 0), ("b", 100, 0)])
    assert seconds_left(run, now) == pytest.approx(8 * 15 + 3 * 100)


def test_time_left_counts_as_many_jobs_at_a_time_as_so_far():
    run = Run(Counter(a=20), 0.0)
    for job in range(4):
        begin(run, job, Started("a", (), 0, 0.0))
        finish(run, job, 50.0)
    assert seconds_left(run, 50.0) == pytest.approx(16 * 50 / 4)
    # one job that is left runs alone, however many there were
    run.jobs = Counter(a=5)
    assert seconds_left(run, 50.0) == pytest.approx(50)


def test_what_a_running_job_has_done_is_not_left():
    run, now = run_of({"a": 3}, [("a", 100, 0)])
    begin(run, 7, Started("a", (), 0, now))
    assert seconds_left(run, now + 60) == pytest.approx(100 + 40)
    assert seconds_left(run, now + 300) == pytest.approx(100)  # of a job that takes longer than others nothing is known


def test_no_time_is_told_of_what_is_not_known():
    assert seconds_left(*run_of({"a": 10}, [("a", 3, 0)])) is None  # in the first seconds
    assert seconds_left(*run_of({"a": 10}, [("a", 30, 0)])) == pytest.approx(270)
    assert seconds_left(*run_of({"a": 4, "b": 4}, [("a", 30, 0)])) is None  # b may take whatever it takes
    assert seconds_left(*run_of({"a": 1}, [("a", 30, 0)])) is None
    run, now = run_of({"a": 10})
    assert line(run, now + 100) == "0 of 10 jobs"


def test_a_rule_without_a_finished_job_takes_as_long_as_its_running_job_at_least():
    run, now = run_of({"a": 5, "b": 3}, [("a", 20, 0)])
    begin(run, 7, Started("b", (), 0, now))
    left = 4 * 20 + 3 * 400 - 400
    assert seconds_left(run, now + 400) == pytest.approx(left)  # as a job at a time


def test_the_line_tells_jobs_failures_gpus_and_what_runs():
    run, now = run_of({"embed": 8, "score": 3}, [("embed", 30, 1), ("score", 30, 0)], gpus=1)
    for job in (7, 8, 9):
        begin(run, job, Started("embed", (), 0, now))
    fail(run, 9)
    begin(run, 10, Started("score", (), 0, now))
    assert line(run, now) == "2 of 11 jobs, 1 failed, about 4.5 min left, GPUs held 50 % of the time: embed (2), score"
    begin(run, 9, Started("embed", (), 0, now))  # once more
    assert "failed" not in line(run, now)
    assert last_line(*run_of({"a": 2}, [("a", 65, 0), ("a", 60, 0)])) == "2 jobs in 2 min 5 s"
    assert last_line(*run_of({"a": 3}, [("a", 65, 0)])) == "1 of 3 jobs in 1 min 5 s"


def test_no_share_of_gpus_where_none_was_used_or_their_number_is_not_known():
    assert "GPU" not in line(*run_of({"a": 2}, [("a", 30, 0)], gpus=1))
    assert "GPU" not in line(*run_of({"a": 2}, [("a", 30, 1)], gpus=None))
    assert "GPUs held 25 %" in line(*run_of({"a": 3}, [("a", 30, 1), ("a", 30, 0)], gpus=2))


class Terminal(io.StringIO):
    """What a terminal shows of what is written to it: lines that can be written over and erased to their end."""

    def isatty(self):
        return True

    @property
    def lines(self):
        shown = []
        for text in self.getvalue().split("\n"):
            row = ""
            for part in text.split("\r"):
                erases = part.endswith(status.ERASE) or part.startswith(status.ERASE)
                part = part.replace(status.ERASE, "")
                row = part if erases else part + row[len(part) :]
            shown.append(row)
        return shown


@pytest.fixture
def clock(monkeypatch):
    """[The time], which stands still until a test changes it."""
    now = [1000.0]
    monkeypatch.setattr(status, "time", SimpleNamespace(monotonic=lambda: now[0], strftime=lambda _: "12:00:00"))
    return now


@pytest.fixture
def logger(monkeypatch, clock):
    """A logger as Snakemake's, for a line that is drawn after records alone."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(status.StatusHandler, "_keep_showing", lambda self: None)
    return logging.Logger("snakemake")


def watched(logger, stream):
    """A function that tells the watched logger, which prints to `stream`, a message or an event."""
    printer = logging.StreamHandler(stream)
    printer.name = "DefaultStreamHandler"
    logger.addHandler(printer)
    watch(logger, OUTPUT, None)

    def tell(message="", event=None, **fields):
        logger.info(message, extra={"event": event, **fields})

    return tell


def three_jobs(tell):
    """Tell what Snakemake tells of three jobs in a row; stops while each of them runs."""
    tell("Job stats", "run_info", stats={"embed": 2, "report": 1, "total": 3})
    tell("Select jobs to execute...")
    for job, rule, names in ((1, "embed", {"dataset": "birds"}), (2, "embed", {"dataset": "cats"}), (3, "report", {})):
        tell(f"rule {rule}", "job_info", jobid=job, rule_name=rule, wildcards=names, resources={"gpu": 0})
        yield
        tell(f"Finished jobid: {job}", "job_finished", job_id=job)
        tell(f"{job} of 3 steps", "progress", done=job, total=3)
        tell("Select jobs to execute...")


def test_on_a_terminal_the_line_is_below_all_else(logger):
    stream = Terminal()
    tell = watched(logger, stream)
    for _ in three_jobs(tell):
        count = stream.lines[-1]
        tell("A warning")
        stream.write(status.over("a job tells something\n", stream))
        assert stream.lines[-3:] == ["A warning", "a job tells something", ""]
        tell("Another")
        assert stream.lines[-2:] == ["Another", count]
    told = [one for one in stream.lines if one.startswith("[12:00:00] ")]
    assert [one.partition("] ")[2] for one in told] == ["embed birds: 0.0 s", "embed cats: 0.0 s", "report: 0.0 s"]
    assert stream.lines[-2:] == ["3 jobs in 0.0 s", ""]
    assert "Select jobs" not in stream.getvalue() and "steps" not in stream.getvalue()


def test_a_run_that_stops_ends_with_what_was_done_once(logger):
    stream = Terminal()
    tell = watched(logger, stream)
    jobs = three_jobs(tell)
    next(jobs), next(jobs)
    tell("Error in rule embed", "job_error", jobid=2)
    for handler in logger.handlers * 2:
        handler.close()
    assert stream.lines[-2:] == ["1 of 3 jobs, 1 failed in 0.0 s", ""]
    assert "Error in rule embed" in stream.lines


def test_in_a_log_the_line_comes_now_and_then_beside_what_snakemake_tells(logger, clock):
    stream = io.StringIO()
    tell = watched(logger, stream)
    for _ in three_jobs(tell):
        clock[0] += 20
    told = stream.getvalue()
    assert status.ERASE not in told and "\r" not in told
    lines = [one for one in told.splitlines() if "jobs" in one and "Select" not in one]
    assert lines == ["[12:00:00] 2 of 3 jobs", "3 jobs in 1 min 0 s"]
    assert told.count("Select jobs to execute...") == 4 and "2 of 3 steps" in told and "rule report" in told


def test_a_log_hears_of_a_long_job_every_ten_minutes(logger, clock):
    stream = io.StringIO()
    tell = watched(logger, stream)
    next(three_jobs(tell))
    for clock[0] in range(1000, 2900):
        logger.handlers[0]._show()
    assert stream.getvalue().count("0 of 3 jobs: embed") == 3


@pytest.mark.parametrize(
    "changed", [{"dryrun": True}, {"verbose": True}, {"quiet": [SimpleNamespace(name="RULES")]}], ids=str
)
def test_nothing_is_changed_where_nothing_or_everything_is_to_be_told(logger, changed):
    printer = logging.StreamHandler(Terminal())
    printer.name = "DefaultStreamHandler"
    logger.addHandler(printer)
    watch(logger, SimpleNamespace(**vars(OUTPUT) | changed), None)
    assert logger.handlers == [printer]


def test_two_studies_in_one_workflow_have_one_line(logger):
    watched(logger, Terminal())
    watch(logger, OUTPUT, None)
    assert [type(one) for one in logger.handlers] == [status.StatusHandler]


def test_a_line_is_cut_to_the_width_of_the_terminal(logger, monkeypatch):
    monkeypatch.setenv("COLUMNS", "12")
    stream = Terminal()
    next(three_jobs(watched(logger, stream)))
    assert stream.lines[-1] == "0 of 3 jobs"


SNAKEFILE = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from snakemake.logging import logger
from swsa_core.basics.status import watch
if workflow.is_main_process:
    watch(logger, workflow.output_settings, 1)

rule all:
    input: expand("{{i}}.txt", i=[1, 2])

rule make:
    output: "{{i}}.txt"
    resources: gpu=1
    shell: "sleep 1.2; echo made {{wildcards.i}} >&2; touch {{output}}"

onsuccess:
    print("the end")
"""


def test_snakemake_itself_tells_these_events(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    main, end = pty.openpty()
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--nocolor"]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=end, stderr=end, env=os.environ | {"TERM": "xterm"})
    os.close(end)
    told = b""
    try:
        while part := os.read(main, 2**16):
            told += part
    except OSError:  # how Linux tells that nobody has the other end any more
        pass
    os.close(main)
    assert running.wait() == 0, told
    text = told.decode().replace("\r\n", "\n")
    assert "1 of 3 jobs, GPUs held" in text and ": make" in text
    assert re.search(r"\] make 2: \d+\.\d s\n", text)
    for hidden in ("rule make:", "Finished jobid", "steps", "Select jobs"):
        assert hidden not in text
    terminal = Terminal(text)
    terminal.seek(0, os.SEEK_END)
    assert sum(one.startswith("3 jobs in ") for one in terminal.lines) == 1
    (log,) = (tmp_path / ".snakemake" / "log").iterdir()
    assert "rule make:" in log.read_text() and "3 of 3 steps" in log.read_text()
