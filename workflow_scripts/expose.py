from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from swsa_core.anomalies import SOURCES
from swsa_core.anomalies.made import read_origins
from swsa_core.basics.errors import InputError
from swsa_core.basics.seeding import rng
from swsa_core.candidates.backbone import load_backbone
from swsa_core.datasets import INDEX
from swsa_core.detectors.scores import anomaly_rows, banks_of, reconstructions_of
from swsa_core.embedding.embed import BATCH_SIZE, share_threads
from swsa_core.embedding.image_stream import FileReader, image_stream
from swsa_core.exposure.fine_tune import Examples
from swsa_core.exposure.folds import BANK, SUPPORT, TEST, folds_of, requests, targets
from swsa_core.exposure.networks import features_of_task
from swsa_core.exposure.scores import check_bank
from swsa_core.files import store
from swsa_core.files.text import read_json
from swsa_core.mini.training import reproducible
from workflow_scripts._expose import read_anomalies
from workflow_scripts._score import SAME
from workflow_scripts.job import job, progress


def transformed(read, rows, transform):
    """Images (n, crop, crop, 3) uint8 as the network takes them."""
    return np.stack([transform(read(row)) for row in rows])


def read_tests(paths, transform, processes):
    """As `transformed`, of the test images: read once for all tasks of the job, and kept on disk."""
    if not paths:
        return np.empty((0, transform.crop, transform.crop, 3), np.uint8)
    with TemporaryFile(dir=Path(snakemake.output[0]).parent) as scratch:  # whose mapping outlives it
        images = np.memmap(scratch, np.uint8, "w+", shape=(len(paths), transform.crop, transform.crop, 3))
    shown = progress(f"{mine.stage} {snakemake.wildcards.dataset}, reading", "test images")
    read = FileReader(paths)
    with image_stream(lambda row: transform(read(row)), processes) as stream:
        for row, image in enumerate(stream(range(len(paths)))):
            images[row] = image
            shown(row + 1, len(paths))
    return images


def strengths_of(task, chosen):
    """The strengths (n,) of the anomalies that a regression learns from; None for a classification."""
    if exposure["task"] != "regression":
        return None
    column = SOURCES[exposure["source"]].strength
    path, arrays = next(
        (path, arrays) for path in chosen.files for arrays, known in [read_origins(path)] if known["task"] == task
    )
    if column not in arrays:
        raise InputError(f"{path} lacks {column!r}, the strengths that a regression predicts: delete it and run again")
    return arrays[column]


def of_task(name, made, banks, task):
    """(Rows of the anomalies of a task among all of a source, and their parents as rows of the bank)."""
    rows = np.flatnonzero(made.tasks == task)
    order, part = anomaly_rows(name, made.tasks[rows], made.parents[rows], {task: banks[task]})
    return rows[order], part["parents"]


with job(snakemake) as mine:
    given, settings = snakemake.input, mine.settings
    exposure, spec = settings["exposure"]["exposure"], settings["exposure"]["backbone"]
    supports = [read_json(path) for path in given.supports]
    chunk = [support for support in supports if support["task"] in snakemake.params.tasks]
    banks = banks_of(chunk)
    for task, bank in banks.items():
        check_bank(task, len(bank), exposure["folds"], settings["k"])
    backbone = load_backbone(spec, mine.runtime["device"], settings["precision"])
    embedded, known = store.read(given.image_features, ["image_id"])
    store.check_same({given.image_features: known, snakemake.output[0]: backbone.attributes()}, SAME)
    index = INDEX.read(given.images)
    tests = index.path[(index.split == "test") & index.image_id.isin(embedded["image_id"])].tolist()
    anomalies = read_anomalies(given, supports, settings["preparation"])
    unheard = settings["exposure"]["not_judged_by"]
    judging = [name for name in anomalies if name not in {*unheard, *map(reconstructions_of, unheard)}]
    wanted, folds = {}, exposure["folds"]
    for task, bank in banks.items():
        parents = {name: of_task(name, anomalies[name], banks, task)[1] for name in judging}
        wanted[task] = requests(len(tests), folds_of(len(bank), folds), folds, parents)
    columns = [
        (task, request.network, request.part, row) for task in banks for request in wanted[task] for row in request.rows
    ]
    constants = dict(zip(("task", "network", "part", "row"), map(np.array, zip(*columns, strict=True)), strict=True))
    header = {"settings": mine.recorded, "inputs": {path: Path(path).stat().st_mtime_ns for path in given}}
    size = mine.runtime["batch_size"]
    size = BATCH_SIZE[backbone.device] if size == "auto" else size
    processes, _ = share_threads(snakemake.threads, mine.runtime["workers"], backbone.device)
    shown = progress(" ".join([mine.stage, *snakemake.wildcards]), "tasks", every=0)
    with (
        store.writer(
            snakemake.output[0],
            len(columns),
            {"features": ((backbone.feature_size,), "float32")},
            header,
            constants,
            backbone.attributes() | {"stage_version": mine.recorded["version"]},
        ) as rows,
        reproducible(settings["seed"], snakemake.threads),
    ):
        done = len(set(constants["task"][: rows.done]))
        images = read_tests(tests, backbone.transform, processes) if rows.done < len(columns) else None
        for number, support in enumerate(chunk[done:], done):
            task = support["task"]
            bank = [support["paths"][image_id] for image_id in banks[task]]
            readers = {BANK: FileReader(bank), SUPPORT: FileReader(bank, settings["preparation"])}
            parts = {part: transformed(read, range(len(bank)), backbone.transform) for part, read in readers.items()}
            for name in judging:
                made = anomalies[name]
                parts[name] = transformed(made.read, of_task(name, made, banks, task)[0], backbone.transform)
            own, parents = of_task(exposure["source"], anomalies[exposure["source"]], banks, task)
            strengths = strengths_of(task, anomalies[exposure["source"]])
            outliers = Examples(
                transformed(anomalies[exposure["source"]].read, own, backbone.transform),
                targets(task, exposure["source"], len(own), strengths),
            )
            names = snakemake.wildcards.dataset, task, mine.stage
            print(f"{task}:")
            rows.append(
                features=features_of_task(
                    backbone,
                    parts | {TEST: images},
                    wanted[task],
                    outliers,
                    parents,
                    exposure,
                    lambda network, names=names: rng(settings["seed"], *names, str(network)),
                    size,
                )
            )
            shown(number + 1, len(chunk))
