from workflow_scripts.job import job, progress, source_section

import json
import time
from pathlib import Path

import torch

from swsa_core.anomalies.diffusion_model import find_model, load_network, precision_of
from swsa_core.anomalies.source import LOSSES, Task
from swsa_core.anomalies.text_guided import KEY, of_epochs, read_way, to_train_on
from swsa_core.basics.devices import find_device, find_dtype
from swsa_core.basics.errors import InputError
from swsa_core.basics.seeding import rng
from swsa_core.candidates.clip import embed_texts, image_encoder, load_clip
from swsa_core.diffusion.delta_h import delta_h_for, keep, resume, write_delta_h
from swsa_core.diffusion.text_direction import Target, fit
from swsa_core.files.text import beside

EVERY = 30  # seconds at most between two states on disk that a killed job goes on from

with job(snakemake) as mine:
    settings, section, given = mine.settings, source_section(mine.settings), snakemake.input
    text, seed = settings["text"], settings["seed"]
    # of what is trained: the data set, the task where each has its own, and the text
    names = [snakemake.wildcards.dataset, *(snakemake.wildcards[1:2] if len(snakemake.wildcards) > 2 else []), text]
    told = f"{KEY}, {', '.join(names[:-1])}, text {text!r}"
    device = find_device(mine.runtime["device"])
    dtype = find_dtype(precision_of(section, settings["precision"]), device)
    task = Task(names[0], names[-2], {}, {}, seed, runtime=mine.runtime, threads=snakemake.threads)
    unet, _ = load_network(task, find_model(section, KEY), device, dtype)
    delta_h = delta_h_for(unet, int(rng(seed, *names, "weights").integers(2**31)))
    clip = load_clip(settings["guide"])
    towards = torch.nn.functional.normalize(torch.from_numpy(embed_texts(clip, [text])[0]), dim=0).to(device)
    target = Target(image_encoder(clip, device), towards, section["l1_weight"], section["steps"], section["t_edit"])
    optimizer = torch.optim.SGD(delta_h.parameters(), section["learning_rate"])

    images = to_train_on(given.ways, section, seed)
    orders = [rng(seed, *names, f"epoch {epoch}").permutation(len(images)) for epoch in range(section["epochs"])]
    inputs = {path: Path(path).stat().st_mtime_ns for path in given}
    identity = json.dumps([mine.recorded, inputs, str(dtype), device.partition(":")[0]], sort_keys=True, default=str)
    partial = beside(Path(snakemake.output.network), ".partial")
    losses = resume(partial, delta_h, identity)
    show, saved = progress(" ".join([mine.stage, *names])), time.monotonic()
    try:
        for seen in fit(unet, delta_h, optimizer, lambda i: read_way(*images[i], device), orders, target, losses):
            losses = seen
            whole = len(losses) % len(images) == 0
            if whole or time.monotonic() - saved > EVERY:
                keep(partial, delta_h, identity, losses)
                saved = time.monotonic()
            if whole:
                epoch, mean = len(losses) // len(images), sum(losses[-len(images) :]) / len(images)
                print(f"{told}: epoch {epoch} of {len(orders)}, loss {mean:.3f}")
            show(len(losses), len(images) * len(orders))
        table = of_epochs(losses, len(images))
    except FloatingPointError as error:
        kept = f". The last good state is in {partial}" if partial.exists() else ""
        raise InputError(f"{told}: {error} after {len(losses)} images; lower {KEY}.learning_rate{kept}") from None
    except InputError as error:
        raise InputError(f"{told}: {error}. What was trained is in {partial}") from None
    LOSSES.write(snakemake.output.losses, table)
    write_delta_h(
        snakemake.output.network,
        delta_h,
        {"text": text, "dataset": names[0], "settings": dict(section), "stage_version": mine.recorded["version"]},
    )
    partial.unlink()
