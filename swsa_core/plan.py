"""What a study costs before it runs: the jobs of each stage, their network passes, disk and memory."""

import math
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from swsa_core import datasets
from swsa_core.anomalies.diffusion import find_model
from swsa_core.config import POOLS
from swsa_core.datasets import official
from swsa_core.downloads import PUBLISHED
from swsa_core.fetch_dataset import is_absent, published
from swsa_core.names import unique_slugs
from swsa_core.score_knn import MOST_PARENTS

FLOAT32, FLOAT64 = 4, 8  # bytes
PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z")
# Published, {kind: (tasks, normal training images, test images)}: for data sets that are not on disk yet.
OFFICIAL = {
    "cub": (200, 5994, 5794),
    "flowers": (102, 1020, 6149),
    "mvtec_ad": (15, 3629, 1725),
    "visa": (12, 8659, 2162),
}
FLOWERS_VAL = 1020  # images of the official validation split
ORIGINAL_SIDE = 500  # pixels, of the longer side of most images of CUB and Flowers
# Seconds of one core for reading and resizing an image, by kind of data set: 500 x 375 JPEG, 1024 x 1024 PNG, 1500 x 1000
# JPEG. START: of a job's interpreter, with a network and without.
READING, READING_OTHERS = {"cub": 0.007, "flowers": 0.007, "mvtec_ad": 0.09, "visa": 0.07, "digits": 0}, 0.02
READING_GENERATED = 0.003
START_NETWORK, START = 8, 0.5


class Size(NamedTuple):
    """A data set's tasks, slugs in paths or None where it is not on disk, and its normal training and test images."""

    tasks: list
    support: int
    test: int


class Job(NamedTuple):
    """One job: its output below the results (None: cannot be there yet), images that go through a network, and costs.

    passes: of whole networks; flops: of all of them; cpu: seconds of one core for starting and reading images;
    disk, memory: bytes of the arrays written, and of those held at once with the network's weights.
    """

    stage: str
    output: str | None
    passes: float = 0
    flops: int = 0
    cpu: float = START
    disk: int = 0
    memory: int = 0


def size_on_disk(spec, seed=0, dataset=""):
    """`Size` of a data set, counted."""
    split = datasets.index(spec, seed, dataset)["split"]
    return Size(list(unique_slugs(datasets.tasks(spec))), int((split == "train").sum()), int((split == "test").sum()))


def official_size(spec):
    """`Size` of an official data set that is not on disk; with some of its tasks in proportion, so not exact."""
    n_tasks, support, test = OFFICIAL[spec["kind"]]
    if spec["kind"] == "flowers" and spec["real_split"] == "val":
        test = FLOWERS_VAL
    chosen = n_tasks if spec["tasks"] == "all" else len(set(spec["tasks"]))
    if datasets.KINDS[spec["kind"]].ANOMALIES == "defects":
        test = round(test * chosen / n_tasks)
    return Size([None] * chosen, round(support * chosen / n_tasks), test)


