from workflow_scripts.job import job

from collections.abc import Iterable, Mapping
from pathlib import Path

from swsa_core.anomalies import SOURCES
from swsa_core.anomalies.source import Work, inverting, reconstructing, training
from swsa_core.basics.wording import by_reason, plural, with_prefix
from swsa_core.candidates.prefetch import of_libraries
from swsa_core.config.study import Study, study
from swsa_core.embedding.embed import share_threads
from swsa_core.plan.costs import Cost, backbone_cost, backbone_speed
from swsa_core.plan.downloads import downloads
from swsa_core.plan.jobs import jobs
from swsa_core.plan.one_job import FLOAT32, Job, device_seconds, to_do
from swsa_core.plan.sizes import Size, official_size, size_on_disk, trained_on
from swsa_core.plan.table import table, totals

NOTES = """
jobs: those to do. done: those whose output is there; `snakemake -n` says which of them are out of date.
passes: of images through a network. device: how long jobs hold one, their start included; {reading}.
CPU: of one core, for starting jobs, reading images and making some; scoring, tables, figures and report take minutes more.
disk: images before compression. memory: of the largest job, its arrays and weights; in addition about 1 GB for libraries,
  and a batch of feature maps, which becomes smaller where memory runs out."""
ON_CPU = """These times are of a CPU. For those of a GPU state what it sustains, e.g. 200 TFLOP/s: add to this command
  --config 'runtime={tflops: 200}'
or to the config `runtime: {tflops: 200}`."""


def speeds(planned: Study, left: Iterable[Job], costs: Mapping[str, Cost]) -> tuple[dict[str, float], str, str]:
    """({stage: FLOPs per second} of the jobs left that have a network, "cpu" or "cuda", where they are from)."""
    config = planned.config
    stages = {job.stage for job in left if job.flops}
    if given := config["runtime"]["tflops"]:
        return dict.fromkeys(stages, given * 1e12), "cuda", f"on a device of {given:g} TFLOP/s (runtime.tflops)"
    import torch

    from swsa_core.basics.devices import find_device, find_dtype

    device = find_device(config["runtime"]["device"])
    dtype = find_dtype(config["precision"], device)
    torch.set_num_threads(snakemake.threads)
    name = (
        torch.cuda.get_device_name(device)
        if device.startswith("cuda")
        else f"the CPU, {plural(snakemake.threads, 'thread')}"
    )
    found, told = {}, []
    for source in [name for name in planned.generated if stages & stages_of(name)]:
        speed = SOURCES[source].network.speed(config["sources"][source], device, dtype)
        found |= dict.fromkeys(stages_of(source), speed)
        told.append(f"{source} {with_prefix(speed, 'FLOP/s')}")
    if embedding := stages - set(found):
        dearest = max(costs, key=lambda slug: costs[slug].flops)
        speed = backbone_speed(planned.backbones[dearest], costs[dearest].flops, device, dtype)
        found |= dict.fromkeys(embedding, speed)
        told.append(f"{planned.backbones[dearest]['name']} {with_prefix(speed, 'FLOP/s')}")
    where = f"on {name}, in {str(dtype).removeprefix('torch.')}; measured: {', '.join(told) or 'nothing'}"
    return found, device.split(":")[0], where


def stages_of(source: str) -> set[str]:
    """The stages that run the network of a source."""
    return {source, reconstructing(source), inverting(source), training(source)}


def reading_note(processes: int) -> str:
    """How reading images adds to the time of a network; processes: their number beside it."""
    if not processes:
        return "with one thread\n  the network waits while images are read (runtime.threads)"
    return (
        f"the network's\n  time or, where it is longer, that of the processes which read images, {processes} per job "
        "(runtime.threads, runtime.workers)"
    )


def work_of_networks(planned: Study, sizes: Mapping[str, Size]) -> dict[tuple[str, int], Work]:
    """{(stage, seeds): Work} of one task: of each source with a network and its reconstructions, by number of seed images; and
    of training, by number of images."""
    works = {name: (name, SOURCES[name].network.work) for name in planned.generated if SOURCES[name].network}
    works |= {reconstructing(name): (name, SOURCES[name].reconstruct.work) for name in planned.reconstructed}
    works |= {inverting(name): (name, one.inversion) for name, one in planned.trained.items()}
    found = {
        (stage, seeds): work(planned.config["sources"][name], seeds)
        for stage, (name, work) in works.items()
        for seeds in {spec["support"]["seeds"] for spec in planned.datasets.values()}
    }
    for name, one in planned.trained.items():
        for dataset, size in sizes.items():
            images = trained_on(planned, dataset, len(size.tasks), name)
            found[training(name), images] = one.work(planned.config["sources"][name], images)
    return found


with job(snakemake) as mine:
    planned = study(snakemake.params.config)
    runtime = planned.config["runtime"]
    absent = {name: name not in planned.present for name in planned.datasets}
    sizes = {
        name: official_size(spec) if absent[name] else size_on_disk(spec, planned.config["seed"], name)
        for name, spec in planned.datasets.items()
    }
    costs = {slug: backbone_cost(model, slug in planned.grids) for slug, model in planned.backbones.items()}
    every = list(jobs(planned, sizes, costs, work_of_networks(planned, sizes)))
    left = to_do(every, lambda output: Path(output).exists())
    rates, device, where = speeds(planned, left, costs)
    # A CPU's speed is that of this job's threads; a GPU's jobs will have those of the config.
    threads = snakemake.threads if device == "cpu" else runtime["threads"]
    sharing = device, threads, runtime["workers"]
    rows = totals(every, left, lambda job: device_seconds(job, rates[job.stage], *sharing))

    n_tasks = sum(len(size.tasks) for size in sizes.values())
    print(
        f"\n{planned.results}: {plural(n_tasks, 'task')}, {plural(len(planned.candidates), 'candidate')}, "
        f"{plural(len(planned.clip), 'CLIP model')}"
    )
    for name, size in sizes.items():
        tasks = plural(len(size.tasks), "task")
        origin = "published numbers, not on disk" if absent[name] else "counted on disk"
        print(f"  {name}: {tasks}, {size.support:,} normal training and {size.test:,} test images ({origin})")
    for why, names in by_reason(mine.settings["left_out"]).items():
        print(f"  without {', '.join(names)}: {why}")
    print(f"Time {where}.\n")
    print(*table(rows), sep="\n")
    print(NOTES.format(reading=reading_note(share_threads(threads, runtime["workers"], device)[0])))
    if device == "cpu":
        print(ON_CPU)
    if to_fetch := downloads(planned):
        listed = ", ".join(f"{name} {with_prefix(size, 'B')}" for name, size in to_fetch.items())
        print(f"downloads: {listed} (`snakemake datasets weights`)")
    if fetched := of_libraries([*planned.backbones.values(), *planned.guides.values()]):
        size = with_prefix(
            sum(costs[slug].parameters for slug, one in planned.backbones.items() if one in fetched) * FLOAT32, "B"
        )
        print(f"weights of backbones, which their libraries fetch once: {size} (`snakemake weights`)")
