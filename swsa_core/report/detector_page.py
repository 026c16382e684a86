"""The page of a detector, for those who run it: what was picked and how sure that is, what a level promises, what it misses.

One file, which loads nothing. Its script moves a slider among numbers that the page holds; without it the usual level is shown.
"""

import base64
import hashlib
import math
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pandas as pd
from markupsafe import Markup

from swsa_core.anomalies import SOURCES
from swsa_core.candidates import family_of
from swsa_core.candidates.backbone import transform_of
from swsa_core.detect.detector import Detector
from swsa_core.detect.heatmaps import coloured, on_image, scale_of_maps, scaled
from swsa_core.detectors import HEADS
from swsa_core.detectors.cost import measured_on, together_ms
from swsa_core.files.images import longer_side_to, read_image
from swsa_core.files.reading import file_of
from swsa_core.metrics import auroc
from swsa_core.report.contact_sheets import whole_uri
from swsa_core.report.detector_numbers import (
    Evidence,
    axis_of,
    bars,
    ranks_of,
    steps,
    to_show,
    usual,
)
from swsa_core.report.templating import environment
from swsa_core.strategies.verdict import CLEAR, CLOSE, NO_BASIS

PICTURED = 20  # tasks whose images are shown; the others have their numbers
OF_SOURCE, OF_NORMALS = 3, 6  # pictures: missed and caught ones of each source, and normal ones
SIDE = 192  # pixels of the longer side of a picture
FEW = 30  # images below which a share is a rough one
HALF = 0.5  # of the anomalies of some source, which a detector finds that can be relied on
IN_WORDS = {
    CLEAR: "The choice is clear: every kind of synthetic defect speaks for it.",
    CLOSE: "Other detectors did as well, as far as these images can tell.",
    NO_BASIS: "There is no basis for preferring it to others: take it as a start, and check it on real defects.",
}
SCRIPT = Path(__file__).parent / "templates" / "detector.js"


class Images(NamedTuple):
    """The images of a task's evidence, for pictures.

    anomaly: function of a source and a row of its anomalies to the image (h, w, 3) uint8. Of the members that compare patches,
    how anomalous each patch is: maps: {member: {source: (a, patches)}}; normal_maps: {member: (n, patches)}.
    """

    anomaly: Callable[[str, int], np.ndarray]
    maps: dict[str, dict[str, np.ndarray]]
    normal_maps: dict[str, np.ndarray]


