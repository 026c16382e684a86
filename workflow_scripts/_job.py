"""What every script shares: the rule's log, threads, progress, and how a mistake in the input is told."""

import os
import sys
import time
import traceback
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from swsa_core.basics.errors import InputError


class Tracked(dict):
    """Settings by key. A key that is not among them is an error for `get` too, which takes None for "not there"."""

    def __missing__(self, key):
        raise KeyError(
            f"{key!r} is not among the settings that the rule tracks ({', '.join(self)}): add it to the rule"
        )

    def get(self, key, default=None):
        value = self[key]
        return default if value is None else value


def dataset_spec(settings, **others):
    """The section of the job's data set with the keys that the rule tracks, datasets.{dataset}.<key>, and `others`."""
    prefix = "datasets.{dataset}."
    tracked = {leaf.removeprefix(prefix): value for leaf, value in settings.items() if leaf.startswith(prefix)}
    return Tracked(tracked | others)


@contextmanager
def job(snakemake):
    """Run a rule's body with stderr and stdout copied to its log and numerical libraries held to its threads.

    The body reads `snakemake.params` and `snakemake.config["runtime"]`, nothing else of the config (but for `plan` and
    `fetch_dataset`, which make no results): what the rule does not track would not make it run again. An InputError ends
    the job with its sentence alone; any other error shows its frames.
    """
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(snakemake.threads)
    from threadpoolctl import threadpool_limits  # after the variables, for libraries that are not loaded yet

    with open(snakemake.log[0], "w", encoding="utf-8") as log:
        tee = _Tee(sys.stderr, log)
        with redirect_stdout(tee), redirect_stderr(tee), threadpool_limits(snakemake.threads):
            try:
                yield
            except InputError as error:
                print(f"{snakemake.rule}: {error}")
                sys.exit(1)
            except KeyboardInterrupt:
                print(f"{snakemake.rule}: interrupted; the same command goes on from here")
                sys.exit(1)
            except Exception:
                traceback.print_exc()
                sys.exit(1)


def progress(what, unit="images", every=10):
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

    def write(self, text):
        for stream in self._streams:
            stream.write(text)
            stream.flush()

    def flush(self):
        for stream in self._streams:
            stream.flush()

    def isatty(self):
        return False

    def fileno(self):
        return self._streams[0].fileno()
