"""A detector that waits for images: a folder is looked at again and again, and what has arrived becomes rows of a CSV.

Polling works on every file system, network mounts among them. A file is scored once it has been the same for two looks; one
that cannot be read may still be on its way, and gets more time.
"""

import csv
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from swsa_core.basics.errors import InputError
from swsa_core.basics.wording import plural
from swsa_core.detect.detector import BATCH, Detector, Scored
from swsa_core.detect.run import COLUMNS, Summary, Tally, drawer_of, log, wanted_rate
from swsa_core.files import listing
from swsa_core.files.machine import writing
from swsa_core.files.text import replacing

INTERVAL = 2.0  # seconds between two looks, where nobody says otherwise
PATIENCE = 10  # looks at a file that stays the same and cannot be read, before this is its row


class Stamp(NamedTuple):
    """What changes while a file is written."""

    size: int
    time: int


@dataclass
class Arrivals:
    """What is known of the images in a folder.

    done: absolute paths that have their row; seen: {path: stamp at the last look}, of the others; failed: {path: looks at which
    a file, complete by its stamp, could not be read}; misnamed: what was told of files whose names no row can hold.
    """

    folder: str
    done: set[str]
    seen: dict[str, Stamp] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    misnamed: set[str] = field(default_factory=set)

    def ready(self) -> list[str]:
        """Look at the folder: the paths of images that are complete and have no row, in the order of their times."""
        now = dict(_stamps(self.folder, self.done, self._tell))
        found = settled(self.seen, now)
        self.failed = {path: count for path, count in self.failed.items() if path in found}  # else it has changed
        self.seen = now
        return found

    def _tell(self, sentence: str) -> None:
        """Say once that a file is not scored, since its name cannot be written."""
        if sentence not in self.misnamed:
            self.misnamed.add(sentence)
            log(f"{sentence}; nothing of that name is scored")

    def finished(self, path: str, reason: str) -> bool:
        """Whether a row can be written of an image that was looked at; reason: why it cannot be read, "" where it can."""
        self.failed[path] = self.failed.get(path, 0) + 1
        if reason and self.failed[path] < PATIENCE:
            return False
        del self.failed[path]
        self.done.add(os.path.abspath(path))
        return True


def settled(before: Mapping[str, Stamp], now: Mapping[str, Stamp]) -> list[str]:
    """Paths whose files are the same at two looks, the oldest first."""
    same = [path for path, stamp in now.items() if before.get(path) == stamp]
    return sorted(same, key=lambda path: (now[path].time, path))


def watch(
    detector: Detector,
    folder: str,
    output: Path,
    rate: float | None = None,
    task: str | None = None,
    heatmaps: Path | None = None,
    threads: int = 1,
    interval: float = INTERVAL,
) -> Summary:
    """Score images as they arrive in a folder, until SIGINT or SIGTERM; arguments as of the command.

    Images that have rows in the CSV are not scored again. The summary is of those scored since it was started.
    """
    if not listing.is_directory(folder):
        raise InputError(f"--watch: {folder!r} is no folder: name the one in which images arrive")
    if not interval > 0:
        raise InputError(f"--interval: received {interval:g}, expected seconds above 0, such as {INTERVAL:g}")
    part = detector.part(task)
    rate = wanted_rate(part, rate)
    before = rows_in(output)
    arrivals = Arrivals(folder, {os.path.abspath(row[0]) for row in before})
    draw = drawer_of(detector, part, rate, heatmaps, len(before) + 1) if heatmaps else None
    tally, started = Tally(part, rate), time.monotonic()
    detector.backbones  # noqa: B018 - what is wrong with the networks is told now, not when the first image comes
    log(f"watching {folder}, {plural(len(before), 'image')} scored before; end with Ctrl-C or SIGTERM")
    with _until_told() as ended, open(output, "a", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        while not ended.wait(interval):
            ready = _looked(arrivals)
            for start in range(0, len(ready), BATCH):
                if ended.is_set():
                    break
                paths = ready[start : start + BATCH]
                (scored,) = detector.stream(paths, task, threads, log, maps=draw is not None)
                rows = [row for row, path in enumerate(paths) if arrivals.finished(path, scored.reasons[row])]
                finished, of_them = [paths[row] for row in rows], _taken(scored, rows)
                with writing(output):
                    table.writerows(tally.rows(finished, of_them))
                    stream.flush()
                if draw:
                    draw(finished, of_them)
                if rows:
                    log(f"{plural(tally.n, 'image')} so far, {plural(tally.n_alarms, 'alarm')}")
    return tally.told(time.monotonic() - started)


def rows_in(output: Path) -> list[list[str]]:
    """The rows of a CSV of an earlier run, which is made where it is missing; a row that was cut off by a kill is taken out.

    Raises InputError for a file that is no such CSV.
    """
    header, rows = list(COLUMNS), list[list[str]]()
    if listing.exists(output):
        try:
            with open(output, encoding="utf-8", newline="") as stream:
                text = stream.read()
            header, *rows = list(csv.reader(text.splitlines(keepends=True))) or [list(COLUMNS)]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{str(output)!r} cannot be read ({error}): name another CSV by -o") from error
        if tuple(header[: len(COLUMNS)]) != COLUMNS:  # a person may have added further ones, such as `truth`
            raise InputError(f"{str(output)!r} is not a CSV of scores, it begins with {header}: name another one by -o")
        if text and not text.endswith("\n"):
            rows = rows[:-1]
        rows = [row for row in rows if len(row) >= len(COLUMNS)]
    with replacing(output, checksum=False) as finished, open(finished, "w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows([header, *rows])
    return rows


def _stamps(folder: str, done: set[str], misnamed: Callable[[str], None]) -> Iterator[tuple[str, Stamp]]:
    for name in listing.images_below(folder, listing.Choice(misnamed=misnamed)):
        path = f"{folder.rstrip('/')}/{name}"
        if os.path.abspath(path) in done:  # not looked at: there may be very many
            continue
        try:
            found = os.stat(path)
        except OSError:
            continue  # it is gone again
        yield path, Stamp(found.st_size, found.st_mtime_ns)


def _looked(arrivals: Arrivals) -> list[str]:
    """`Arrivals.ready`; a folder that cannot be listed, as a mount that is lost, is told and looked at again."""
    try:
        return arrivals.ready()
    except InputError as error:
        log(f"{error}; waiting")
        return []


def _taken(scored: Scored, rows: Sequence[int]) -> Scored:
    """What was said of some of the images."""
    return Scored(
        scored.scores[rows],
        scored.p[rows],
        [scored.nearest[row] for row in rows],
        [scored.reasons[row] for row in rows],
        {name: values[rows] for name, values in scored.maps.items()},
    )


@contextmanager
def _until_told() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set within the block, instead of ending the process."""
    ended = threading.Event()
    before = {one: signal.signal(one, lambda *_: ended.set()) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
