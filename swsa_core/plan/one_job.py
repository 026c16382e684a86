"""One job of a study: what it costs, for one task or several, whether it is left to do, and how long it holds its device."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from swsa_core import datasets
from swsa_core.anomalies.source import Work
from swsa_core.config.study import Study, chunks_of
from swsa_core.embedding.embed import share_threads
from swsa_core.plan.sizes import Size

FLOAT16, FLOAT32, FLOAT64 = 2, 4, 8  # bytes
START_NETWORK, START = 8, 1  # seconds of one core until a job's interpreter has started, with a network and without
READING_GENERATED = 0.0035  # seconds of one core for a generated image to be read; `Kind.reading` for others
ALL = "all"  # the target rule
Place = Callable[..., str]
"""Function of a result's name and its fields to its path."""


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


def network_job(stage: str, output: str | None, work: Work, seconds: float, disk: int) -> Job:
    """The `Job` of a source's network; seconds: of one core, beside it."""
    return Job(stage, output, work.passes, work.flops, START_NETWORK + seconds, disk=disk, memory=work.memory)


def batches(study: Study, sizes: Mapping[str, Size]) -> list[tuple[str, list[Any]]]:
    """(data set, tasks) of each job that makes something of several tasks, or of one."""
    return [
        (dataset, tasks)
        for dataset, size in sizes.items()
        for tasks in chunks_of(size.tasks, study.tasks_per_job).values()
    ]


def outputs(
    place: Place, name: str, dataset: str, tasks: Sequence[str | None], **known: str
) -> tuple[str | None, tuple[str, ...]]:
    """(path of the first task's result, None where it cannot be there yet; paths of the others')."""
    paths = [task and place(name, dataset=dataset, task=task, **known) for task in tasks]
    return paths[0], tuple(path for path in paths[1:] if path)


def of_tasks(job: Job, n: int, more: tuple[str, ...]) -> Job:
    """The `Job` of n tasks, by that of one of them: they share the start and what is held at once."""
    start = START_NETWORK if job.flops else START
    return job._replace(
        passes=n * job.passes, flops=n * job.flops, start=start + n * (job.start - start), disk=n * job.disk, more=more
    )


def seconds_to_read(study: Study, dataset: str) -> float:
    """Seconds of one core for an image of a data set to be read."""
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
