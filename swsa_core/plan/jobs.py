"""What a study costs before it runs: its jobs, their network passes, time, disk and memory."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from swsa_core import datasets
from swsa_core.anomalies import SOURCES
from swsa_core.anomalies.source import Work, inverting, reconstructing, training
from swsa_core.basics.names import unique_slugs
from swsa_core.config.candidates import head_of
from swsa_core.config.study import Study, chunks_of
from swsa_core.datasets.fetch import is_absent, publications, published
from swsa_core.datasets.kind import Spec
from swsa_core.detectors import HEADS
from swsa_core.detectors.patch import IMAGES
from swsa_core.embedding.embed import share_threads
from swsa_core.files import layout
from swsa_core.files.downloads import published_at
from swsa_core.plan.costs import Cost

FLOAT16, FLOAT32, FLOAT64 = 2, 4, 8  # bytes
TRAINED = 6  # times the weights, as training holds them: before, now, best, gradient and two moments
BLOCKS = 3  # of query patches, or of their distances, that scoring holds at once
ORIGINAL_SIDE = 500  # pixels, of the longer side of most images of CUB and Flowers
# Seconds of one core, beside `Kind.reading`: for a generated image to be read, for a generated pixel to be compressed, and for
# a job's interpreter to start, with a network and without.
READING_GENERATED = 0.0035
COMPRESSING = 8e-8
START_NETWORK, START = 8, 1
CURVE = 15  # of one core: 41 selections of 15 candidates
ALL = "all"  # the target rule


class Size(NamedTuple):
    """A data set's tasks, slugs in paths or None where it is not on disk, and its normal training and test images."""

    tasks: list[str] | list[None]
    support: int
    test: int


class Job(NamedTuple):
    """One job: the path of its output (None: cannot be there yet), images that go through a network, and costs.

    more: the paths of the same output for the job's other tasks.
    passes: of whole networks; flops: of all of them; start: seconds of one core without a network running; reading: those
    for reading the images that go through it; disk, memory: bytes of the arrays written, and of those held at once with
    the network's weights.
    """

    stage: str
    output: str | None
    passes: float = 0
    flops: int = 0
    start: float = START
    reading: float = 0
    disk: int = 0
    memory: int = 0
    more: tuple[str, ...] = ()


def size_on_disk(spec: Spec, seed: int = 0, dataset: str = "") -> Size:
    """`Size` of a data set, counted."""
    split = datasets.index(spec, seed, dataset)["split"]
    return Size(list(unique_slugs(datasets.tasks(spec))), int((split == "train").sum()), int((split == "test").sum()))


def official_size(spec: Spec) -> Size:
    """`Size` of an official data set that is not on disk; with some of its tasks in proportion, so not exact."""
    kind = datasets.kind_of(spec)
    assert kind.published_size is not None  # as it is published, for else it could not be absent
    n_tasks, support, test = kind.published_size(spec)
    chosen = n_tasks if spec["tasks"] == "all" else len(set(spec["tasks"]))
    if kind.anomalies == "defects":
        test = round(test * chosen / n_tasks)
    return Size([None] * chosen, round(support * chosen / n_tasks), test)


def n_anomalies(study: Study, dataset: str, source: str) -> int:
    """Synthetic anomalies of a task of a data set that a source makes."""
    return SOURCES[source].number(study.datasets[dataset]["support"]["seeds"], study.config["sources"][source])


def trained_on(study: Study, dataset: str, n_tasks: int, source: str) -> int:
    """Seed images that a network of a source is trained on, unless its section takes fewer."""
    shared = study.trained[source].shared(study.config["sources"][source])
    return study.datasets[dataset]["support"]["seeds"] * (n_tasks if shared else 1)


def jobs(
    study: Study, sizes: dict[str, Size], costs: dict[str, Cost], work: dict[tuple[str, int], Work]
) -> Iterator[Job]:
    """All `Job`s that Snakemake runs for the default target, in the order of the stages.

    sizes: {data set: Size}; costs: {slug of the backbone: Cost}; work: {(stage, seeds): Work} of one task, of the sources
    that have a network, and of their reconstructions; {(stage, images): Work} of training, see `trained_on`.
    """
    place = partial(layout.at, study.results)
    yield from _supports(study, sizes, place)
    yield from _anomalies(study, sizes, work, place)
    yield from _embeddings(study, sizes, costs, place)
    yield from _exposures(study, sizes, costs, place)
    yield from _scores(study, sizes, costs, place)
    yield from _elsewhere(study, place)
    for slug in study.heads_of:
        start = START_NETWORK if costs[slug].flops else START
        yield Job("cost", place("costs", backbone=slug), start=start)
    yield from _evaluations(study, sizes, place)
    yield from _tables(study, place)


def _supports(study, sizes, place):
    for dataset in sizes:
        yield Job("index_images", place("images", dataset=dataset))
    for dataset, tasks in _batches(study, sizes):
        size = sizes[dataset]
        output, more = _outputs(place, "support", dataset, tasks)
        seconds = len(tasks) * _reading(study, dataset) * size.support / len(size.tasks)
        yield Job("split_support", output, start=START + seconds, more=more)


