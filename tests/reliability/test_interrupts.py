"""Ctrl-C while a script imports ends it with its sentence, whatever is being imported."""

from workflow_scripts._interrupts import INTERRUPTED, end_at_once

import os
import signal
import subprocess
import sys

import pytest
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
BEGUN = 3  # imports until interrupts are told: of the folder, of job.py, and of _interrupts.py


def run(n):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.format(n=n)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_an_interrupt_while_a_script_imports_is_one_sentence():
    undisturbed = run(0)
    assert undisturbed.returncode == 0, undisturbed.stderr
    total = int(undisturbed.stdout)
    assert total > 200
    for n in (BEGUN + 1, BEGUN + 2, BEGUN + 10, total // 4, total // 2, total - 5):
        interrupted = run(n)
        assert (interrupted.returncode, interrupted.stdout) == (1, "")
        assert interrupted.stderr == f"{INTERRUPTED}\n", f"import {n} of {total}"


def test_other_processes_keep_their_interrupts():
    before = signal.getsignal(signal.SIGINT)
    end_at_once()
    assert signal.getsignal(signal.SIGINT) is before is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
