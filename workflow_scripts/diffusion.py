import os
from itertools import product
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from swsa_core.anomalies.diffusion import find_model, from_network, halves, to_network
from swsa_core.basics.devices import find_device, find_dtype
from swsa_core.diffusion import load_adm
from swsa_core.diffusion.batches import BatchSize
from swsa_core.diffusion.generate import generate, invert_halves, made_by
from swsa_core.diffusion.hspace import compile_network
from swsa_core.files import store
from swsa_core.files.images import prepared
from swsa_core.files.machine import writing
from swsa_core.report.contact_sheets import cross_sheet
from workflow_scripts._job import job, progress


def tell(what):
    show = progress(what)
    return lambda done, total: show(round(done, 1), total)


with job(snakemake):
    settings, runtime = snakemake.params.settings, snakemake.config["runtime"]
    source, preparation = settings["sources.diffusion"], settings["preparation"]
    support = store.read_json(snakemake.input.support)
    names = {"dataset": support["dataset"], "task": support["task"]}
    style_ids, content_ids = halves(support["seed_ids"], settings["seed"], **names)
    seeds = {image_id: prepared(support["paths"][image_id], preparation) for image_id in style_ids + content_ids}
    torch.set_num_threads(snakemake.threads)
    device = find_device(runtime["device"])
    dtype = find_dtype(settings["precision"], device)
    model = find_model(source)
    made = made_by(source["model"], model.files, dtype) | {"stage_version": settings["version"]}
    pairs = np.array(list(product(style_ids, content_ids)))
    side, n, m, total = preparation["size"], len(style_ids), len(content_ids), len(pairs)
    with store.writer(
        snakemake.output.anomalies,
        total,
        {"images": ((side, side, 3), "uint8")},
        {
            "settings": settings,
            "inputs": {path: Path(path).stat().st_mtime_ns for path in snakemake.input},
            "made": made,
            "device": device.partition(":")[0],
        },
        {"parents": pairs},
        names | {"source": "diffusion"} | made,
        compress=["images"],
    ) as rows:
        if rows.done < total:
            os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(Path("resources/torchinductor").resolve()))
            unet = load_adm(model.path, model.flags, device, dtype)
            unet = compile_network(unet) if runtime["compile"] else unet
            images = torch.from_numpy(to_network(list(seeds.values())))
            size = BatchSize(None if runtime["batch_size"] == "auto" else runtime["batch_size"])
            what = f"diffusion {names['dataset']} {names['task']}"
            style, content = invert_halves(unet, images, n, source, size, tell(f"{what}, inversion"))
            if rows.done:
                print(f"the first {rows.done // m} of {n} styles are not computed again")
            for generated in generate(unet, style, content, source, rows.done // m, size, tell(what)):
                rows.append(images=from_network(generated.cpu()))
                print(f"{rows.done // m} of {n} styles are done", flush=True)
        crossed = rows.read("images").reshape(n, m, side, side, 3)
        sheet = cross_sheet([seeds[i] for i in style_ids], [seeds[i] for i in content_ids], crossed)
        # Before the anomalies are whole: a job killed from here on finds them in its partial file, not removed by Snakemake.
        with writing(snakemake.output.sheet):
            Image.fromarray(sheet).save(snakemake.output.sheet)
