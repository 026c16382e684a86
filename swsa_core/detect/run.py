"""Asking a detector about many images: a CSV that grows as they are scored, pictures of where, and a summary."""

import csv
import math
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.basics.wording import plural
from swsa_core.detect.detector import Detector, Part, Scored
from swsa_core.detect.level import WANTED, least_rate, realised, told
from swsa_core.files import listing
from swsa_core.files.listing import SUFFIXES
from swsa_core.files.text import replacing

COLUMNS = ("path", "score", "p", "verdict", "nearest", "reason")
ALARM, NORMAL, UNREAD = "anomalous", "normal", "not read"
EVERY = 10  # seconds between two lines of progress
DRIFTED = 0.01  # p of the test below which the images as a whole are unlike the normal ones


class Summary(NamedTuple):
    """What was found: counts, p of the two-sample test of the scores against the leave-one-out scores (NaN of none), and
    whether their median is the lower one."""

    n: int
    n_alarms: int
    n_unread: int
    drift: float
    lower: bool


def found_images(given: Iterable[str]) -> list[str]:
    """Paths of the images that a command names: files, folders with all below them, lists, and glob patterns.

    Raises InputError for others, and where a folder or a pattern means no image.
    """
    found: list[str] = []
    for name in given:
        if name.startswith("@"):
            found += _listed(Path(name[1:]))
        elif listing.is_directory(name):
            inside = [f"{name.rstrip('/')}/{path}" for path in listing.images_below(name)]
            if not inside:
                raise InputError(f"the folder {name!r} holds no images: name another one")
            found += inside
        elif listing.exists(name):
            found.append(name)
        elif matching := [path for path in sorted(glob(name, recursive=True)) if path.lower().endswith(SUFFIXES)]:
            found += matching
        else:
            raise InputError(
                f"{name!r} is not there: expected an image, a folder of images, a pattern such as 'parts/*.png', or @ and a "
                "file that lists them"
            )
    return found


def wanted_rate(part: Part, rate: float | None) -> float:
    """The share of false alarms that is asked for, or the usual one. Raises InputError where no level can promise it."""
    n = len(part.normals)
    if rate is None:
        return max(WANTED, least_rate(n))
    if not 0 < rate < 1:
        raise InputError(f"--false-alarms: received {rate:g}, expected a share between 0 and 1, such as {WANTED}")
    if rate < least_rate(n) and not math.isclose(rate, least_rate(n)):
        raise InputError(
            f"--false-alarms: received {rate:g}. {told(n)} Ask for {math.ceil(1000 * least_rate(n)) / 1000:g} or more, "
            "or add normal images"
        )
    return rate


def run(
    detector: Detector,
    images: Sequence[str],
    output: Path | None = None,
    rate: float | None = None,
    task: str | None = None,
    heatmaps: Path | None = None,
    threads: int = 1,
) -> Summary:
    """Score images into a CSV, and tell what was found; arguments as of the command. Memory does not grow with the images."""
    part = detector.part(task)
    rate = wanted_rate(part, rate)
    draw = drawer_of(detector, part, rate, heatmaps) if heatmaps else None
    started = last = time.monotonic()
    tally = Tally(part, rate)
    place = replacing(output, checksum=False) if output else nullcontext(None)
    with place as finished, _opened(finished) as stream:
        table = csv.writer(stream)
        table.writerow(COLUMNS)
        for one in detector.stream(images, task, threads, log, maps=draw is not None):
            paths = images[tally.n : tally.n + len(one.reasons)]
            table.writerows(tally.rows(paths, one))
            if draw:
                draw(paths, one)
            if time.monotonic() - last >= EVERY:
                last = time.monotonic()
                left = (last - started) / tally.n * (len(images) - tally.n)
                log(f"{tally.n:,} of {len(images):,} images, about {left:.0f} s left")
    return tally.told(time.monotonic() - started)


@dataclass
class Tally:
    """What was said of images so far, at the wanted share of false alarms; scores: of those that can be read."""

    part: Part
    rate: float
    n: int = 0
    n_alarms: int = 0
    n_unread: int = 0
    scores: list[np.ndarray] = field(default_factory=list)

    def rows(self, paths: Sequence[str], scored: Scored) -> list[list[str]]:
        """The rows of the CSV, `COLUMNS`, of images, which are counted."""
        alarms = scored.p <= self.rate * (1 + 1e-9)
        found = []
        for row, path in enumerate(paths):
            reason = scored.reasons[row]
            verdict = UNREAD if reason else ALARM if alarms[row] else NORMAL
            numbers = ["", ""] if reason else [repr(float(scored.scores[row])), f"{scored.p[row]:.6g}"]
            found.append([path, *numbers, verdict, scored.nearest[row], reason])
        self.n += len(found)
        self.n_alarms += int(alarms.sum())
        self.n_unread += sum(map(bool, scored.reasons))
        self.scores.append(scored.scores[np.isfinite(scored.scores)])
        return found

    def told(self, seconds: float) -> Summary:
        """The summary, which is told."""
        scores = np.concatenate([np.empty(0), *self.scores])
        lower = len(scores) > 0 and np.median(scores) < np.median(self.part.normals)
        summary = Summary(self.n, self.n_alarms, self.n_unread, drift(scores, self.part.normals), bool(lower))
        for line in told_of(summary, self.part, self.rate, seconds):
            log(line)
        return summary


def drift(scores: np.ndarray, normals: np.ndarray) -> float:
    """p of the Kolmogorov-Smirnov test that scores are of the same law as those of the normal images; NaN of none."""
    from scipy.stats import ks_2samp

    return float(ks_2samp(scores, normals).pvalue) if len(scores) else math.nan


def told_of(summary: Summary, part: Part, rate: float, seconds: float) -> Iterable[str]:
    """A summary for people, line by line."""
    n_read = summary.n - summary.n_unread
    low, high = realised(len(part.normals), rate)
    yield f"{plural(summary.n, 'image')} in {seconds:.1f} s ({summary.n / max(seconds, 1e-9):.1f} per second)"
    if summary.n_unread:
        yield f"{plural(summary.n_unread, 'image')} cannot be read: their rows say why"
    share = summary.n_alarms / n_read if n_read else 0
    yield (
        f"{plural(summary.n_alarms, 'alarm')} ({share:.1%} of those read) at {rate:.2g} false alarms of normal images wanted; "
        f"with {len(part.normals)} normal images the share that comes true lies between {low:.3f} and {high:.3f}"
    )
    if summary.drift < DRIFTED and summary.lower:
        yield (
            f"these images, as a whole, are more like the normal images that the detector was made of than those are like each "
            f"other (p = {summary.drift:.1g}): they may be among them, or copies"
        )
    elif summary.drift < DRIFTED:
        yield (
            f"these images, as a whole, do not look like the normal images that the detector was made of "
            f"(p = {summary.drift:.1g}): many anomalies, or a camera, light or product that has changed"
        )


def _opened(path):
    return open(path, "w", newline="", encoding="utf-8") if path else nullcontext(sys.stdout)


def _listed(path):
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the list {str(path)!r} cannot be read ({error}): expected a text file with a path a line"
        ) from error
    return [line for line in lines if line.strip()]


def drawer_of(detector: Detector, part: Part, rate: float, folder: Path, first: int = 1) -> Any:
    """`heatmaps.drawer`, which is imported where pictures are asked for."""
    from swsa_core.detect.heatmaps import drawer

    return drawer(detector, part, rate, folder, first)


def log(line: str) -> None:
    """Tell a person something; the standard output may be the CSV."""
    print(line, file=sys.stderr, flush=True)
