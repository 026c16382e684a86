"""The jobs of candidates: embedding images, fine-tuning networks, scoring."""

from collections.abc import Iterator, Mapping
from functools import partial

from swsa_core.anomalies import SOURCES
from swsa_core.config.candidates import head_of
from swsa_core.config.study import Study, chunks_of
from swsa_core.detectors import HEADS
from swsa_core.detectors.patch import IMAGES
from swsa_core.plan.costs import Cost
from swsa_core.plan.one_job import (
    FLOAT16,
    FLOAT32,
    FLOAT64,
    READING_GENERATED,
    START,
    START_NETWORK,
    Job,
    Place,
    seconds_to_read,
)
from swsa_core.plan.sizes import Size, n_anomalies, others

TRAINED = 6  # times the weights, as training holds them: before, now, best, gradient and two moments
BLOCKS = 3  # of query patches, or of their distances, that scoring holds at once


def embedding_jobs(study: Study, sizes: Mapping[str, Size], costs: Mapping[str, Cost], place: Place) -> Iterator[Job]:
    """The jobs that embed, of every backbone: the images of each data set, what sources made of them, and pools."""
    for slug, cost in costs.items():
        patches = study.config["patch"]["grid"] ** 2 * cost.patch * FLOAT16 if slug in study.grids else 0
        job = partial(_embedding_job, cost=cost, more=patches)
        for dataset, (tasks, support, test) in sizes.items():
            known, seconds = {"dataset": dataset, "backbone": slug}, seconds_to_read(study, dataset)
            yield job("embed_images", place("image_features", **known), support + test, seconds=seconds)
            yield job("embed_support", place("support_features", **known), support, seconds=seconds)
            for source in study.generated:
                output, n = place("anomaly_features", **known, source=source), n_anomalies(study, dataset, source)
                yield job("embed_anomalies", output, len(tasks) * n, seconds=READING_GENERATED)
            for source in study.reconstructed:
                output = place("reconstruction_features", **known, source=source)
                n = len(tasks) * study.datasets[dataset]["support"]["seeds"]
                yield job("embed_reconstructions", output, n, seconds=READING_GENERATED)
        for pool in study.pools:
            n, output = _pool_size(study, pool), place("pool_features", pool=pool, backbone=slug)
            yield job("embed_pool", output, n, seconds=READING_GENERATED)


def _pool_size(study, pool):
    """Images of a pool: as many as its section asks for, or all there are."""
    images, section = SOURCES[pool].pool, study.config["sources"][pool]
    return len(images.images(section, study.config["seed"])) if images.whole else section["pool"]


def _embedding_job(stage, output, n, cost, more, seconds):
    """more: bytes of an image beside its features."""
    return Job(
        stage,
        output,
        passes=n if cost.flops else 0,
        flops=n * cost.flops,
        start=START_NETWORK if cost.flops else START,
        reading=n * seconds,
        disk=n * (cost.features * FLOAT32 + more),
        memory=cost.parameters * FLOAT32,
    )


def exposure_jobs(study: Study, sizes: Mapping[str, Size], costs: Mapping[str, Cost], place: Place) -> Iterator[Job]:
    """The jobs that fine-tune, of every candidate that asks for it.

    Passes are at most so many: a training may end before its last epoch. One with a gradient counts as three.
    """
    for slug, candidate in study.exposed.items():
        cost, exposure, known = costs[study.shared[slug]], candidate["exposure"], study.exposures[slug]
        folds = exposure["folds"]
        judging = [source for source in study.sources if source not in known["not_judged_by"]]
        for dataset, size in sizes.items():
            bank = size.support / max(1, len(size.tasks))
            anomalies = sum(_scored(study, dataset, source, folds) for source in judging if _has(study, size, source))
            outliers = n_anomalies(study, dataset, exposure["source"])
            rows = bank * (1 + folds) + size.test + anomalies  # of a task
            # once by the network of all images, (folds - 1) / folds by each of the others
            learnt = (bank + outliers) * folds
            seconds = seconds_to_read(study, dataset)
            for chunk, tasks in chunks_of(size.tasks, study.exposed_per_job).items():
                n = len(tasks)
                passes = n * (rows + 3 * exposure["epochs"] * learnt)
                yield Job(
                    "expose",
                    place("exposed", dataset=dataset, candidate=slug, chunk=chunk),
                    passes=round(passes),
                    flops=round(passes * cost.flops),
                    start=START_NETWORK,
                    reading=(size.test + 2 * n * bank) * seconds + n * (anomalies + outliers) * READING_GENERATED,
                    disk=round(n * rows * cost.features * FLOAT32),
                    memory=TRAINED * cost.parameters * FLOAT32,
                )


def _scored(study, dataset, source, folds):
    """Anomalies of a task that its networks score, and reconstructions; parents of different folds leave one to none."""
    n, parents = n_anomalies(study, dataset, source), SOURCES[source].parents
    reconstructed = study.datasets[dataset]["support"]["seeds"] * (source in study.reconstructed)
    return n * folds ** (1 - parents) + reconstructed


def _has(study, size, source):
    return source not in study.others or len(size.tasks) > 1


def score_jobs(study: Study, sizes: Mapping[str, Size], costs: Mapping[str, Cost], place: Place) -> Iterator[Job]:
    """The jobs that score, of every candidate but those that run elsewhere."""
    for slug in (*study.deployable, *study.exposed, *study.clip):
        cost = costs[study.shared[slug]]
        for dataset, (tasks, support, test) in sizes.items():
            spec = study.datasets[dataset]
            alone = set(study.others) - set(others(study, sizes[dataset]))
            sources = [source for source in study.sources if source not in alone]
            anomalies = len(tasks) * sum(n_anomalies(study, dataset, source) for source in sources)
            anomalies += len(tasks) * spec["support"]["seeds"] * len(study.reconstructed)
            rows = support * 2 + test + anomalies
            of_test, of_task = test * len(tasks) * FLOAT64, (support + anomalies) * FLOAT64
            if slug in study.clip:
                disk = (of_test + of_task) * (len(spec["templates"]) + 1)  # and the ensemble
                memory, stage = rows * cost.features * FLOAT32, "score_clip"
            else:
                name = head_of(study.candidates[slug])
                stage = "score_exposed" if slug in study.exposed else f"score_{name}"
                disk = of_test + of_task * HEADS[name].numbers(study.config)
                memory = rows * cost.features * FLOAT32
                if HEADS[name].patches:  # which are read a few at a time, against one bank
                    memory = study.config["patch"]["bank"] * cost.patch * FLOAT32 + BLOCKS * IMAGES * FLOAT32
            yield Job(stage, place("scores", dataset=dataset, candidate=slug), disk=disk, memory=memory + disk)
