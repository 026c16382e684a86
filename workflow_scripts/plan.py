from collections import defaultdict
from pathlib import Path

from swsa_core.anomalies.diffusion import find_model
from swsa_core.config import clip_backbone
from swsa_core.costs import backbone_cost, backbone_speed, diffusion_cost, diffusion_speed
from swsa_core.fetch_dataset import is_absent
from swsa_core.names import unique_slugs
from swsa_core.plan import FLOAT32, downloads, jobs, official_size, scaled, size_on_disk, table, totals
from workflow_scripts._job import job

LIBRARIES = ("torchvision:", "timm:", "open_clip:")
NOTES = """
done: outputs that are there and not counted otherwise; `snakemake -n` says which of them are out of date.
passes: of images through a network. device: their time on one device, without waiting for images.
CPU: of one core, for starting jobs and reading images; scoring, tables, figures and report take minutes more.
disk: images before compression. memory: of the largest job, its arrays and weights; in addition about 1 GB for libraries,
  and a batch of feature maps, which becomes smaller where memory runs out."""


def speeds(config, stages, models, costs, diffusion):
    """({stage: FLOPs a second}, where they are from)."""
    if config["runtime"]["tflops"]:
        given = config["runtime"]["tflops"]
        return defaultdict(lambda: given * 1e12), f"on a device of {given:g} TFLOP/s (runtime.tflops)"
    import torch

    from swsa_core.devices import find_device, find_dtype

    device = find_device(config["runtime"]["device"])
    dtype = find_dtype(config["precision"], device)
    torch.set_num_threads(snakemake.threads)
    name = (
        torch.cuda.get_device_name(device) if device.startswith("cuda") else f"the CPU, {snakemake.threads} thread(s)"
    )
    found, told = {}, []
    if stages.get("diffusion", {}).get("flops"):
        flops = diffusion.encoder + diffusion.decoder
        weights, flags, _ = find_model(config["sources"]["diffusion"])
        found["diffusion"] = diffusion_speed(weights, flags, flops, device, dtype)
        told.append(f"diffusion {scaled(found['diffusion'], 'FLOP/s')}")
    if any(stage["flops"] for name, stage in stages.items() if name.startswith("embed_")):
        dearest = max(models, key=lambda slug: costs[slug].flops)
        speed = backbone_speed(models[dearest], costs[dearest].flops, device, dtype)
        found |= {name: speed for name in stages if name.startswith("embed_")}
        told.append(f"{models[dearest]['name']} {scaled(speed, 'FLOP/s')}")
    return found, f"on {name}, in {str(dtype).removeprefix('torch.')}; measured: {', '.join(told) or 'nothing'}"


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
    planned = jobs(config, sizes, backbones, clip, costs, diffusion)
    stages = totals(planned, lambda output: (Path(config["results"]) / output).exists())
    rates, where = speeds(config, stages, models, costs, diffusion)
    hours = {name: stage["flops"] / rates[name] / 3600 for name, stage in stages.items() if stage["flops"]}

    n_tasks = sum(len(size.tasks) for size in sizes.values())
    print(f"\n{config['results']}: {n_tasks:,} tasks, {len(backbones)} candidates, {len(clip)} CLIP model")
    for name, size in sizes.items():
        tasks, origin = len(size.tasks), "published numbers, not on disk" if absent[name] else "counted on disk"
        print(f"  {name}: {tasks} tasks, {size.support:,} normal training and {size.test:,} test images ({origin})")
    print(f"Time {where}.\n")
    print(*table(stages, hours), sep="\n")
    print(NOTES)
    if to_fetch := downloads(config):
        listed = ", ".join(f"{name} {scaled(size, 'B')}" for name, size in to_fetch.items())
        print(f"downloads: {listed} (`snakemake datasets weights`)")
    fetched = [slug for slug, model in models.items() if model["model"].startswith(LIBRARIES) and not model["weights"]]
    if fetched:
        size = scaled(sum(costs[slug].parameters for slug in fetched) * FLOAT32, "B")
        print(f"weights of backbones, which their libraries fetch once: {size}")
