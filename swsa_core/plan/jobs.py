"""What a study costs before it runs: its jobs, their network passes, time, disk and memory."""

from pathlib import Path
from typing import NamedTuple

from swsa_core import datasets
from swsa_core.anomalies.diffusion import find_model
from swsa_core.basics.names import unique_slugs
from swsa_core.config.config import POOLS
from swsa_core.datasets.fetch import is_absent, publications, published
from swsa_core.detectors.scores import MOST_PARENTS
from swsa_core.embedding.embed import share_threads
from swsa_core.files.downloads import PUBLISHED

FLOAT32, FLOAT64 = 4, 8  # bytes
ORIGINAL_SIDE = 500  # pixels, of the longer side of most images of CUB and Flowers
# Seconds of one core, beside `Kind.reading`: for a generated image to be read, for a generated pixel to be made and to be
# compressed, and for a job's interpreter to start, with a network and without.
READING_GENERATED = 0.0035
PASTING, COMPRESSING = 1.7e-8, 8e-8
START_NETWORK, START = 8, 1
ALL = "all"  # the target rule


class Size(NamedTuple):
    """A data set's tasks, slugs in paths or None where it is not on disk, and its normal training and test images."""

    tasks: list
    support: int
    test: int


class Job(NamedTuple):
    """One job: the path of its output (None: cannot be there yet), images that go through a network, and costs.

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


def size_on_disk(spec, seed=0, dataset=""):
    """`Size` of a data set, counted."""
    split = datasets.index(spec, seed, dataset)["split"]
    return Size(list(unique_slugs(datasets.tasks(spec))), int((split == "train").sum()), int((split == "test").sum()))


def official_size(spec):
    """`Size` of an official data set that is not on disk; with some of its tasks in proportion, so not exact."""
    kind = datasets.kind_of(spec)
    n_tasks, support, test = kind.published_size(spec)
    chosen = n_tasks if spec["tasks"] == "all" else len(set(spec["tasks"]))
    if kind.anomalies == "defects":
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
    """All `Job`s that Snakemake runs for the default target, in the order of the stages.

    sizes: {data set: Size}; backbones: slugs of the kNN candidates; clip: slugs of CLIP models; costs: {slug: Cost};
    diffusion: DiffusionCost where there is that source.
    """
    yield from _supports(config, sizes)
    yield from _anomalies(config, sizes, diffusion)
    yield from _embeddings(config, sizes, {slug: costs[slug] for slug in (*backbones, *clip)})
    yield from _scores(config, sizes, clip, {slug: costs[slug] for slug in (*backbones, *clip)})
    yield from _evaluations(config)
    yield from _tables(config)


def _supports(config, sizes):
    for dataset in sizes:
        yield Job("index_images", f"{config['results']}/{dataset}/images.csv")
    for dataset, task in _tasks(sizes):
        size = sizes[dataset]
        output = task and f"{config['results']}/{dataset}/support/{task}.json"
        seconds = _reading(config, dataset) * size.support / len(size.tasks)
        yield Job("split_support", output, start=START + seconds)


def _anomalies(config, sizes, cost):
    results, sources, preparation = config["results"], config["sources"], config["preparation"]
    side = ORIGINAL_SIDE if preparation == "original" else preparation["size"]
    model = sources.get("diffusion", {}).get("model")
    if model in PUBLISHED:
        yield Job("fetch_weights", find_model(sources["diffusion"]).path)
    for source in _generated(config):
        for dataset, task in _tasks(sizes):
            spec = config["datasets"][dataset]
            seeds, pixels = spec["support"]["seeds"], n_anomalies(spec) * side**2
            output = task and f"{results}/{dataset}/anomalies/{source}/{task}.h5"
            seconds = seeds * _reading(config, dataset) + pixels * COMPRESSING
            if source == "diffusion":
                yield _diffusion_job(output, sources[source], seeds, cost, START_NETWORK + seconds, 3 * pixels)
            else:
                seconds += START + pixels * PASTING
                yield Job(source, output, start=seconds, disk=3 * pixels, memory=3 * pixels)
    for pool in _pools(config):
        yield Job("index_pool", f"{results}/pools/{pool}/images.csv")
        for dataset in sizes:
            yield Job(f"sample_{pool}", f"{results}/{dataset}/anomalies/{pool}.csv")


def _diffusion_job(output, source, seeds, cost, start, size):
    encoder, decoder = diffusion_passes(source, seeds)
    flops = encoder * cost.encoder + decoder * cost.decoder
    memory = cost.parameters * FLOAT32 + seeds * source["steps"] * cost.h * FLOAT32
    return Job("diffusion", output, flops / (cost.encoder + cost.decoder), flops, start, disk=size, memory=memory)


def _embeddings(config, sizes, costs):
    results = config["results"]
    for slug, cost in costs.items():
        for dataset, (tasks, support, test) in sizes.items():
            folder, seconds = f"{results}/{dataset}/embeddings/{slug}", _reading(config, dataset)
            yield _embedding_job("embed_images", f"{folder}/images.h5", support + test, cost, seconds)
            yield _embedding_job("embed_support", f"{folder}/support.h5", support, cost, seconds)
            n = len(tasks) * n_anomalies(config["datasets"][dataset])
            for source in _generated(config):
                output = f"{folder}/anomalies/{source}.h5"
                yield _embedding_job("embed_anomalies", output, n, cost, READING_GENERATED)
        for pool in _pools(config):
            n, output = config["sources"][pool]["pool"], f"{results}/pools/{pool}/{slug}.h5"
            yield _embedding_job("embed_pool", output, n, cost, READING_GENERATED)


def _embedding_job(stage, output, n, cost, seconds):
    return Job(
        stage,
        output,
        passes=n if cost.flops else 0,
        flops=n * cost.flops,
        start=START_NETWORK if cost.flops else START,
        reading=n * seconds,
        disk=n * cost.features * FLOAT32,
        memory=cost.parameters * FLOAT32,
    )


def _scores(config, sizes, clip, costs):
    for slug, cost in costs.items():
        for dataset, (tasks, support, test) in sizes.items():
            spec = config["datasets"][dataset]
            anomalies = len(tasks) * n_anomalies(spec) * len(config["sources"])
            rows = support * 2 + test + anomalies
            of_test, of_task = test * len(tasks) * FLOAT64, (support + anomalies) * FLOAT64
            if slug in clip:
                disk = (of_test + of_task) * (len(spec["templates"]) + 1)  # and the ensemble
            else:
                disk = of_test + of_task * 2 * (config["knn"]["k"] + MOST_PARENTS)
            stage, output = "score_clip" if slug in clip else "score_knn", f"{dataset}/scores/{slug}.h5"
            memory = rows * cost.features * FLOAT32 + disk
            yield Job(stage, f"{config['results']}/{output}", disk=disk, memory=memory)


def _evaluations(config):
    for stage, table in (("evaluate", "auroc"), ("select", "selection")):
        for dataset in config["datasets"]:
            yield Job(stage, f"{config['results']}/{dataset}/{table}.csv")


def _tables(config):
    """The paper's tables and figures are made by default where one of its data sets is among them."""
    results = config["results"]
    in_paper = any(datasets.kind_of(spec).in_paper for spec in config["datasets"].values())
    outputs = {"strategies": "tables/strategies.csv", "tables": "tables/table1.csv", "figures": "figures"}
    if in_paper:
        outputs |= {"paper_tables": "tables/paper/table1.csv", "paper_figures": "paper_figures"}
    for stage, output in (outputs | {"report": "report.html"}).items():
        yield Job(stage, f"{results}/{output}")
    of_datasets = ["tsne"] if in_paper else []
    of_datasets += ["total_variation"] if in_paper and "one_vs_closest" in config["evaluation"]["settings"] else []
    for stage in of_datasets:
        for dataset in config["datasets"]:
            yield Job(stage, f"{results}/{dataset}/{stage}.csv")
    yield Job(ALL, None, start=0)


