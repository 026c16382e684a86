"""Many short jobs that lease simulated GPUs, of which a third is killed: `python leased_jobs.py FOLDER JOBS AT_MOST`.

Prints a line for each job that took a card, and the number of those killed. It runs without torch, in whose place a few lines
tell of cards, so that a process costs milliseconds.
"""

import fcntl
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import filelock  # noqa: F401, imported once for all jobs

from swsa_core.basics.lease import free_gpu

CARDS = ["a", "b", "c", "d"]


def job(folder, names, seconds, results):
    """A process that sees the cards `names`, takes one, writes which and whether it shares it, and holds it for some time.

    Of a card of its own it holds a second lock, which would tell double use. These files are opened first, so that the kernel
    closes them first when the job is killed.
    """
    markers = {name: (folder / name).open("w") for name in names}
    sys.modules["torch"] = SimpleNamespace(
        cuda=SimpleNamespace(
            device_count=lambda: len(names),
            get_device_properties=lambda index: SimpleNamespace(uuid=names[index]),
        )
    )
    told, found = [], "once"
    name = names[free_gpu(told.append)]
    if not told:
        try:
            fcntl.flock(markers[name], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found = "double"
    os.write(results, f"{name} {'shared' if told else 'own'} {found}\n".encode())
    time.sleep(seconds)
    markers[name].close()


def started(*arguments):
    """The id of a new process that runs `job`. Its claim is given up by the kernel alone, as that of a killed one."""
    process = os.fork()
    if not process:
        try:
            job(*arguments)
        finally:
            os._exit(0 if sys.exc_info()[0] is None else 1)
    return process


def run(folder, jobs, at_most):
    """Run the jobs, `at_most` at a time; returns the number killed. More jobs than cards see some of them, in any order."""
    draw, (reading, writing) = random.Random(0), os.pipe()
    running, left, killed = {}, jobs, 0
    while left or running:
        if left and len(running) < at_most:
            seen = draw.sample(CARDS, draw.randint(1, 4) if at_most > len(CARDS) else 4)
            end = time.monotonic() + draw.uniform(0, 0.05) if draw.random() < 1 / 3 else None
            running[started(folder, seen, draw.uniform(0, 0.05), writing)] = end
            left -= 1
        for process, end in list(running.items()):
            if end and time.monotonic() > end:
                os.kill(process, signal.SIGKILL)
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                del running[process]
                killed += os.WIFSIGNALED(status)
                assert status in (0, signal.SIGKILL), f"a job ended with {status}"
        time.sleep(0.001)
    os.close(writing)
    with os.fdopen(reading) as lines:
        sys.stdout.write(lines.read())
    return killed


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    tempfile.tempdir, os.environ["PATH"] = str(folder), ""  # where there is no nvidia-smi
    print(run(folder, int(sys.argv[2]), int(sys.argv[3])))
