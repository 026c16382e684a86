"""What every script shares: the rule's log, threads, progress, and how a mistake in the input is told.

Scripts import it first, so that Ctrl-C is told in a sentence while they import the rest.
"""

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from typing import Any

from swsa_core.basics.errors import InputError

INTERRUPTED = "interrupted; the same command goes on from here"
STARTED_BY = os.getppid()  # Snakemake; a bash before 5.1 stays between, and is not seen to lose it


def _tell(kind, error, frames):
    """`sys.excepthook` of a script."""
    if issubclass(kind, KeyboardInterrupt):
        print(INTERRUPTED, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, frames)


sys.excepthook = _tell


class Settings(dict):
    """Config values by the names that the rule gives them. A key that is not among them is an error for `get` too, which
    takes None for "not there"."""

    def __missing__(self, key):
        raise KeyError(
            f"{key!r} is not among the settings that the rule tracks ({', '.join(self)}): add it to the rule"
        )

    def get(self, key: str, default: Any = None) -> Any:
        value = self[key]
        return default if value is None else value


@dataclass(frozen=True)
class Job:
    """What a script may know of the config.

    stage: its name, whatever the rule is called where the workflow is used as a module. settings: what the rule tracks, and
    its `untracked`. recorded: what Snakemake records of it, for the headers of files. runtime: the section of the config.
    """

    stage: str
    settings: Settings
    recorded: dict[str, Any]
    runtime: dict[str, Any]


def job_of(snakemake: Any) -> Job:
    """The `Job` of the params that `settings` of rules/tracking.smk makes."""
    params, recorded = snakemake.params, snakemake.params.tracked
    told = {name: recorded[leaf] for name, leaf in params.job["leaves"].items()}
    told |= {name: recorded.get(leaf, default) for name, (leaf, default) in params.job["later"].items()}
    return Job(params.job["stage"], Settings(told | dict(params.get("untracked", {}))), recorded, params.job["runtime"])


def dataset_spec(settings: Settings, **others: Any) -> Settings:
    """The section of the job's data set with the keys that the rule tracks (`of_dataset`), and `others`."""
    prefix = "dataset."
    tracked = {name.removeprefix(prefix): value for name, value in settings.items() if name.startswith(prefix)}
    return Settings(tracked | others)


def source_section(settings: Settings) -> Settings:
    """The keys of a source's section that the rule tracks one by one."""
    prefix = "source."
    return Settings({name.removeprefix(prefix): one for name, one in settings.items() if name.startswith(prefix)})


@contextmanager
def job(snakemake: Any) -> Iterator[Job]:
    """Run a rule's body with stderr and stdout copied to its log and numerical libraries held to its threads.

    The body reads the yielded `Job`, nothing else of the config (but for `plan` and `fetch_dataset`, which make no results):
    what the rule does not track would not make it run again. An InputError ends the job with its sentence alone; any other
    error shows its frames. A Snakemake that is killed takes the job with it: nobody would wait for what it goes on to write,
    and its files and GPU would not be free for the next run.
    """
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(snakemake.threads)
    from threadpoolctl import threadpool_limits  # after the variables, for libraries that are not loaded yet

    mine = job_of(snakemake)
    with open(snakemake.log[0], "w", encoding="utf-8") as log:
        tee = _Tee(sys.stderr, log)
        with (
            _ending_with_snakemake(log),
            redirect_stdout(tee),
            redirect_stderr(tee),
            threadpool_limits(snakemake.threads),
        ):
            try:
                yield mine
            except InputError as error:
                print(f"{mine.stage}: {error}")
                sys.exit(1)
            except KeyboardInterrupt:
                print(f"{mine.stage}: {INTERRUPTED}")
                sys.exit(1)
            except Exception:
                traceback.print_exc()
                sys.exit(1)


@contextmanager
def _ending_with_snakemake(log):
    """End this process, with a line in the log, when the one that started it is gone while the block runs."""
    done = threading.Event()

    def watch():
        while not done.wait(1):
            if os.getppid() != STARTED_BY:
                with suppress(OSError):  # also where the disk is full
                    print("Snakemake was killed, and this job ends with it", file=log, flush=True)
                os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def progress(what: str, unit: str = "images", every: float = 10) -> Callable[[float, float], None]:
    """A callable (done, total) that prints `what`, the count and the time left, at most once in `every` seconds."""
    start = last = time.monotonic()
    first = None

    def show(done, total):
        nonlocal last, first
        now = time.monotonic()
        first = done if first is None else first  # rows of an interrupted run took no time in this one
        if now - last >= every and done > first:
            last = now
            left = (now - start) / (done - first) * (total - done)
            print(f"{what}: {done:,} of {total:,} {unit}, about {left:.0f} s left", flush=True)

    return show


class _Tee:
    def __init__(self, *streams):
        self._streams = streams

    def write(self, text: str) -> None:
        for stream in self._streams:
            stream.write(text)
            stream.flush()

    def flush(self) -> None:
        for stream in self._streams:
            stream.flush()

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._streams[0].fileno()
