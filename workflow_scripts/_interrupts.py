"""Ctrl-C in a script: while it imports, and once its body has ended, it ends with a sentence and nothing else."""

import os
import signal
import sys

INTERRUPTED = "interrupted; the same command goes on from here"


def end_at_once() -> None:
    """From here on Ctrl-C ends this process, where it runs a script of Snakemake.

    As an error it could come up anywhere in an import: libraries turn errors into others, pass over them or show their frames.
    """
    if hasattr(sys.modules["__main__"], "snakemake") and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def raise_errors() -> None:
    """From here on Ctrl-C is a KeyboardInterrupt again, so that files are closed."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number, frame):
    try:
        os.write(2, f"{INTERRUPTED}\n".encode())  # not `print`, which may be what was interrupted
    finally:
        os._exit(1)  # also where nobody reads it, as behind a `tee` that the same Ctrl-C ended


end_at_once()
