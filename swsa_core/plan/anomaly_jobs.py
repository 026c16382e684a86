"""The jobs that make synthetic anomalies, or take those that are there."""

from collections.abc import Iterator, Mapping

from swsa_core.anomalies import SOURCES
from swsa_core.anomalies.source import Work, inverting, reconstructing, training
from swsa_core.config.study import Study
from swsa_core.files.downloads import published_at
from swsa_core.plan.one_job import (
    FLOAT16,
    FLOAT32,
    START,
    Job,
    Place,
    batches,
    network_job,
    of_tasks,
    outputs,
    seconds_to_read,
)
from swsa_core.plan.sizes import Size, n_anomalies, others, trained_on

ORIGINAL_SIDE = 500  # pixels, of the longer side of most images of CUB and Flowers
COMPRESSING = 8e-8  # seconds of one core for a generated pixel to be compressed


def anomaly_jobs(
    study: Study, sizes: Mapping[str, Size], work: Mapping[tuple[str, int], Work], place: Place
) -> Iterator[Job]:
    """The jobs of all sources: weights, training, anomalies and reconstructions, pools and what is taken of them."""
    yield from _weights(study)
    yield from _trainings(study, sizes, work, place)
    yield from _generated(study, sizes, work, place)
    yield from _reconstructed(study, sizes, work, place)
    yield from _taken(study, sizes, place)


def _weights(study):
    networks = {name: SOURCES[name].network for name in study.generated}
    files = {path for name, one in networks.items() if one for path in one.files(study.config["sources"][name])}
    for path in sorted(files):  # once, however many sources have it
        if published_at(path):
            yield Job("fetch_weights", path)


def _trainings(study, sizes, work, place):
    """Of the sources that train: the inversion of each task's seed images, and the training for each text."""
    side = study.config["preparation"]["size"] if study.trained else 0
    for name, one in study.trained.items():
        section, steps = study.config["sources"][name], len(one.edited(study.config["sources"][name]))
        for dataset, tasks in batches(study, sizes):
            seeds = study.datasets[dataset]["support"]["seeds"]
            output, more = outputs(place, "ways", dataset, tasks, source=name)
            # x_T in float32, P_t in float16, and the image
            disk = seeds * 3 * side**2 * (FLOAT32 + steps * FLOAT16 + 1)
            seconds = seeds * seconds_to_read(study, dataset)
            job = network_job(inverting(name), output, work[inverting(name), seeds], seconds, disk)
            yield of_tasks(job, len(tasks), more)
        for dataset, size in sizes.items():
            needed = work[training(name), trained_on(study, dataset, len(size.tasks), name)]
            for text in study.texts[name]:
                known = {"dataset": dataset, "source": name, "text": text}
                for task in [None] if one.shared(section) else size.tasks:
                    of_task = {} if one.shared(section) else {"task": task}
                    of = "trained" if one.shared(section) else "trained_of_task"
                    there = one.shared(section) or task
                    yield network_job(training(name), there and place(of, **known, **of_task), needed, 0, disk=0)


def _generated(study, sizes, work, place):
    side = _side(study)
    for name in study.generated:
        source = SOURCES[name]
        for dataset, tasks in batches(study, sizes):
            spec = study.datasets[dataset]
            seeds, pixels = spec["support"]["seeds"], n_anomalies(study, dataset, name) * side**2
            output, more = outputs(place, "anomalies", dataset, tasks, source=name)
            seconds = seeds * seconds_to_read(study, dataset) + pixels * (COMPRESSING + source.seconds_per_pixel)
            disk = 3 * pixels
            if source.network:
                job = network_job(name, output, work[name, seeds], seconds, disk)
            else:
                job = Job(name, output, start=START + seconds, disk=disk, memory=disk)
            yield of_tasks(job, len(tasks), more)


def _reconstructed(study, sizes, work, place):
    side = _side(study)
    for name in study.reconstructed:
        for dataset, tasks in batches(study, sizes):
            seeds, stage = study.datasets[dataset]["support"]["seeds"], reconstructing(name)
            output, more = outputs(place, "reconstructions", dataset, tasks, source=name)
            seconds = seeds * (seconds_to_read(study, dataset) + side**2 * COMPRESSING)
            job = network_job(stage, output, work[stage, seeds], seconds, disk=3 * seeds * side**2)
            yield of_tasks(job, len(tasks), more)


def _side(study):
    """Pixels of the side of a prepared image."""
    preparation = study.config["preparation"]
    return ORIGINAL_SIDE if preparation == "original" else preparation["size"]


def _taken(study, sizes, place):
    """Of the sources that generate nothing: pools, and which of their images, or of other tasks', each data set takes."""
    for pool in study.pools:
        yield Job("index_pool", place("pool_images", pool=pool))
        for dataset in sizes:
            yield Job(f"sample_{pool}", place("pool_rows", dataset=dataset, pool=pool))
    for dataset, size in sizes.items():
        for name, sources in (("nearest_rows", list(study.pool_of)), ("other_images", others(study, size))):
            for source in sources:
                yield Job(f"sample_{source}", place(name, dataset=dataset, source=source))
