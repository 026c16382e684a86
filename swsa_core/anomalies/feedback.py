"""Feedback: alarms that a person has confirmed, as anomalies of the next selection beside the synthetic ones.

The file is what `swsa_core.detect` wrote, with the column `truth` that a person adds: anomalous or normal, and nothing where
nobody has looked.
"""

import csv
import os
from typing import TYPE_CHECKING, Any

from swsa_core.anomalies.source import Pool, Source
from swsa_core.basics.errors import InputError
from swsa_core.basics.look import Look
from swsa_core.basics.section import PlainPath, Section
from swsa_core.basics.wording import shown

if TYPE_CHECKING:
    import pandas as pd

ANOMALOUS, NORMAL = "anomalous", "normal"
KEY = "sources.feedback.file"


class Feedback(Section):
    file: PlainPath
    """CSV of images with the columns `path` and `truth` (anomalous, normal, or empty), such as the one that
    `python -m swsa_core.detect` writes with your column `truth`. Paths are relative to where Snakemake runs."""


def truths(file: str) -> dict[str, str]:
    """{path: anomalous or normal} of the images in a CSV that have a truth, in its order.

    Raises InputError, with the line, for a file without the two columns, another truth, or two truths of one image.
    """
    found: dict[str, str] = {}
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            if lacking := [name for name in ("path", "truth") if name not in (rows.fieldnames or ())]:
                raise InputError(
                    f"{KEY}: {file} lacks the column {lacking[0]!r}; expected a CSV of `swsa_core.detect` with a column truth"
                )
            for row in rows:
                truth = (row["truth"] or "").strip().lower()
                if truth not in (ANOMALOUS, NORMAL, ""):
                    raise InputError(
                        f"{KEY}: line {rows.line_num} of {file} has the truth {shown(row['truth'])}; expected {ANOMALOUS}, "
                        f"{NORMAL}, or nothing"
                    )
                if truth and found.setdefault(row["path"], truth) != truth:
                    raise InputError(
                        f"{KEY}: {file} calls {row['path']!r} both {ANOMALOUS} and {NORMAL}: remove one row"
                    )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{KEY}: {file!r} cannot be read ({error}): name a CSV") from error
    return found


def confirmed(file: str) -> list[str]:
    """Paths of the images that a file calls anomalous. Raises InputError where there are none, or one is not there."""
    paths = [path for path, truth in truths(file).items() if truth == ANOMALOUS]
    if not paths:
        raise InputError(
            f"{KEY}: no row of {file} has the truth {ANOMALOUS}: confirm alarms, or remove sources.feedback"
        )
    if gone := [path for path in paths if not os.path.exists(path)]:
        raise InputError(
            f"{KEY}: {len(gone)} of {len(paths)} confirmed images in {file} are not there, first {gone[0]!r}: correct the "
            "paths, which are relative to where Snakemake runs"
        )
    return paths


def inputs(section: dict[str, Any]) -> list[str]:
    """The file. Raises InputError where it is not there."""
    if not os.path.exists(section["file"]):
        raise InputError(f"{KEY}: {section['file']!r} is not there: name the CSV of confirmed alarms")
    return [section["file"]]


def images(section: dict[str, Any], seed: int) -> "pd.DataFrame":
    """All confirmed anomalies, DataFrame(image_id, path), both the path; seed is not used."""
    import pandas as pd

    paths = confirmed(section["file"])
    return pd.DataFrame({"image_id": paths, "path": paths})


SOURCE = Source(
    Feedback,
    title="feedback",
    about="Real anomalies that a person has confirmed, for a study of one data set with one task.",
    look=Look("#4B4B8F", "v"),
    pool=Pool(inputs, images, whole=True),
    note="The anomalies of feedback are real, and few. They are those on which the detector in service raised an alarm: "
    "what it missed is not among them, which flatters candidates that are like it.",
)