def render(
    detector: Detector,
    evidence: Mapping[str, Evidence],
    images: Mapping[str, Images],
    costs: pd.DataFrame,
    folder: Path,
) -> str:
    """The page as text; it reads the normal images that it shows.

    evidence, images: {task: what it was chosen by}. costs: rows of `cost.of_candidates` of the members. folder: that of the
    detector, where the page will lie.
    """
    mapped = dict.fromkeys(name for part in detector.parts.values() for name in part.maps)
    transforms = {name: transform_of(detector.members[name].backbone) for name in mapped}
    parts = [
        _part(detector, part, evidence[name], images[name] if number < PICTURED else None, transforms, folder)
        for number, (name, part) in enumerate(detector.parts.items())
    ]
    script = SCRIPT.read_text(encoding="utf-8")
    page = environment().get_template("detector.html.jinja")
    return page.render(
        about=detector.about,
        parts=parts,
        numbers=[{"steps": part["steps"], "n": part["n"]} for part in parts],
        pictured=min(PICTURED, len(parts)),
        members=[_member(one, costs) for one in detector.members.values()],
        together={"ms": together_ms(costs), "mb": costs["bank_mb"].sum()},
        measured=measured_on(costs),
        labelled=any(SOURCES[source].labelled for one in evidence.values() for source in one.anomalies),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _part(detector, part, evidence, images, transforms, folder):
    """What the template shows of one task; images: None where none are shown."""
    added = part.facts.get("added", 0)
    if added:  # what was measured on synthetic anomalies was measured against fewer normal images, and another level
        evidence, images = Evidence(part.normals, {}), None
    n, axis = len(part.normals), axis_of(evidence)
    start, found = usual(n), steps(part.normals, evidence, axis)
    scales = {
        name: scale_of_maps(maps, found[start]["rate"]) for name, maps in (images.normal_maps if images else {}).items()
    }
    return {
        "name": part.name,
        "members": part.members,
        "n": n,
        "few": n < FEW,
        "added": added,
        "blind": bool(evidence.anomalies) and not any(share >= HALF for share in found[start]["found"]),
        "verdict": part.facts.get("verdict", ""),
        "in_words": IN_WORDS.get(part.facts.get("verdict", ""), ""),
        "reason": part.facts.get("reason", ""),
        "steps": [_written(one, n) for one in found],
        "start": start,
        "normal_bars": bars(evidence.normals, axis),
        "sources": [
            {
                "title": SOURCES[source].title,
                "about": SOURCES[source].about,
                "n": int(np.isfinite(scores).sum()),
                "few": bool(np.isfinite(scores).sum() < FEW),
                "auroc": _auroc(evidence.normals, scores),
                "what": "confirmed alarm" if SOURCES[source].labelled else "synthetic defect",
                "bars": bars(scores, axis),
                "pictures": _of_source(source, evidence, images, found[start]["rank"], scales, transforms)
                if images
                else [],
            }
            for source, scores in evidence.anomalies.items()
        ],
        "normals": _normals(part, found[start]["rate"], transforms, folder) if images else [],
        "heatmaps": bool(scales),
        "command": _command(folder, part.name if len(detector.parts) > 1 else "", _options(detector, part)),
    }


def _auroc(normals: np.ndarray, anomalies: np.ndarray) -> float:
    """Of the scores of normal images and of anomalies, NaN where one has none."""
    scores = np.concatenate([normals, anomalies[np.isfinite(anomalies)]])
    return auroc(scores, np.arange(len(scores)) >= len(normals))


def _written(step: Mapping[str, Any], n: int) -> dict[str, Any]:
    """A step of `detector_numbers.steps` as the page writes it."""
    rate, low, high = (step[name] for name in ("rate", "low", "high"))
    return {
        "rank": step["rank"],
        "at": round(100 * step["at"], 2),
        "text": {
            "rate": percent(rate),
            "in": f"1 in {round(1 / rate):,}" if step["rank"] == 1 else f"{step['rank']:,} in {n + 1:,}",
            "thousand": f"{round(1000 * rate):,}",
            "low": f"{round(1000 * low):,}",
            "high": f"{round(1000 * high):,}",
            "level": f"{step['level']:.4g}",
            "written": step["written"],
        },
        "found": [percent(share) for share in step["found"]],
    }


def percent(share: float) -> str:
    """A share as a percentage, whole ones from 10 % on; never 0 or 100 where it is neither.

    >>> percent(0.0476), percent(0.333), percent(1.0), percent(0.999), percent(0.0), percent(float("nan"))
    ('4.8 %', '33 %', '100 %', '99.9 %', '0 %', '-')
    """
    if math.isnan(share):
        return "-"
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    value = min(max(100 * share, 0.1), 99.9)
    return f"{value:.1f} %" if value < 10 or value > 99 else f"{value:.0f} %"


def _of_source(source, evidence, images, rank, scales, transforms):
    """Pictures of missed and caught anomalies of a source, by the level of a rank."""
    scores = evidence.anomalies[source]
    needed = np.zeros(len(scores), int)
    known = np.isfinite(scores)
    needed[known] = ranks_of(scores[known], evidence.normals)
    maps = {name: of_sources[source] for name, of_sources in images.maps.items()}
    return [
        {"rank": int(needed[row]), "caught": bool(needed[row] <= rank)}
        | _pictures(images.anomaly(source, row), {name: one[row] for name, one in maps.items()}, scales, transforms)
        for row in to_show(scores, needed <= rank, OF_SOURCE)
    ]


def _normals(part, rate, transforms, folder):
    """The normal images that look least normal."""
    scales = {name: scale_of_maps(maps, rate) for name, maps in part.maps.items()}
    order = np.argsort(-part.normals, kind="stable")
    files = [os.path.abspath(file_of(path)) for path in part.paths]  # some may have been added by other paths
    above = os.path.commonpath([os.path.dirname(file) for file in files])
    return [
        {"number": number, "name": os.path.relpath(files[row], above or "."), "link": _link(files[row], folder)}
        | _pictures(
            read_image(part.paths[row]), {name: maps[row] for name, maps in part.maps.items()}, scales, transforms
        )
        for number, row in enumerate(order[:OF_NORMALS], 1)
    ]


def _pictures(image, maps, scales, transforms):
    """{"image", "heat"}: pictures as data URIs, the second one "" where no member compares patches."""
    small = longer_side_to(image, SIDE) if max(image.shape[:2]) > SIDE else image
    if not maps:
        return {"image": whole_uri(small, SIDE), "heat": ""}
    places = [
        on_image(scaled(values, scales[name]), transforms[name], *image.shape[:2]) for name, values in maps.items()
    ]
    return {"image": whole_uri(small, SIDE), "heat": whole_uri(coloured(small, np.mean(places, axis=0)), SIDE)}


def _member(one, costs):
    row = costs[costs["candidate"] == one.name].iloc[0]
    return {
        "name": one.name,
        "model": one.facts["model"],
        "about": HEADS[one.head].about,
        "licence": one.facts["licence"],
        "digest": one.facts["weights_sha256"],
        "ms": row["median_ms"],
        "mb": row["bank_mb"],
    }


def _command(folder: Path, task: str, options: Sequence[str]) -> str:
    """The command that asks the detector, but for the share of false alarms."""
    words = [str(folder), "path/to/new/images", "-o", "scores.csv", *(["--task", task] if task else []), *options]
    return f"python -m swsa_core.detect {shlex.join(words)}"


def _options(detector, part):
    """What else the command needs."""
    runs_code = any(family_of(detector.members[name].backbone).runs_code for name in part.members)
    return ["--trust-code"] if runs_code else []


def _link(file: str, folder: Path) -> str:
    """Where a browser that shows the page finds an image; "" for one that is no file."""
    return quote(os.path.relpath(file, folder)) if os.path.isfile(file) else ""
