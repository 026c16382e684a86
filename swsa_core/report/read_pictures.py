"""The pictures of the report: contact sheets, the sheets and figures that earlier stages drew, and unusual normal images."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swsa_core.anomalies import SOURCES
from swsa_core.anomalies.made import read_origins
from swsa_core.anomalies.pool import NEAREST_ROWS, OTHER_IMAGES, POOL_IMAGES, POOL_ROWS
from swsa_core.basics.errors import InputError
from swsa_core.detectors import score_knn
from swsa_core.detectors.scores import Scores
from swsa_core.embedding.image_stream import RowReader
from swsa_core.evaluation.protocols import compare
from swsa_core.files import checksums, layout
from swsa_core.files.checksums import sidecar
from swsa_core.files.images import prepared, read_image
from swsa_core.files.text import read_text
from swsa_core.report import contact_sheets
from swsa_core.report.contact_sheets import Recommended, Sheet, grid, in_rows, thumbnail
from swsa_core.report.read_supports import Supports
from swsa_core.report.recommendation import read_recommendation
from swsa_core.report.tables import MOST_TASKS, shown

N_SAMPLED = 30  # images of a pool or of other tasks on a task's sheet


def read_sheets(
    picks: pd.DataFrame, supports: Supports, score_files: Iterable[str], settings: Mapping[str, Any]
) -> list[Sheet]:
    """Contact sheets of the recommended picks that are shown: their seed images and hardest anomalies.

    settings: the config, of which `results` and `preparation` are read.
    """
    scores = {}
    for path in score_files:
        dataset = layout.dataset_of("scores", path)
        one = score_knn.read(path)
        scores[dataset, one.attributes["candidate"]] = one
    return [
        read_sheet(pick, supports, scores[pick.dataset, pick.candidate], settings) for pick in shown(picks).itertuples()
    ]


def read_sheet(pick: Recommended, supports: Supports, scores: Scores, settings: Mapping[str, Any]) -> Sheet:
    """The contact sheet of one of these picks; scores: of its candidate."""
    support = supports[pick.dataset, pick.task]
    show = partial(_show, support["paths"], settings["preparation"])
    hardness = compare(scores, pick.task, pick.source, pick.protocol).scores
    if not SOURCES[pick.source].generated:
        paths = _sampled(pick.dataset, pick.task, pick.source, supports, settings)
        anomaly = partial(_show, paths, settings["preparation"])
        return contact_sheets.collect(pick, support["seed_ids"], show, hardness, anomaly)
    path = layout.at(settings["results"], "anomalies", dataset=pick.dataset, source=pick.source, task=support["slug"])
    origins, _ = read_origins(path)
    return contact_sheets.collect(
        pick, support["seed_ids"], show, hardness, RowReader([path]), origins["parents"], origins.get("boxes")
    )


def read_crosses(
    picks: pd.DataFrame, supports: Supports, config: Mapping[str, Any]
) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """{(data set, task): {source: sheet (h, w, 3) uint8 of its anomalies}}, for the tasks that are shown.

    Of what a source generated the sheet shows all; a study that was begun before there were such sheets lacks them. Of images
    that are there it shows the first `N_SAMPLED`.
    """
    found: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for pick in shown(picks).itertuples():
        known = {"dataset": pick.dataset, "task": supports[pick.dataset, pick.task]["slug"]}
        sheets = found[pick.dataset, pick.task] = {}
        for source in config["sources"]:
            path = Path(layout.at(config["results"], "sheet", source=source, **known))
            if not SOURCES[source].generated:
                paths = _sampled(pick.dataset, pick.task, source, supports, config)[:N_SAMPLED]
                images = [thumbnail(prepared(path, config["preparation"]), 96) for path in paths]
                sheets |= {source: grid(in_rows(images), apart=False)} if images else {}
            elif path.exists() or sidecar(path).exists():
                sheets[source] = read_drawn(path)
    return found


def _sampled(dataset, task, source, supports, settings):
    """Paths of the images that a task takes as they are, of a pool or of other tasks; none where there are no other tasks."""
    place = partial(layout.at, settings["results"], dataset=dataset)
    if SOURCES[source].others:
        path = place("other_images", source=source)
        rows = OTHER_IMAGES.read(path) if Path(path).exists() else pd.DataFrame(columns=OTHER_IMAGES.columns)
        rows = rows[rows.task == task]
        return [supports[dataset, row.other]["paths"][row.image_id] for row in rows.itertuples()]
    if SOURCES[source].of_pool:
        rows = NEAREST_ROWS.read(place("nearest_rows", source=source))
        pool = rows["pool"].iloc[0]
    else:
        rows, pool = POOL_ROWS.read(place("pool_rows", pool=source)), source
    images = POOL_IMAGES.read(layout.at(settings["results"], "pool_images", pool=pool))
    return images.path[rows.row[rows.task == task]].tolist()


def _show(paths, preparation, key):
    return prepared(paths[key], preparation)


def read_reconstructions(
    picks: pd.DataFrame, supports: Supports, config: Mapping[str, Any]
) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """{(data set, task): {source: sheet (h, w, 3) uint8 of its reconstructions}}, for the tasks that are shown.

    Empty where no protocol of the study compares with them.
    """
    if "reconstructed" not in config["evaluation"]["protocols"]:
        return {}
    sources = [source for source in config["sources"] if SOURCES[source].reconstruct]
    place = partial(layout.at, config["results"], "reconstruction_sheet")
    return {
        (pick.dataset, pick.task): {
            source: read_drawn(
                place(dataset=pick.dataset, source=source, task=supports[pick.dataset, pick.task]["slug"])
            )
            for source in sources
        }
        for pick in shown(picks).itertuples()
    }


def read_drawn(path: Path | str) -> np.ndarray:
    """A sheet (h, w, 3) uint8 that an earlier stage drew, beside the images that it shows."""
    if not Path(path).exists():
        images = Path(path).with_suffix(".h5")
        raise InputError(f"{path} is not there: delete {images}, too, and run again, which makes both")
    checksums.verify(path)
    try:
        return read_image(path)
    except InputError as error:
        raise InputError(f"{error}: delete it and run again") from error


def read_figures(folder: Path | str) -> dict[tuple[str, str], str]:
    """{(data set, name): SVG text} of the figures below a folder, but for the sheets of images.

    Raises InputError where one that was drawn is not there any more, as the folder is made as a whole.
    """
    found = {}
    for noted in Path(folder).glob("*/.*.svg.sha256"):
        if not (figure := noted.with_name(noted.name[1:].removesuffix(".sha256"))).exists():
            raise InputError(
                f"{figure} is not there: delete the folder {folder} and run again, which draws all figures"
            )
    for path in sorted(Path(folder).glob("*/*.svg")):
        if not path.name.startswith("contact_sheet."):
            found[path.parent.name, path.stem] = read_text(path, "SVG")
    return found


def read_recommendations(paths: Iterable[str], supports: Supports) -> dict[str, dict[str, Any]]:
    """{data set: its recommendation}; where its tasks are shown one by one, each unusual normal image has its `picture`,
    (H, W, 3) uint8."""
    found: dict[str, dict[str, Any]] = {
        layout.dataset_of("recommendation", path): read_recommendation(path) for path in paths
    }
    for dataset, one in found.items():
        for task in one["tasks"] if len(one["tasks"]) <= MOST_TASKS else ():
            for image in task["unusual"]:
                image["picture"] = read_image(supports[dataset, task["task"]]["paths"][image["image"]])
    return found