def n_anomalies(spec):
    """Synthetic anomalies of a task and source."""
    return (spec["support"]["seeds"] // 2) ** 2


def diffusion_passes(source, seeds):
    """(encoder, decoder) passes, in images, of one task's anomalies; see docs/diffusion.md.

    The encoder runs once a step, the decoder twice where the content enters. A style's first step is shared by its pairs,
    and a last step that is edited needs one decoder pass.
    """
    from swsa_core.diffusion import timesteps

    steps, styles = source["steps"], seeds // 2
    pairs = styles**2
    edited = sum(t >= source["t_edit"] for t in timesteps(steps)) - 1  # the first step always is, and is shared
    inversion = seeds * (steps - 1)
    reconstruction = styles * steps if source["content_h"] == "reconstruction" else 0
    encoder = inversion + reconstruction + styles + pairs * (steps - 1)
    decoder = inversion + reconstruction + styles + pairs * (steps + edited)
    return encoder, decoder - pairs if source["t_edit"] == 0 else decoder


def jobs(config, sizes, backbones, clip, costs, diffusion=None):
    """All `Job`s from the index to the selection, in the order of the stages.

    sizes: {data set: Size}; backbones: slugs of the kNN candidates; clip: slugs of CLIP models; costs: {slug: Cost};
    diffusion: DiffusionCost where there is that source.
    """
    sources, specs = config["sources"], config["datasets"]
    pools = [source for source in sources if source in POOLS]
    generated = [source for source in sources if source not in POOLS]
    side = ORIGINAL_SIDE if config["preparation"] == "original" else config["preparation"]["size"]

    reading = {dataset: READING.get(spec["kind"], READING_OTHERS) for dataset, spec in specs.items()}

    def embedding(stage, output, n, slug, seconds):
        cost = costs[slug]
        return Job(
            stage,
            output,
            passes=n if cost.flops else 0,
            flops=n * cost.flops,
            cpu=(START_NETWORK if cost.flops else START) + n * seconds,
            disk=n * cost.features * FLOAT32,
            memory=cost.parameters * FLOAT32,
        )

    for dataset in specs:
        yield Job("index_images", f"{dataset}/images.csv")
    for dataset, task in _tasks(sizes):
        cpu = START + reading[dataset] * sizes[dataset].support / len(sizes[dataset].tasks)
        yield Job("split_support", task and f"{dataset}/support/{task}.json", cpu=cpu)
    for source in generated:
        for dataset, task in _tasks(sizes):
            pixels = n_anomalies(specs[dataset]) * 3 * side**2
            output = task and f"{dataset}/anomalies/{source}/{task}.h5"
            if source == "diffusion":
                yield _diffusion_job(output, sources[source], specs[dataset]["support"]["seeds"], diffusion, pixels)
            else:
                yield Job(source, output, disk=pixels, memory=pixels)
    for pool in pools:
        yield Job("index_pool", f"pools/{pool}/images.csv")
        for dataset in specs:
            yield Job(f"sample_{pool}", f"{dataset}/anomalies/{pool}.csv")
    for slug in (*backbones, *clip):
        for dataset, (tasks, support, test) in sizes.items():
            folder = f"{dataset}/embeddings/{slug}"
            yield embedding("embed_images", f"{folder}/images.h5", support + test, slug, reading[dataset])
            yield embedding("embed_support", f"{folder}/support.h5", support, slug, reading[dataset])
            for source in generated:
                n = len(tasks) * n_anomalies(specs[dataset])
                yield embedding("embed_anomalies", f"{folder}/anomalies/{source}.h5", n, slug, READING_GENERATED)
        for pool in pools:
            yield embedding("embed_pool", f"pools/{pool}/{slug}.h5", sources[pool]["pool"], slug, READING_GENERATED)
    for slug in (*backbones, *clip):
        for dataset, (tasks, support, test) in sizes.items():
            anomalies = len(tasks) * n_anomalies(specs[dataset]) * len(sources)
            rows = support * 2 + test + anomalies
            of_test, of_task = test * len(tasks) * FLOAT64, (support + anomalies) * FLOAT64
            if slug in clip:
                disk = (of_test + of_task) * (len(specs[dataset]["templates"]) + 1)  # and the ensemble
            else:
                disk = of_test + of_task * 2 * (config["knn"]["k"] + MOST_PARENTS)
            stage = "score_clip" if slug in clip else "score_knn"
            memory = rows * costs[slug].features * FLOAT32 + disk
            yield Job(stage, f"{dataset}/scores/{slug}.h5", disk=disk, memory=memory)
    for dataset in specs:
        yield Job("evaluate", f"{dataset}/auroc.csv")
    for dataset in specs:
        yield Job("select", f"{dataset}/selection.csv")


def _tasks(sizes):
    return [(dataset, task) for dataset, size in sizes.items() for task in size.tasks]


def _diffusion_job(output, source, seeds, cost, pixels):
    encoder, decoder = diffusion_passes(source, seeds)
    flops = encoder * cost.encoder + decoder * cost.decoder
    memory = cost.parameters * FLOAT32 + seeds * source["steps"] * cost.h * FLOAT32
    passes = flops / (cost.encoder + cost.decoder)
    return Job("diffusion", output, passes, flops, START_NETWORK, disk=pixels, memory=memory)


SUMS = ("passes", "flops", "cpu", "disk")


def totals(planned, is_done):
    """{stage: {"jobs", "done", and of those to do the sums of SUMS and the "memory" of the largest}}.

    is_done: function of a job's output to whether it is there already.
    """
    found = defaultdict(lambda: dict.fromkeys(("jobs", "done", *SUMS, "memory"), 0))
    for job in planned:
        stage = found[job.stage]
        if job.output is not None and is_done(job.output):
            stage["done"] += 1
            continue
        stage["jobs"] += 1
        for key in SUMS:
            stage[key] += getattr(job, key)
        stage["memory"] = max(stage["memory"], job.memory)
    return dict(found)


def table(stages, hours):
    """Lines of text: a row a stage and their total. hours: {stage: hours of one device}."""
    total = {key: sum(stage[key] for stage in stages.values()) for key in ("jobs", "done", *SUMS)}
    total["memory"] = max((stage["memory"] for stage in stages.values()), default=0)
    rows = [["stage", "jobs", "done", "passes", "FLOP", "device", "CPU", "disk", "memory"]]
    for name, stage in (*stages.items(), ("total", total)):
        spent = sum(hours.values()) if name == "total" else hours.get(name, 0)
        counts = [f"{stage[key]:,.0f}" if stage[key] else "" for key in ("jobs", "done", "passes")]
        times = [duration(3600 * spent), duration(stage["cpu"])]
        rows.append(
            [name, *counts, scaled(stage["flops"]), *times, *(scaled(stage[key], "B") for key in ("disk", "memory"))]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([name.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))])
        for name, *cells in rows
    ]
    rule = "-" * len(lines[0])
    return [lines[0], rule, *lines[1:-1], rule, lines[-1]]


