"""What tables, figures and report share: the tables of all data sets, and the images behind a recommendation."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from swsa_core.anomalies import SOURCES
from swsa_core.anomalies.made import read_origins
from swsa_core.anomalies.pool import NEAREST_ROWS, OTHER_IMAGES, POOL_IMAGES, POOL_ROWS
from swsa_core.anomalies.source import LOSSES
from swsa_core.basics.errors import InputError
from swsa_core.basics.names import text_slugs, unique_slugs
from swsa_core.basics.versions import STAGE_VERSIONS
from swsa_core.candidates.section import clip_backbone
from swsa_core.datasets import INDEX
from swsa_core.detectors import score_knn
from swsa_core.detectors.cost import COSTS
from swsa_core.detectors.scores import Scores
from swsa_core.embedding.image_stream import RowReader
from swsa_core.evaluation.confidence import CONFIDENCE
from swsa_core.evaluation.evaluate import AUROC, CANDIDATES
from swsa_core.evaluation.leaks import LEAKS
from swsa_core.evaluation.protocols import compare
from swsa_core.evaluation.severity import SEVERITY
from swsa_core.evaluation.total_variation import TOTAL_VARIATION
from swsa_core.evaluation.tsne import TSNE
from swsa_core.files import checksums, gpu_memory, layout
from swsa_core.files.checksums import sidecar
from swsa_core.files.images import header, prepared, read_image
from swsa_core.files.machine import reading
from swsa_core.files.reading import file_of
from swsa_core.files.support import Copies, Support, Unreadable, read_task_supports
from swsa_core.files.text import read_text
from swsa_core.report import contact_sheets
from swsa_core.report.contact_sheets import Recommended, Sheet, grid, in_rows, thumbnail
from swsa_core.report.recommendation import read_recommendation
from swsa_core.report.tables import MOST_TASKS, shown, stack
from swsa_core.strategies.select import SELECTION
from swsa_core.strategies.support_curve import SUPPORT_CURVE

N_SAMPLED = 30  # images of a pool or of other tasks on a task's sheet
# Tables of one data set each, by the names of their paths.
OF_DATASETS = {
    table.name: table
    for table in (
        INDEX,
        AUROC,
        CANDIDATES,
        CONFIDENCE,
        LEAKS,
        SELECTION,
        SEVERITY,
        SUPPORT_CURVE,
        TOTAL_VARIATION,
        TSNE,
    )
}


class ReadSupport(Support):
    """A support set with the name of its file, the slug of its task."""

    slug: str


class Skipped(Unreadable):
    """An image that a study went on without; task: "" where it is not a support image."""

    dataset: str
    task: str
    stage: str


class Copied(TypedDict):
    """The copies among the normal images of a task."""

    dataset: str
    task: str
    copies: list[Copies]


class Drawn(TypedDict):
    """The images of few colours among the photographs of a task: {"dataset", "task", "drawings": their ids}."""

    dataset: str
    task: str
    drawings: list[str]


Supports = dict[tuple[str, str], ReadSupport]
"""{(data set, task): support set}."""


def read_tables(name: str, paths: Iterable[str]) -> pd.DataFrame:
    """One table of the result `name` of all data sets."""
    return stack({layout.dataset_of(name, path): OF_DATASETS[name].read(path) for path in paths})


def read_losses(paths: Iterable[str], texts: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """The losses of all that sources train, with columns dataset and text; texts: {source: {slug: text}}."""
    found = []
    for path in paths:
        known = layout.fields_of(layout.first_of(path, "trained_losses", "trained_of_task_losses"), path)
        found.append(LOSSES.read(path).assign(dataset=known["dataset"], text=texts[known["source"]][known["text"]]))
    return pd.concat(found, ignore_index=True)


def read_costs(paths: Iterable[str]) -> pd.DataFrame:
    """What one image costs all backbones and their heads, rows of `COSTS`."""
    return pd.concat([COSTS.read(path) for path in paths], ignore_index=True)


def read_supports(paths: Iterable[Path | str]) -> Supports:
    """{(data set, task): support set}, with the file's name as `slug`."""
    paths = list(paths)
    return {
        (support["dataset"], support["task"]): {**support, "slug": layout.fields_of("support", path)["task"]}
        for path, support in zip(paths, read_task_supports(paths), strict=True)
    }


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


def read_sheet(pick: Recommended, supports: Supports, scores: Scores, settings: Mapping[str, Any]) -> Sheet:
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


