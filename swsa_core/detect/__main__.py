"""Ask a detector about images.

    python -m swsa_core.detect DETECTOR IMAGES… [-o scores.csv] [--false-alarms 0.05] [--task NAME]

IMAGES are files, folders (all images in them and below), or a text file that lists a path a line (@list.txt). Prints what was
found, and writes a CSV with a row for each image: its score, p-value, verdict, the normal image that is most like it, and why
it cannot be read where that is so. Ends with 0 whatever the verdicts, with 2 where it was not asked as it should be.
"""

import argparse
import sys
from pathlib import Path

from swsa_core.basics.errors import InputError
from swsa_core.detect.folder import load_detector
from swsa_core.detect.level import WANTED
from swsa_core.detect.run import found_images, run


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m swsa_core.detect", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("detector", type=Path, help="folder of the detector, <results>/<data set>/detector")
    parser.add_argument("images", nargs="+", help="files, folders, or @list.txt with a path a line")
    parser.add_argument("-o", "--output", type=Path, help="CSV of the scores; if left out, it is printed")
    parser.add_argument(
        "--false-alarms",
        type=float,
        help=f"wanted share of false alarms, 0 to 1; {WANTED}, or the least that can be promised",
    )
    parser.add_argument("--task", help="which task's normal images to compare with, where the detector has several")
    parser.add_argument("--heatmaps", type=Path, metavar="DIR", help="write a picture of where each image is anomalous")
    parser.add_argument("--trust-code", action="store_true", help="run functions of a user that the detector names")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    parser.add_argument("--threads", type=int, default=2, help="threads of reading and computing")
    given = parser.parse_args(arguments)
    try:
        detector = load_detector(given.detector, given.device, given.trust_code)
        run(
            detector,
            found_images(given.images),
            given.output,
            given.false_alarms,
            given.task,
            given.heatmaps,
            given.threads,
        )
    except InputError as error:
        print(f"detect: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("detect: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