TABLES = ("strategies", "tables", "figures", "paper_tables", "paper_figures", "report", "tsne", "total_variation", ALL)


def _tasks(sizes):
    return [(dataset, task) for dataset, size in sizes.items() for task in size.tasks]


def _pools(config):
    return [source for source in config["sources"] if source in POOLS]


def _generated(config):
    return [source for source in config["sources"] if source not in POOLS]


def _reading(config, dataset):
    return datasets.kind_of(config["datasets"][dataset]).reading


def to_do(planned, is_done):
    """Those of the jobs that are left; is_done: function of an output's path. The target rule comes with any other."""
    left = [job for job in planned if job.output is None or not is_done(job.output)]
    return left if any(job.stage != ALL for job in left) else []


def device_seconds(job, speed, device, threads, workers="auto"):
    """Seconds that a job with a network holds its device: the start, then the network and the reading of images.

    The two go on at the same time where a job that reads leaves threads for it; see `share_threads`, also for `workers`.
    speed: FLOPs a second, on a CPU of all `threads` together; device: cpu or cuda.
    """
    processes, compute = share_threads(threads, workers, device) if job.reading else (0, threads)
    network = job.flops / speed * (threads / compute if device == "cpu" else 1)
    return job.start + (max(network, job.reading / processes) if processes else network + job.reading)


def downloads(config):
    """{what `snakemake datasets weights` would fetch: bytes}: data sets whose root is empty, and the diffusion model."""
    missing = {spec["kind"] for spec in published(config).values() if is_absent(spec) and not spec["archive"]}
    sizes = {kind: sum(file.size for file in publications()[kind].files) for kind in sorted(missing)}
    source = config["sources"].get("diffusion")
    if source and source["model"] in PUBLISHED and not Path(find_model(source).path).exists():
        sizes[source["model"]] = PUBLISHED[source["model"]].size
    return sizes
