"""Ctrl-C while a script imports ends it with its sentence, whatever is being imported."""

from workflow_scripts._interrupts import INTERRUPTED, end_at_once

import os
import signal
import subprocess
import sys

import pytest
from faults import take_interrupts
from workflow import ROOT

SCRIPT = """
import os, signal, sys

snakemake = "what Snakemake's preamble makes"
imports = []


def hook(event, args):
    if event == "import" and args[0] not in imports:
        imports.append(args[0])
        if len(imports) == {n}:
            signal.raise_signal(signal.SIGINT)


sys.addaudithook(hook)
from workflow_scripts.job import job

import pandas

print(len(imports))
"""
BODY = """
import os, signal, sys
from types import SimpleNamespace

told = {"stage": "tables", "leaves": {}, "later": {}, "runtime": {}}
params = type("Params", (dict,), {"__getattr__": dict.__getitem__})(tracked={"version": 1}, job=told)
snakemake = SimpleNamespace(params=params, log=[sys.argv[1]], threads=1)
from workflow_scripts.job import job

with job(snakemake):
    try:
        if sys.argv[2] == "in":
            signal.raise_signal(signal.SIGINT)
    finally:
        print("files are closed")
try:
    signal.raise_signal(signal.SIGINT)
finally:
    print("not reached")
"""
BEGUN = 3  # imports until interrupts are told: of the folder, of job.py, and of _interrupts.py


def run(script, *arguments, **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True,
        timeout=300,
        preexec_fn=take_interrupts,
        **options,
    )


@pytest.fixture
def interruptible():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_while_a_script_imports_is_one_sentence():
    undisturbed = run(SCRIPT.format(n=0))
    assert undisturbed.returncode == 0, undisturbed.stderr
    total = int(undisturbed.stdout)
    assert total > 200
    for n in (BEGUN + 1, BEGUN + 2, BEGUN + 10, total // 4, total // 2, total - 5):
        interrupted = run(SCRIPT.format(n=n))
        assert (interrupted.returncode, interrupted.stdout) == (1, "")
        assert interrupted.stderr == f"{INTERRUPTED}\n", f"import {n} of {total}"


def test_an_interrupt_ends_a_script_that_nobody_reads():
    """As with `snakemake | tee log`, whose tee the same Ctrl-C ends."""
    reader, closed = os.pipe()
    os.close(reader)
    careless = SCRIPT.replace("import pandas", "try:\n    import pandas\nexcept Exception:\n    pass")
    assert run(careless.format(n=150), stderr=closed).returncode == 1
    os.close(closed)


def test_an_interrupt_in_the_body_closes_files_and_is_told_in_the_log(tmp_path):
    log = tmp_path / "log"
    found = run(BODY, str(log), "in")
    assert found.returncode == 1 and "Traceback" not in found.stderr
    assert log.read_text() == f"files are closed\ntables: {INTERRUPTED}\n"
    found = run(BODY, str(log), "after")
    assert (found.returncode, found.stdout) == (1, "") and found.stderr.endswith(f"{INTERRUPTED}\n")
    assert log.read_text() == "files are closed\n"


def test_other_processes_keep_their_interrupts(interruptible):
    end_at_once()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