def _anomalies(study, sizes, work, place):
    preparation = study.config["preparation"]
    side = ORIGINAL_SIDE if preparation == "original" else preparation["size"]
    networks = {name: SOURCES[name].network for name in study.generated}
    files = {path for name, one in networks.items() if one for path in one.files(study.config["sources"][name])}
    for path in sorted(files):  # once, however many sources have it
        if published_at(path):
            yield Job("fetch_weights", path)
    yield from _trainings(study, sizes, work, place)
    for name in study.generated:
        source = SOURCES[name]
        for dataset, tasks in _batches(study, sizes):
            spec = study.datasets[dataset]
            seeds, pixels = spec["support"]["seeds"], n_anomalies(study, dataset, name) * side**2
            output, more = _outputs(place, "anomalies", dataset, tasks, source=name)
            seconds = seeds * _reading(study, dataset) + pixels * (COMPRESSING + source.seconds_per_pixel)
            disk = 3 * pixels
            if source.network:
                job = _network_job(name, output, work[name, seeds], seconds, disk)
            else:
                job = Job(name, output, start=START + seconds, disk=disk, memory=disk)
            yield _of_tasks(job, len(tasks), more)
    for name in study.reconstructed:
        for dataset, tasks in _batches(study, sizes):
            seeds, stage = study.datasets[dataset]["support"]["seeds"], reconstructing(name)
            output, more = _outputs(place, "reconstructions", dataset, tasks, source=name)
            seconds = seeds * (_reading(study, dataset) + side**2 * COMPRESSING)
            job = _network_job(stage, output, work[stage, seeds], seconds, disk=3 * seeds * side**2)
            yield _of_tasks(job, len(tasks), more)
    for pool in study.pools:
        yield Job("index_pool", place("pool_images", pool=pool))
        for dataset in sizes:
            yield Job(f"sample_{pool}", place("pool_rows", dataset=dataset, pool=pool))
    for dataset, size in sizes.items():
        for name, sources in (("nearest_rows", list(study.pool_of)), ("other_images", _others(study, size))):
            for source in sources:
                yield Job(f"sample_{source}", place(name, dataset=dataset, source=source))


def _trainings(study, sizes, work, place):
    """Of the sources that train: the inversion of each task's seed images, and the training for each text."""
    side = study.config["preparation"]["size"] if study.trained else 0
    for name, one in study.trained.items():
        section, steps = study.config["sources"][name], len(one.edited(study.config["sources"][name]))
        for dataset, tasks in _batches(study, sizes):
            seeds = study.datasets[dataset]["support"]["seeds"]
            output, more = _outputs(place, "ways", dataset, tasks, source=name)
            # x_T in float32, P_t in float16, and the image
            disk = seeds * 3 * side**2 * (FLOAT32 + steps * FLOAT16 + 1)
            seconds = seeds * _reading(study, dataset)
            job = _network_job(inverting(name), output, work[inverting(name), seeds], seconds, disk)
            yield _of_tasks(job, len(tasks), more)
        for dataset, size in sizes.items():
            needed = work[training(name), trained_on(study, dataset, len(size.tasks), name)]
            for text in study.texts[name]:
                known = {"dataset": dataset, "source": name, "text": text}
                for task in [None] if one.shared(section) else size.tasks:
                    of_task = {} if one.shared(section) else {"task": task}
                    of = "trained" if one.shared(section) else "trained_of_task"
                    there = one.shared(section) or task
                    yield _network_job(training(name), there and place(of, **known, **of_task), needed, 0, disk=0)


def _network_job(stage, output, work, seconds, disk):
    """The `Job` of a source's network; seconds: of one core, beside it."""
    return Job(stage, output, work.passes, work.flops, START_NETWORK + seconds, disk=disk, memory=work.memory)


def _of_tasks(job, n, more):
    """The `Job` of n tasks, by that of one of them: they share the start and what is held at once."""
    start = START_NETWORK if job.flops else START
    return job._replace(
        passes=n * job.passes, flops=n * job.flops, start=start + n * (job.start - start), disk=n * job.disk, more=more
    )


def _embeddings(study, sizes, costs, place):
    for slug, cost in costs.items():
        patches = study.config["patch"]["grid"] ** 2 * cost.patch * FLOAT16 if slug in study.grids else 0
        job = partial(_embedding_job, cost=cost, more=patches)
        for dataset, (tasks, support, test) in sizes.items():
            known, seconds = {"dataset": dataset, "backbone": slug}, _reading(study, dataset)
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


def _exposures(study, sizes, costs, place):
    """Passes are at most so many: a training may end before its last epoch. One with a gradient counts as three."""
    for slug, candidate in study.exposed.items():
        cost, exposure, known = costs[study.shared[slug]], candidate["exposure"], study.exposures[slug]
        folds = exposure["folds"]
        judging = [source for source in study.sources if source not in known["not_judged_by"]]
        for dataset, size in sizes.items():
            bank = size.support / max(1, len(size.tasks))
            anomalies = sum(_scored(study, dataset, source, folds) for source in judging if _has(study, size, source))
            outliers = n_anomalies(study, dataset, exposure["source"])
            rows = bank * (1 + folds) + size.test + anomalies  # of a task
            learnt = (
                bank + outliers
            ) * folds  # 1 by the network of all images, (folds - 1) / folds by each of the others
            seconds = _reading(study, dataset)
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