def scaled(value, unit=""):
    """A number with two or three digits and the prefix of its thousands; "" for nothing.

    >>> scaled(5.44e18), scaled(2_470_000_000, "B"), scaled(0)
    ('5.4 E', '2.5 GB', '')
    """
    if not value:
        return ""
    prefix = min(int(math.log10(max(value, 1)) // 3), len(PREFIXES) - 1)
    number = value / 1000**prefix
    return f"{number:.{int(number < 10)}f} {PREFIXES[prefix]}{unit}".strip()


def duration(seconds):
    """A time in the unit that suits it; "" for nothing.

    >>> duration(27_200), duration(90), duration(5)
    ('7.6 h', '1.5 min', '5 s')
    """
    if seconds < 1:
        return "< 1 s" if seconds else ""
    size, unit = next(
        (size, unit) for size, unit in ((3600, "h"), (60, "min"), (1, "s")) if seconds >= size or size == 1
    )
    number = seconds / size
    return f"{number:,.{int(number < 10 and size > 1)}f} {unit}"


def downloads(config):
    """{what `snakemake datasets weights` would fetch: bytes}: data sets whose root is empty, and the diffusion model."""
    missing = {spec["kind"] for spec in published(config).values() if is_absent(spec) and not spec["archive"]}
    sizes = {kind: sum(file.size for file in official.OFFICIAL[kind].files) for kind in sorted(missing)}
    source = config["sources"].get("diffusion")
    if source and source["model"] in PUBLISHED and not Path(find_model(source)[0]).exists():
        sizes[source["model"]] = PUBLISHED[source["model"]].size
    return sizes
