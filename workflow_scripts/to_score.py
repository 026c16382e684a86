from workflow_scripts.job import job

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from swsa_core.basics.names import slug, unique_slugs
from swsa_core.datasets import INDEX
from swsa_core.detectors.scores import banks_of, check_listed
from swsa_core.elsewhere.manifest import MANIFEST, NORMAL, ORIGINAL, TEST, requests
from swsa_core.files import store
from swsa_core.files.images import prepared, read_image
from swsa_core.files.support import read_task_supports
from swsa_core.files.text import replacing
from workflow_scripts._expose import read_anomalies


def written(name: str, image: np.ndarray) -> tuple[str, str]:
    """(Name of an image, with a digest of its pixels, path of its file)."""
    name = f"{name}-{sha256(image.tobytes()).hexdigest()[:8]}"
    path = folder / f"{name}.png"
    if not path.exists():
        with replacing(path, checksum=False) as finished:
            Image.fromarray(image).save(finished, "PNG")
    return name, path.as_posix()


def as_it_is(name: str, path: str) -> tuple[str, str]:
    """As `written`, of an image that is a file; one that no other program reads as we do is written."""
    return (
        (f"{name}-{sha256(path.encode()).hexdigest()[:8]}", path)
        if Path(path).is_file()
        else written(name, read_image(path))
    )


def reader_of(support):
    """Function of a part and a row to the name and path of the image, of one task."""
    task, bank = support["task"], banks[support["task"]]
    paths = [support["paths"][image_id] for image_id in bank]
    rows = {source: one.of_task(task, bank)[0] for source, one in anomalies.items()}
    known = {}

    def read(part, row):
        name = f"{slugs[task]}/{slug(part)}/{row:05d}"
        if part == TEST:
            return as_it_is(f"test/{row:05d}", tests[row])
        if part == ORIGINAL:
            return as_it_is(name, paths[row])
        if part == NORMAL:
            return written(name, prepared(paths[row], settings["preparation"]))
        return written(name, anomalies[part].read(int(rows[part][row])))

    def once(part, row):
        if (part, row) not in known:
            known[part, row] = read(part, row)
        return known[part, row]

    return once


with job(snakemake) as mine:
    given, settings, dataset = snakemake.input, mine.settings, snakemake.wildcards.dataset
    folder = Path(snakemake.output.images)
    supports = read_task_supports(mine.of_every_task(given.supports))
    banks = banks_of(supports)
    slugs = {task: name for name, task in unique_slugs(banks).items()}
    anomalies = read_anomalies(given, supports, settings["preparation"])
    index = INDEX.read(given.images)
    embedded, known = store.read(given.image_features, ["image_id"])
    check_listed(index, embedded["image_id"], known["skipped"], (given.images, given.image_features))
    tests = index.path[(index.split == "test") & index.image_id.isin(embedded["image_id"])].tolist()
    table = []
    for support in supports:
        task, bank = support["task"], banks[support["task"]]
        look = reader_of(support)
        parents = {source: one.of_task(task, bank)[1] for source, one in anomalies.items()}
        for one in requests(len(bank), len(tests), parents):
            table.append((dataset, task, one.fold, one.role, *look(one.part, one.row)))
        print(f"{task}: {len({image for *_, image, _ in table}):,} images so far")
    MANIFEST.write(snakemake.output.manifest, pd.DataFrame(table, columns=MANIFEST.columns))
