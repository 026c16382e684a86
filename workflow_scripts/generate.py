from workflow_scripts.job import job, progress

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from swsa_core.anomalies import SOURCES
from swsa_core.anomalies.made import write_anomalies
from swsa_core.anomalies.source import Images, Stream, Task, reconstructing
from swsa_core.basics.errors import InputError
from swsa_core.basics.seeding import rng
from swsa_core.files import store
from swsa_core.files.images import fit_of, prepared, squared
from swsa_core.files.support import read_support
from swsa_core.files.text import write_bytes
from swsa_core.report.contact_sheets import sheet_by_text, sheet_of_all, sheet_of_pairs


def write_sheet(
    seeds: Images, images: Sequence[np.ndarray], parents: np.ndarray, columns: Mapping[str, np.ndarray]
) -> None:
    if reconstruct:
        sheet = sheet_of_pairs(seeds, images, parents)
    elif source.training:
        sheet = sheet_by_text(seeds, images, parents, columns["text"], columns[source.strength])
    else:
        sheet = sheet_of_all(seeds, images, parents)
    png = BytesIO()
    Image.fromarray(sheet).save(png, "PNG")
    write_bytes(snakemake.output.sheet, png.getvalue())


def write_made() -> None:
    """Anomalies that are made at once."""
    generator = rng(task.seed, task.dataset, task.name, mine.stage)
    try:
        made = source.make(task, section, generator)
    except InputError as error:
        raise InputError(f"data set {task.dataset!r}, task {task.name!r}: {error}") from None
    write_sheet(task.seeds, made.images, made.parents, made.columns)
    write_anomalies(snakemake.output.anomalies, made.images, made.parents, known, **made.columns)


def write_stream(of: Callable[[Task, dict], Stream]) -> None:
    """Anomalies that are made one after the other; a job that was killed goes on after those that it had written."""
    side, seeds, sizes = settings["preparation"]["size"], task.seeds, {}
    padded = fit_of(task.preparation) == "pad"
    if padded:
        seeds = {image_id: squared(image, side) for image_id, image in seeds.items()}
    stream = of(replace(task, seeds=seeds), section)
    made = stream.attributes | {"stage_version": mine.recorded["version"]}
    if padded:  # an anomaly is as large as its last parent, so that readers cut its padding off again
        sizes = {"sizes": np.array([task.seeds[ids[-1]].shape[:2] for ids in stream.parents])}
    header = {
        "settings": mine.recorded,
        "inputs": {path: Path(path).stat().st_mtime_ns for path in snakemake.input},
        "made": made,
        "device": stream.device,
    }
    with store.writer(
        snakemake.output.anomalies,
        len(stream.parents),
        {"images": ((side, side, 3), "uint8")},
        header,
        {"parents": stream.parents} | sizes | stream.columns,
        known | made,
        compress=["images"],
    ) as rows:
        unit, size = stream.unit
        n = len(stream.parents) // size
        if 0 < rows.done < len(stream.parents):
            print(f"the first {rows.done // size} of {n} {unit} are not computed again")
        for images in stream.images(rows.done) if rows.done < len(stream.parents) else ():
            rows.append(images=images)
            print(f"{rows.done // size} of {n} {unit} are done")
        # Before the anomalies are whole: a job killed from here on finds them in its partial file, not removed by Snakemake.
        write_sheet(seeds, rows.read("images"), stream.parents, stream.columns)


with job(snakemake) as mine:
    settings, section = mine.settings, mine.settings["section"]
    name = {reconstructing(name): name for name in SOURCES}.get(mine.stage, mine.stage)
    source, reconstruct = SOURCES[name], name != mine.stage
    support = read_support(snakemake.input.support)
    known = {"dataset": support["dataset"], "task": support["task"], "source": name}
    task = Task(
        support["dataset"],
        support["task"],
        {image_id: prepared(support["paths"][image_id], settings["preparation"]) for image_id in support["seed_ids"]},
        settings["preparation"],
        settings["seed"],
        settings["precision"] if source.gpu else "",
        mine.runtime,
        snakemake.threads,
        progress,
        snakemake.input.get("ways", ""),
        snakemake.input.get("trained", ()),
    )
    stream = source.reconstruct.stream if reconstruct else source.stream
    write_stream(stream) if stream else write_made()
