"""What every script shares: the rule's log, threads, progress, and how a mistake in the input is told.

Scripts import it first, so that Ctrl-C is told in a sentence while they import the rest.
"""

from workflow_scripts._interrupts import INTERRUPTED, end_at_once, raise_errors

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swsa_core.basics.errors import InputError
from swsa_core.basics.status import over
from swsa_core.files import layout
from swsa_core.files.gpu_memory import as_line, peak_gpu_mb

STARTED_BY = os.getppid()  # Snakemake; a bash before 5.1 stays between, and is not seen to lose it


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
    tasks: {data set: {slug of a task: its name}}, None where inputs name the results of every task.
    """

    stage: str
    settings: Settings
    recorded: dict[str, Any]
    runtime: dict[str, Any]
    tasks: dict[str, dict[str, str]] | None = None

    def of_every_task(self, paths: Sequence[str]) -> Sequence[str]:
        """The results of every task of the data sets of `paths`, of which inputs may name one for each job that made them."""
        if self.tasks is None:
            return paths
        name = layout.first_of(paths[0], "support", "anomalies", "reconstructions")
        beside = {layout.dataset_of(name, path): Path(path) for path in paths}
        return [
            str(one.with_name(f"{slug}{one.suffix}")) for dataset, one in beside.items() for slug in self.tasks[dataset]
        ]


def job_of(snakemake: Any) -> Job:
    """The `Job` of the params that `settings` of rules/tracking.smk makes."""
    params, recorded = snakemake.params, snakemake.params.tracked
    told = {name: recorded[leaf] for name, leaf in params.job["leaves"].items()}
    told |= {name: recorded.get(leaf, default) for name, (leaf, default) in params.job["later"].items()}
    settings = Settings(told | dict(params.get("untracked", {})))
    return Job(params.job["stage"], settings, recorded, params.job["runtime"], params.job.get("tasks"))


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
    with (
        _copied_to(snakemake.log[0]) as tee,
        _ending_with_snakemake(tee),
        redirect_stdout(tee),
        redirect_stderr(tee),
        threadpool_limits(snakemake.threads),
    ):
        try:
            raise_errors()
            yield mine
            if (peak := peak_gpu_mb()) is not None:
                print(as_line(peak))
        except InputError as error:
            print(f"{mine.stage}: {error}")
            sys.exit(1)
        except KeyboardInterrupt:
            print(f"{mine.stage}: {INTERRUPTED}")
            sys.exit(1)
        except Exception:
            traceback.print_exc()
            sys.exit(1)
        finally:
            end_at_once()


@contextmanager
def _ending_with_snakemake(tee):
    """End this process, with a line in the log, when the one that started it is gone while the block runs."""
    done = threading.Event()

    def watch():
        while not done.wait(1):
            if os.getppid() != STARTED_BY:
                print("Snakemake was killed, and this job ends with it", file=tee, flush=True)
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


@contextmanager
def _copied_to(path):
    """A stream that writes to stderr and to the file `path`."""
    tee = _Tee({"stderr": sys.stderr})
    try:
        log = open(path, "w", encoding="utf-8")  # noqa: SIM115  closed below, whatever is wrong with it
    except OSError as error:
        tee.write(_left(path, error))
        yield tee
        return
    tee.streams[path] = log
    try:
        yield tee
    finally:
        with suppress(OSError):  # of what could not be written, which was told of
            log.close()


class _Tee:
    """Writes to several streams; one that fails, as on a full disk, is told of on the others and left, and the job goes on.

    streams: {name: stream}.
    """

    def __init__(self, streams):
        self.streams = streams
        self._first = next(iter(streams.values()))
        self._to_tell = ""

    def write(self, text: str) -> None:
        for name, stream in list(self.streams.items()):
            try:
                stream.write(over(text, stream))
                stream.flush()
            except OSError as error:
                del self.streams[name]
                self._to_tell += _left(name, error)
        if self._to_tell and text.endswith("\n"):  # `print` writes a line in several parts
            told, self._to_tell = self._to_tell, ""
            self.write(told)

    def flush(self) -> None:
        """Everything is flushed as it is written."""

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._first.fileno()


def _left(name, error):
    return f"{name} cannot be written ({error.strerror or error}): what follows is not in it\n"