def read_skipped(supports: Supports, score_files: Iterable[str], paths: Mapping[tuple[str, str], str]) -> list[Skipped]:
    """Images that could not be read: support images by task, others as the embedding left them out, each once.

    paths: {(data set, image id): path}.
    """
    skipped: dict[tuple[str, str], Skipped] = {}
    for (dataset, task), support in supports.items():
        for image in support["skipped"]:
            skipped[dataset, image["image_id"]] = Skipped(dataset=dataset, task=task, stage="split_support", **image)
    for file in score_files:
        dataset = layout.dataset_of("scores", file)
        for image in json.loads(score_knn.read(file).attributes["skipped"]):
            key = dataset, image["image_id"]
            if key not in paths:
                raise InputError(
                    f"{file} leaves out {key[1]!r}, which images.csv of {dataset!r} does not list: delete both and run again"
                )
            skipped.setdefault(
                key, {"dataset": dataset, "task": "", "stage": "embed_images", "path": file_of(paths[key])} | image
            )
    return list(skipped.values())


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


def read_shapes(supports: Supports) -> list[tuple[int, int]]:
    """(height, width) of the seed images of all tasks, as their files have them; no pixel is decoded."""
    found = (header(support["paths"][image_id]) for support in supports.values() for image_id in support["seed_ids"])
    return [(image.height, image.width) for image in found]


def read_copies(supports: Supports) -> list[Copied]:
    """The groups of copies among the normal images of each task where there are any."""
    return [
        {"dataset": dataset, "task": task, "copies": support["copies"]}
        for (dataset, task), support in supports.items()
        if support.get("copies")
    ]


def read_drawings(supports: Supports) -> list[Drawn]:
    """The images of few colours, such as masks, among the photographs of each task where there are any."""
    return [
        {"dataset": dataset, "task": task, "drawings": support["drawings"]}
        for (dataset, task), support in supports.items()
        if support.get("drawings")
    ]


def read_benchmarks(folder: Path, config: Mapping[str, Any], supports: Supports) -> pd.DataFrame:
    """Snakemake's run times and memory of the jobs of this config, with their stage and what their logs tell of GPU memory
    (`gpu_mb`), in the order of the stages.

    Files of jobs that another config had are passed over.
    """
    known, tasks = _names(config), {(dataset, support["slug"]) for (dataset, _), support in supports.items()}
    counts = Counter(dataset for dataset, _ in tasks)
    tasks |= {(dataset, str(chunk)) for dataset, count in counts.items() for chunk in range(count)}
    jobs = [
        _read_benchmark(path).assign(
            stage=path.relative_to(folder).parts[0], gpu_mb=gpu_memory.of_log(Path(layout.log_of(path)))
        )
        for path in sorted(folder.glob("*/**/*.tsv"))
        if _is_current(path.relative_to(folder).with_suffix("").parts, known, config["sources"], tasks)
    ]
    if not jobs:
        return pd.DataFrame(columns=["stage", "s", "max_rss", "gpu_mb"])
    return pd.concat(jobs, ignore_index=True).sort_values("stage", key=lambda s: s.map(_place), kind="stable")


def _read_benchmark(path):
    with reading(path, "a benchmark of Snakemake"):
        found = pd.read_csv(path, sep="\t")
        return found[["s", "max_rss"]]


def _names(config):
    """What the wildcards of a config's jobs may be, but for tasks and numbers: those of whole studies hold their stage."""
    clip = [clip_backbone(config["clip"])] if config["clip"] else []
    named = [*(model["name"] for model in config["candidates"] + clip), *(config.get("scores") or ())]
    candidates = unique_slugs(named)
    trained = {name: SOURCES[name].training for name in config["sources"]}
    texts = [slug for name, one in trained.items() if one for slug in text_slugs(one.texts(config["sources"][name]))]
    return {*config["datasets"], *config["sources"], *candidates, *texts}


def _is_current(parts, known, sources, tasks):
    """Whether a benchmark's path, (stage, wildcards...) or (stage, stage), is of a job of this config.

    known: `_names` of the config. tasks: {(data set, slug of a task, or number of a job of several)}.
    """
    stage, first, *_ = parts
    of_source = re.sub("^(sample|reconstruct|invert|train)_", "", stage)
    if _place(stage) is None or (of_source in SOURCES and of_source not in sources):
        return False
    return all(name in known or name == stage or (first, name) in tasks for name in parts[1:])


def _place(stage):
    """The stage's place in the order of the report, None for an unknown one; stages of sources and heads share places."""
    stages = list(STAGE_VERSIONS)
    if stage in SOURCES or stage.startswith("reconstruct_"):  # what is generated follows the pools' index
        return stages.index("index_pool") + 0.5
    shared = {"sample_": "sample_pool", "embed_": "embed_anomalies", "score_": "score_clip"}
    names = [stage, *(name for prefix, name in shared.items() if stage.startswith(prefix))]
    return next((stages.index(name) for name in names if name in stages), None)