def _scores(study, sizes, costs, place):
    for slug in (*study.deployable, *study.exposed, *study.clip):
        cost = costs[study.shared[slug]]
        for dataset, (tasks, support, test) in sizes.items():
            spec = study.datasets[dataset]
            alone = set(study.others) - set(_others(study, sizes[dataset]))
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


def _elsewhere(study, place):
    for dataset in study.datasets if study.given else ():
        yield Job("to_score", place("to_score", dataset=dataset))
        for slug in study.scoring:
            yield Job("score_by_function", place("called_scores", dataset=dataset, candidate=slug))
        for slug in study.given:
            yield Job("score_given", place("scores", dataset=dataset, candidate=slug))


def _evaluations(study, sizes, place):
    for dataset in study.datasets:  # each test image is read beside its nearest training image
        seconds = 2 * _reading(study, dataset) * sizes[dataset].test if dataset in sizes else 0
        yield Job("leaks", place("leaks", dataset=dataset), start=START + seconds)
    stages = [("evaluate", "auroc"), *([("severity", "severity")] if study.graded else []), ("select", "selection")]
    for stage, table in stages:
        for dataset in study.datasets:
            yield Job(stage, place(table, dataset=dataset))
    for dataset in study.datasets:
        if dataset in sizes and study.has_curve(len(sizes[dataset].tasks)):
            yield Job("support_curve", place("support_curve", dataset=dataset), start=CURVE)
        yield Job("recommendation", place("recommendation", dataset=dataset))


def _tables(study, place):
    """The paper's tables and figures are made by default where one of its data sets is among them."""
    outputs = {"strategies": "strategies", "tables": "table1", "figures": "figures"}
    if study.in_paper:
        outputs |= {"paper_tables": "paper_table", "paper_figures": "paper_figures"}
    if study.exposed:
        outputs |= {"before_after": "before_after"}
    for stage, name in (outputs | {"report": "report"}).items():
        yield Job(stage, place(name, **({"table": "table1"} if name == "paper_table" else {})))
    of_datasets = ["tsne"] if study.in_paper else []
    of_datasets += ["total_variation"] if study.in_paper and "table3" in study.paper_tables else []
    for stage in of_datasets:
        for dataset in study.datasets:
            yield Job(stage, place(stage, dataset=dataset))
    yield Job(ALL, None, start=0)


OF_PAPER = ("paper_tables", "paper_figures", "tsne", "total_variation")
TABLES = ("strategies", "tables", "before_after", "figures", "report", *OF_PAPER, ALL)


def _others(study, size):
    """The sources that take images of other tasks, for a data set that has some."""
    return study.others if len(size.tasks) > 1 else []


def _batches(study, sizes):
    """(data set, tasks) of each job that makes something of several tasks, or of one."""
    return [
        (dataset, tasks)
        for dataset, size in sizes.items()
        for tasks in chunks_of(size.tasks, study.tasks_per_job).values()
    ]


def _outputs(place, name, dataset, tasks, **known):
    """(path of the first task's result, None where it cannot be there yet; paths of the others')."""
    paths = [task and place(name, dataset=dataset, task=task, **known) for task in tasks]
    return paths[0], tuple(path for path in paths[1:] if path)


def _reading(study, dataset):
    return datasets.kind_of(study.datasets[dataset]).reading


def to_do(planned: Iterable[Job], is_done: Callable[[str], bool]) -> list[Job]:
    """The jobs that are left to do; is_done: function of an output's path. The target rule comes with any other."""
    left = [job for job in planned if job.output is None or not all(map(is_done, (job.output, *job.more)))]
    return left if any(job.stage != ALL for job in left) else []


def device_seconds(job: Job, speed: float, device: str, threads: int, workers: int | Literal["auto"] = "auto") -> float:
    """Seconds that a job with a network holds its device: the start, then the network and the reading of images.

    The two go on at the same time where a job that reads leaves threads for it; see `share_threads`, also for `workers`.
    speed: FLOPs per second, on a CPU of all `threads` together; device: cpu or cuda.
    """
    processes, compute = share_threads(threads, workers, device) if job.reading else (0, threads)
    network = job.flops / speed * (threads / compute if device == "cpu" else 1)
    return job.start + (max(network, job.reading / processes) if processes else network + job.reading)


def downloads(study: Study) -> dict[str, int]:
    """{what `snakemake datasets weights` would fetch: bytes}: data sets whose root is empty, and published networks."""
    missing = {spec["kind"] for spec in published(study.config).values() if is_absent(spec) and not spec["archive"]}
    sizes = {kind: sum(file.size for file in publications()[kind].files) for kind in sorted(missing)}
    for name in study.generated:
        network, section = SOURCES[name].network, study.config["sources"][name]
        for path in network.files(section) if network else ():
            if (file := published_at(path)) and not Path(path).exists():
                sizes[section["model"]] = file.size
    return sizes
