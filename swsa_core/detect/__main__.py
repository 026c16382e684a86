"""Ask a detector about images.

    python -m swsa_core.detect DETECTOR IMAGES… [-o scores.csv] [--false-alarms 0.05] [--task NAME] [--heatmaps DIR]
    python -m swsa_core.detect DETECTOR --watch DIR -o scores.csv [--interval 2] [as above]
    python -m swsa_core.detect DETECTOR --add-normals IMAGES… [--task NAME]

IMAGES are files, folders (all images in them and below), patterns such as 'parts/*.png', or @list.txt, which lists a path a
line. Prints what was found, and writes a CSV with a row for each image: its score, p-value, verdict, the normal image that is
most like it, and why it cannot be read where that is so. Ends with 0 whatever the verdicts, with 2 where it was not asked as it
should be.

With --watch images are scored as they arrive in a folder, until SIGINT or SIGTERM ends it; those that have their row in the CSV
are not scored again. With --add-normals the detector in the folder becomes the one of its normal images and these: banks,
scores and level.
"""

import argparse
import sys
from pathlib import Path

from swsa_core.basics.errors import InputError
from swsa_core.basics.wording import plural
from swsa_core.detect.add import with_normals
from swsa_core.detect.detector import Detector
from swsa_core.detect.folder import load_detector, save
from swsa_core.detect.level import WANTED, level_of, told
from swsa_core.detect.mapping import drawable, undrawn
from swsa_core.detect.run import found_images, log, run, wanted_rate
from swsa_core.detect.watch import INTERVAL, watch


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m swsa_core.detect", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("detector", type=Path, help="folder of the detector, <results>/<data set>/detector")
    parser.add_argument("images", nargs="*", help="files, folders, patterns, or @list.txt with a path a line")
    parser.add_argument("-o", "--output", type=Path, help="CSV of the scores; if left out, it is printed")
    parser.add_argument(
        "--false-alarms",
        type=float,
        help=f"wanted share of false alarms, 0 to 1; {WANTED}, or the least that can be promised",
    )
    parser.add_argument("--task", help="which task's normal images to compare with, where the detector has several")
    parser.add_argument("--heatmaps", type=Path, metavar="DIR", help="write a picture of where each image is anomalous")
    parser.add_argument("--watch", metavar="DIR", help="score images as they arrive in this folder")
    parser.add_argument("--interval", type=float, default=INTERVAL, help="seconds between two looks at the folder")
    parser.add_argument("--add-normals", nargs="+", metavar="IMAGES", help="extend the detector by these normal images")
    parser.add_argument("--trust-code", action="store_true", help="run functions of a user that the detector names")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    parser.add_argument("--threads", type=int, default=2, help="threads of reading and computing")
    given = parser.parse_intermixed_args(arguments)
    try:
        answer(given)
    except InputError as error:
        print(f"detect: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("detect: interrupted", file=sys.stderr)
        return 130
    return 0


def answer(given: argparse.Namespace) -> None:
    """Do what the command was given. Raises InputError where it makes no sense."""
    if sum(map(bool, (given.images, given.add_normals, given.watch))) != 1:
        raise InputError("expected one of: images to score, --watch and a folder, --add-normals and normal images")
    if given.watch and not given.output:
        raise InputError("--watch needs -o and a CSV, which says what was scored when it is started again")
    detector = load_detector(given.detector, given.device, given.trust_code)
    if given.add_normals:
        part = detector.part(given.task)
        if part.drawn:
            log(
                "the maps that were kept for --heatmaps are of the former normal images: they are made anew when asked for"
            )
        add_normals(
            undrawn(detector, [part.name]), given.detector, found_images(given.add_normals), given.task, given.threads
        )
        return
    if given.heatmaps:
        detector = with_maps(detector, given.detector, given.task, given.threads)
    else:
        detector = undrawn(detector)
    settings = (given.output, given.false_alarms, given.task, given.heatmaps, given.threads)
    if given.watch:
        watch(detector, given.watch, *settings, given.interval)
    else:
        run(detector, found_images(given.images), *settings)


def with_maps(detector: Detector, folder: Path, task: str | None, threads: int) -> Detector:
    """The detector of a folder with what its maps need, which is kept in the folder where it was not there."""
    found = drawable(detector, task, threads, log)
    if found is not detector:
        try:
            save(found, folder)
        except InputError as error:
            log(f"what maps need is not kept, so that the next command computes it again: {error}")
    return found


def add_normals(detector: Detector, folder: Path, images: list[str], task: str | None, threads: int) -> None:
    """Extend the detector in a folder by normal images, and tell what changed."""
    added = with_normals(detector, images, task, threads, log)
    for path in added.known:
        log(f"{path} is among the normal images already, so that it is not added")
    if not added.new:
        log("nothing is added")
        return
    save(added.detector, folder)
    before, after = detector.part(task), added.detector.part(task)
    log(f"{plural(len(added.new), 'normal image')} added; {told(len(after.normals))}")
    for what, part in (("before", before), ("now", after)):
        rate = wanted_rate(part, None)
        log(
            f"level at {rate:.1%} false alarms, {what}: {level_of(part.normals, rate):.6g} ({len(part.normals)} images)"
        )


if __name__ == "__main__":
    sys.exit(main())
