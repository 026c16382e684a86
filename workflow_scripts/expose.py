from workflow_scripts.job import job, progress

import math
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from swsa_core.basics.seeding import rng
from swsa_core.candidates.backbone import load_backbone
from swsa_core.datasets import INDEX
from swsa_core.detectors.scores import banks_of, check_listed, reconstructions_of
from swsa_core.embedding.embed import BATCH_SIZE, share_threads
from swsa_core.embedding.image_stream import FileReader, image_stream
from swsa_core.exposure.fine_tune import Examples
from swsa_core.exposure.folds import BANK, SUPPORT, TEST, folds_of, requests, targets
from swsa_core.exposure.networks import features_of_task
from swsa_core.exposure.scores import check_bank
from swsa_core.files import store
from swsa_core.files.machine import check_room
from swsa_core.files.support import read_task_supports
from swsa_core.mini.training import reproducible
from workflow_scripts._expose import read_anomalies
from workflow_scripts._score import SAME


def transformed(read, rows, transform):
    """Images (n, crop, crop, 3) uint8 as the network takes them."""
    return np.stack([transform(read(row)) for row in rows])


def read_tests(paths, transform, processes):
    """As `transformed`, of the test images: read once for all tasks of the job, and kept on disk."""
    if not paths:
        return np.empty((0, transform.crop, transform.crop, 3), np.uint8)
    shape = len(paths), transform.crop, transform.crop, 3
    check_room(snakemake.output[0], math.prod(shape))  # a mapping that has none ends the process without a word
    with TemporaryFile(dir=Path(snakemake.output[0]).parent) as scratch:  # whose mapping outlives it
        images = np.memmap(scratch, np.uint8, "w+", shape=shape)
    shown = progress(f"{mine.stage} {snakemake.wildcards.dataset}, reading", "test images")
    read = FileReader(paths)
    with image_stream(lambda row: transform(read(row)), processes) as stream:
        for row, image in enumerate(stream(range(len(paths)))):
            images[row] = image
            shown(row + 1, len(paths))
    return images


def task_of(support):
    """What `features_of_task` needs of one task: its parts, outliers and their parents."""
    task, bank = support["task"], banks[support["task"]]
    paths = [support["paths"][image_id] for image_id in bank]
    readers = {BANK: FileReader(paths), SUPPORT: FileReader(paths, settings["preparation"])}
    parts = {part: transformed(read, range(len(bank)), backbone.transform) for part, read in readers.items()}
    for name in judging:
        parts[name] = transformed(anomalies[name].read, anomalies[name].of_task(task, bank)[0], backbone.transform)
    made = anomalies[source]
    rows, parents = made.of_task(task, bank)
    strengths = made.strengths(task) if exposure["task"] == "regression" else None
    outliers = Examples(transformed(made.read, rows, backbone.transform), targets(task, source, len(rows), strengths))
    return parts, outliers, parents


def generator_of(task):
    """Function of a network to the generator of its training."""
    names = snakemake.wildcards.dataset, task, mine.stage
    return lambda network: rng(settings["seed"], *names, str(network))


with job(snakemake) as mine:
    given, settings = snakemake.input, mine.settings
    exposure, spec, unheard = (settings["exposure"][key] for key in ("exposure", "backbone", "not_judged_by"))
    source, folds = exposure["source"], exposure["folds"]
    supports = read_task_supports(given.supports)
    chunk = read_task_supports(given.chunk)  # the supports of the job's own tasks
    banks = banks_of(chunk)
    for task, bank in banks.items():
        check_bank(task, len(bank), folds, settings["k"])
    backbone = load_backbone(spec, mine.runtime["device"], settings["precision"])
    embedded, known = store.read(given.image_features, ["image_id"])
    store.check_same({given.image_features: known, snakemake.output[0]: backbone.attributes()}, SAME)
    index = INDEX.read(given.images)
    check_listed(index, embedded["image_id"], known["skipped"], (given.images, given.image_features))
    tests = index.path[(index.split == "test") & index.image_id.isin(embedded["image_id"])].tolist()
    anomalies = read_anomalies(given, supports, settings["preparation"])
    judging = [name for name in anomalies if name not in {*unheard, *map(reconstructions_of, unheard)}]
    wanted = {
        task: requests(
            len(tests),
            folds_of(len(bank), folds),
            folds,
            {name: anomalies[name].of_task(task, bank)[1] for name in judging},
        )
        for task, bank in banks.items()
    }
    columns = [
        (task, request.network, request.part, row) for task in banks for request in wanted[task] for row in request.rows
    ]
    constants = dict(zip(("task", "network", "part", "row"), map(np.array, zip(*columns, strict=True)), strict=True))
    header = {
        "settings": mine.recorded,
        "inputs": {path: Path(path).stat().st_mtime_ns for path in given},
        "backbone": backbone.attributes(),
        "device": backbone.device,
    }
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
        images = read_tests(tests, backbone.transform, processes) if done < len(chunk) else None
        for number, support in enumerate(chunk[done:], done):
            task = support["task"]
            parts, outliers, parents = task_of(support)
            print(f"{task}:")
            features = features_of_task(
                backbone, parts | {TEST: images}, wanted[task], outliers, parents, exposure, generator_of(task), size
            )
            rows.append(features=features)
            shown(number + 1, len(chunk))
