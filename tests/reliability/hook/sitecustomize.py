"""Holds a job at a chosen moment, so that it can be killed there; Python loads this when its folder is on PYTHONPATH.

SWSA_FAULTS in the environment names a folder. Each job of a workflow adds a line to its `jobs.jsonl` when it ends: its log,
how often it came to each kind of moment, and its CPU seconds since its log was opened. A job whose log `armed.json` names
({"log", "moment", "n"}) leaves its process id in `reached` at that moment, once, and waits until `go` is there.

Moments are what Python's audit events tell of before it happens, so that nothing in the workflow knows of this: the n-th
import; the n-th file in results that is opened to write or HDF5 flush; the n-th rename or removal of a file; or n seconds of
CPU after the log was opened.
"""

import atexit
import json
import os
import signal
import sys
import time

KINDS = {"import": "import", "open": "write", "os.rename": "rename", "os.remove": "remove"}


class _Hook:
    def __init__(self, folder):
        self.folder, self.process = folder, os.getpid()  # a fork is no job
        self.log = self.begun = None
        self.armed, self.held = {}, False
        self.counts = dict.fromkeys(KINDS.values(), 0)

    def __call__(self, event, args):
        kind = KINDS.get(event)
        if kind is None or self.held or os.getpid() != self.process or not self._is_job():
            return
        if kind == "write":
            path, mode = str(args[0]), args[1] or ""
            if os.path.abspath(path) == self.log and "w" in mode:
                self._begin()
            if not set("wax+") & set(mode):
                return
        if kind != "import" and not _is_result(str(args[0])):
            return
        self.come_to(kind)

    def come_to(self, kind):
        """Count a moment, and hold the job there if it is the armed one."""
        self.counts[kind] += 1
        if self.armed.get("moment") == kind and self.armed["n"] == self.counts[kind]:
            self.hold()

    def hold(self, *of_signal):
        """Leave the process id and wait."""
        self.held = True
        try:
            file = os.open(os.path.join(self.folder, "reached"), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return
        os.write(file, str(self.process).encode())
        os.close(file)
        while not os.path.exists(os.path.join(self.folder, "go")):
            time.sleep(0.005)

    def _is_job(self):
        """Whether this process runs a script of Snakemake, which its preamble makes known."""
        if self.log is None:
            given = getattr(sys.modules.get("__main__"), "snakemake", None)
            if given is None or not hasattr(given, "log"):
                return False
            self.log = os.path.abspath(given.log[0])
            self.held = True  # not at what this opens
            armed = _read(os.path.join(self.folder, "armed.json"))
            self.armed = armed if armed and os.path.abspath(armed["log"]) == self.log else {}
            self.held = False
            atexit.register(self._tell)
        return True

    def _begin(self):
        self.begun = time.process_time()
        h5py = sys.modules.get("h5py")
        if h5py is not None:
            flush = h5py.File.flush

            def counted(file):
                if not self.held:
                    self.come_to("write")
                flush(file)

            h5py.File.flush = counted
        if self.armed.get("moment") == "work":
            signal.signal(signal.SIGPROF, self.hold)
            signal.setitimer(signal.ITIMER_PROF, self.armed["n"])

    def _tell(self):
        if os.getpid() != self.process or self.begun is None:
            return
        self.held = True
        line = {"log": os.path.relpath(self.log), **self.counts, "work": time.process_time() - self.begun}
        with open(os.path.join(self.folder, "jobs.jsonl"), "a") as file:
            file.write(json.dumps(line) + "\n")


def _is_result(path):
    return os.path.relpath(path, "results").split(os.sep)[0] not in ("..", "logs", "benchmarks")


def _read(path):
    if not os.path.exists(path):
        return None
    with open(path) as file:
        return json.load(file)


if "SWSA_FAULTS" in os.environ:
    sys.addaudithook(_Hook(os.environ["SWSA_FAULTS"]))
