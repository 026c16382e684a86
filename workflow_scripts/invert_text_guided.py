from workflow_scripts.job import job, progress, source_section

from pathlib import Path

import numpy as np

from swsa_core.anomalies.source import Task
from swsa_core.anomalies.text_guided import ways
from swsa_core.files import store
from swsa_core.files.images import fit_of, prepared, squared
from swsa_core.files.kept import digest, take
from swsa_core.files.support import Support, read_support


def invert(support: Support, path: str) -> None:
    """Write the unedited ways of the seed images of one task."""
    ids = support["seed_ids"]
    images = [prepared(support["paths"][image_id], preparation) for image_id in ids]
    if fit_of(preparation) == "pad":
        images = [squared(image, preparation["size"]) for image in images]
    task = Task(
        *(support["dataset"], support["task"], dict(zip(ids, images, strict=True)), preparation, 0),
        *(settings["precision"], mine.runtime, snakemake.threads, progress),
        networks=networks,
    )
    found = ways(task, section)
    columns = {
        "x_T": ((3, *images[0].shape[:2]), "float32"),
        "predicted": ((found.n_edited, 3, *images[0].shape[:2]), "float16"),
    }
    made = found.attributes | {"stage_version": mine.recorded["version"]}
    with store.writer(
        path,
        len(ids),
        columns,
        {
            "settings": mine.recorded,
            "seeds": [digest(image) for image in images],
            "network": {file: Path(file).stat().st_mtime_ns for file in snakemake.input.network},
            "made": made,
            "device": found.device,
        },
        {"image_ids": ids, "images": np.stack(images)},
        {"dataset": task.dataset, "task": task.name} | made,
        keep=True,
    ) as rows:
        if rows.done == len(ids):
            print(f"{task.name}: finished before")
            return
        for x_T, predicted in found.blocks(rows.done):
            rows.append(x_T=x_T, predicted=predicted)
            print(f"{rows.done} of {len(ids)} images are inverted")


with job(snakemake) as mine:
    settings, section = mine.settings, source_section(mine.settings)
    preparation, networks = settings["preparation"], {}
    for support, path in zip(snakemake.input.support, snakemake.output, strict=True):
        invert(read_support(support), path)
    for path in snakemake.output:
        take(path)
