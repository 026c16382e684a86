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
from swsa_core.files import layout, store
from swsa_core.files.images import fit_of, prepared, squared
from swsa_core.files.kept import digest, take
from swsa_core.files.provenance import file_sha256
from swsa_core.files.support import read_support
from swsa_core.files.text import write_bytes
from swsa_core.report.contact_sheets import sheet_by_text, sheet_of_all, sheet_of_pairs


def write_sheet(
    path: str, seeds: Images, images: Sequence[np.ndarray], parents: np.ndarray, columns: Mapping[str, np.ndarray]
) -> None:
    if reconstruct:
        sheet = sheet_of_pairs(seeds, images, parents)
    elif source.training:
        sheet = sheet_by_text(seeds, images, parents, columns["text"], columns[source.strength])
    else:
        sheet = sheet_of_all(seeds, images, parents)
    png = BytesIO()
    Image.fromarray(sheet).save(png, "PNG")
    write_bytes(path, png.getvalue())


def write_made(task: Task, path: str, sheet: str) -> None:
    """Anomalies that are made at once."""
    generator = rng(task.seed, task.dataset, task.name, mine.stage)
    try:
        made = source.make(task, section, generator)
    except InputError as error:
        raise InputError(f"data set {task.dataset!r}, task {task.name!r}: {error}") from None
    write_sheet(sheet, task.seeds, made.images, made.parents, made.columns)
    write_anomalies(path, made.images, made.parents, known_of(task), **made.columns)


def write_stream(of: Callable[[Task, dict], Stream], task: Task, path: str, sheet: str) -> None:
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
        "seeds": {image_id: digest(image) for image_id, image in task.seeds.items()},
        "network": {file: Path(file).stat().st_mtime_ns for file in snakemake.input.network},
        "trained": [file_sha256(file) for file in (task.ways, *task.trained) if file],
        "made": made,
        "device": stream.device,
    }
    with store.writer(
        path,
        len(stream.parents),
        {"images": ((side, side, 3), "uint8")},
        header,
        {"parents": stream.parents} | sizes | stream.columns,
        known_of(task) | made,
        compress=["images"],
        keep=True,
    ) as rows:
        unit, size = stream.unit
        n = len(stream.parents) // size
        if rows.done:
            print(f"the first {rows.done // size} of {n} {unit} are not computed again")
        for images in stream.images(rows.done) if rows.done < len(stream.parents) else ():
            rows.append(images=images)
            print(f"{rows.done // size} of {n} {unit} are done")
        # Before the anomalies are whole: a job killed from here on finds them in its partial file, not removed by Snakemake.
        write_sheet(sheet, seeds, rows.read("images"), stream.parents, stream.columns)


def known_of(task: Task) -> dict[str, str]:
    """Attributes of a file of anomalies that say what it is."""
    return {"dataset": task.dataset, "task": task.name, "source": name}


def support_of(number: int) -> str:
    """The support set of the job's task with a number; of those that one job made, the inputs name the first."""
    first = Path(snakemake.input.support[0])
    name = layout.first_of(outputs.anomalies[number], "anomalies", "reconstructions")
    return str(first.with_name(layout.fields_of(name, outputs.anomalies[number])["task"] + first.suffix))


def task_of(number: int) -> Task:
    """The task of the job with a number, with its seed images."""
    given, support = snakemake.input, read_support(support_of(number))
    trained = given.get("trained", ())
    n_texts = len(trained) // len(outputs.anomalies)
    return Task(
        support["dataset"],
        support["task"],
        {image_id: prepared(support["paths"][image_id], settings["preparation"]) for image_id in support["seed_ids"]},
        settings["preparation"],
        settings["seed"],
        settings["precision"] if source.gpu else "",
        mine.runtime,
        snakemake.threads,
        progress,
        given.ways[number] if trained else "",
        trained[number * n_texts : (number + 1) * n_texts],
        networks,
    )


with job(snakemake) as mine:
    settings, section, networks = mine.settings, mine.settings["section"], {}
    name = {reconstructing(name): name for name in SOURCES}.get(mine.stage, mine.stage)
    source, reconstruct = SOURCES[name], name != mine.stage
    stream, outputs = source.reconstruct.stream if reconstruct else source.stream, snakemake.output
    for number, (path, sheet) in enumerate(zip(outputs.anomalies, outputs.sheet, strict=True)):
        task = task_of(number)
        if len(outputs.anomalies) > 1:
            print(f"{task.name}:")
        if stream:
            write_stream(stream, task, path, sheet)
        else:
            write_made(task, path, sheet)
    for path in outputs.anomalies if stream else ():
        take(path)
