from pathlib import Path

from swsa_core.anomalies.diffusion import find_model
from swsa_core.basics.names import unique_slugs
from swsa_core.candidates.prefetch import of_libraries
from swsa_core.candidates.section import clip_backbone
from swsa_core.datasets.fetch import is_absent
from swsa_core.embedding.embed import share_threads
from swsa_core.plan.costs import backbone_cost, backbone_speed, diffusion_cost, diffusion_speed
from swsa_core.plan.jobs import FLOAT32, device_seconds, downloads, jobs, official_size, size_on_disk, to_do
from swsa_core.plan.table import scaled, table, totals
from workflow_scripts._job import job

NOTES = """
jobs: those to do. done: those whose output is there; `snakemake -n` says which of them are out of date.
passes: of images through a network. device: how long jobs hold one, their start included; {reading}.
CPU: of one core, for starting jobs, reading images and making some; scoring, tables, figures and report take minutes more.
disk: images before compression. memory: of the largest job, its arrays and weights; in addition about 1 GB for libraries,
  and a batch of feature maps, which becomes smaller where memory runs out."""
ON_CPU = """These times are of a CPU. For those of a GPU state what it sustains, e.g. 200 TFLOP/s: add to this command
  --config 'runtime={tflops: 200}'
or to the config `runtime: {tflops: 200}`."""


def speeds(config, left, models, costs, diffusion):
    """({stage: FLOPs a second} of the jobs left that have a network, "cpu" or "cuda", where they are from)."""
    stages = {job.stage for job in left if job.flops}
    if given := config["runtime"]["tflops"]:
        return dict.fromkeys(stages, given * 1e12), "cuda", f"on a device of {given:g} TFLOP/s (runtime.tflops)"
    import torch

    from swsa_core.basics.devices import find_device, find_dtype

    device = find_device(config["runtime"]["device"])
    dtype = find_dtype(config["precision"], device)
    torch.set_num_threads(snakemake.threads)
    name = (
        torch.cuda.get_device_name(device) if device.startswith("cuda") else f"the CPU, {snakemake.threads} thread(s)"
    )
    found, told = {}, []
    if "diffusion" in stages:
        flops = diffusion.encoder + diffusion.decoder
        model = find_model(config["sources"]["diffusion"])
        found["diffusion"] = diffusion_speed(model.path, model.flags, flops, device, dtype)
        told.append(f"diffusion {scaled(found['diffusion'], 'FLOP/s')}")
    if embedding := stages - {"diffusion"}:
        dearest = max(models, key=lambda slug: costs[slug].flops)
        speed = backbone_speed(models[dearest], costs[dearest].flops, device, dtype)
        found |= dict.fromkeys(embedding, speed)
        told.append(f"{models[dearest]['name']} {scaled(speed, 'FLOP/s')}")
    where = f"on {name}, in {str(dtype).removeprefix('torch.')}; measured: {', '.join(told) or 'nothing'}"
    return found, device.split(":")[0], where


def reading_note(processes):
    """How reading images adds to the time of a network; processes: their number beside it."""
    if not processes:
        return "with one thread\n  the network waits while images are read (runtime.threads)"
    return (
        f"the network's\n  time or, where it is longer, that of the processes which read images, {processes} a job "
        "(runtime.threads, runtime.workers)"
    )


with job(snakemake):
    config = snakemake.config
    absent = {name: is_absent(spec) for name, spec in config["datasets"].items()}
    sizes = {
        name: official_size(spec) if absent[name] else size_on_disk(spec, config["seed"], name)
        for name, spec in config["datasets"].items()
    }
    clip_models = [clip_backbone(config["clip"])] if config["clip"] else []
    by_name = {model["name"]: model for model in config["candidates"] + clip_models}
    models = {slug: by_name[name] for slug, name in unique_slugs(by_name).items()}
    clip = [slug for slug, model in models.items() if model in clip_models]
    backbones = [slug for slug in models if slug not in clip]
    costs = {slug: backbone_cost(model) for slug, model in models.items()}
    source = config["sources"].get("diffusion")
    diffusion = diffusion_cost(*find_model(source)[:2]) if source else None
    planned = list(jobs(config, sizes, backbones, clip, costs, diffusion))
    left = to_do(planned, lambda output: Path(output).exists())
    rates, device, where = speeds(config, left, models, costs, diffusion)
    # A CPU's speed is that of this job's threads; a GPU's jobs will have those of the config.
    threads = snakemake.threads if device == "cpu" else config["runtime"]["threads"]
    sharing = device, threads, config["runtime"]["workers"]
    rows = totals(planned, left, lambda job: device_seconds(job, rates[job.stage], *sharing))

    n_tasks = sum(len(size.tasks) for size in sizes.values())
    print(f"\n{config['results']}: {n_tasks:,} tasks, {len(backbones)} candidates, {len(clip)} CLIP model")
    for name, size in sizes.items():
        tasks, origin = len(size.tasks), "published numbers, not on disk" if absent[name] else "counted on disk"
        print(f"  {name}: {tasks} tasks, {size.support:,} normal training and {size.test:,} test images ({origin})")
    print(f"Time {where}.\n")
    print(*table(rows), sep="\n")
    print(NOTES.format(reading=reading_note(share_threads(threads, config["runtime"]["workers"], device)[0])))
    if device == "cpu":
        print(ON_CPU)
    if to_fetch := downloads(config):
        listed = ", ".join(f"{name} {scaled(size, 'B')}" for name, size in to_fetch.items())
        print(f"downloads: {listed} (`snakemake datasets weights`)")
    if fetched := of_libraries(models.values()):
        slugs = [slug for slug, model in models.items() if model in fetched]
        size = scaled(sum(costs[slug].parameters for slug in slugs) * FLOAT32, "B")
        print(f"weights of backbones, which their libraries fetch once: {size} (`snakemake weights`)")
