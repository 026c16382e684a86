"""Where every result lies below `results`, once: rules, plan and readers take their paths from here."""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import PurePath

PATHS = {
    # data
    "images": "{dataset}/images.csv",
    "support": "{dataset}/support/{task}.json",
    # anomalies
    "anomalies": "{dataset}/anomalies/{source}/{task}.h5",
    "sheet": "{dataset}/anomalies/{source}/{task}.png",
    "reconstructions": "{dataset}/reconstructions/{source}/{task}.h5",
    "reconstruction_sheet": "{dataset}/reconstructions/{source}/{task}.png",
    "pool_images": "pools/{pool}/images.csv",
    "pool_rows": "{dataset}/anomalies/{pool}.csv",
    "nearest_rows": "{dataset}/anomalies/{source}/nearest.csv",
    "other_images": "{dataset}/anomalies/{source}/others.csv",
    # of a source that trains: the unedited ways of its seed images, and its networks with their losses, of a data set or a task
    "ways": "{dataset}/trained/{source}/ways/{task}.h5",
    "trained": "{dataset}/trained/{source}/{text}.safetensors",
    "trained_losses": "{dataset}/trained/{source}/{text}.csv",
    "trained_of_task": "{dataset}/trained/{source}/{task}/{text}.safetensors",
    "trained_of_task_losses": "{dataset}/trained/{source}/{task}/{text}.csv",
    # embeddings
    "image_features": "{dataset}/embeddings/{backbone}/images.h5",
    "support_features": "{dataset}/embeddings/{backbone}/support.h5",
    "anomaly_features": "{dataset}/embeddings/{backbone}/anomalies/{source}.h5",
    "reconstruction_features": "{dataset}/embeddings/{backbone}/reconstructions/{source}.h5",
    "pool_features": "pools/{pool}/{backbone}.h5",
    # of the patches of a grid, for the heads that compare them; they come from the same pass as the features beside them
    "image_patches": "{dataset}/embeddings/{backbone}/{grid}/images.h5",
    "support_patches": "{dataset}/embeddings/{backbone}/{grid}/support.h5",
    "anomaly_patches": "{dataset}/embeddings/{backbone}/{grid}/anomalies/{source}.h5",
    "reconstruction_patches": "{dataset}/embeddings/{backbone}/{grid}/reconstructions/{source}.h5",
    "pool_patches": "pools/{pool}/{backbone}/{grid}.h5",
    # what one image costs a backbone and its heads on this machine
    "costs": "costs/{backbone}.csv",
    # features of the networks of a candidate that is fine-tuned for each task, of the tasks of a job
    "exposed": "{dataset}/exposed/{candidate}/{chunk}.h5",
    # what a detector that runs elsewhere is to score
    "to_score": "{dataset}/to_score/images.csv",
    "to_score_images": "{dataset}/to_score/png",
    "called_scores": "{dataset}/to_score/{candidate}.csv",
    # scores and what is made of them, per data set
    "scores": "{dataset}/scores/{candidate}.h5",
    "leaks": "{dataset}/leaks.csv",
    "auroc": "{dataset}/auroc.csv",
    "confidence": "{dataset}/confidence.csv",
    "candidates": "{dataset}/candidates.csv",
    "quality": "{dataset}/quality.csv",
    "severity": "{dataset}/severity.csv",
    "selection": "{dataset}/selection.csv",
    "tsne": "{dataset}/tsne.csv",
    "total_variation": "{dataset}/total_variation.csv",
    "support_curve": "{dataset}/support_curve.csv",
    # what is recommended, and why: for programs, and for people
    "recommendation": "{dataset}/recommendation.json",
    "recommendation_markdown": "{dataset}/recommendation.md",
    # the detector that is recommended, a folder
    "detector": "{dataset}/detector/detector.json",
    "detector_banks": "{dataset}/detector/banks.safetensors",
    "detector_card": "{dataset}/detector/README.md",
    # and the prompt of CLIP, where there are some to choose from
    "prompt_detector": "{dataset}/prompt_detector/detector.json",
    "prompt_detector_banks": "{dataset}/prompt_detector/banks.safetensors",
    "prompt_detector_card": "{dataset}/prompt_detector/README.md",
    "detector_page": "{dataset}/detector/page.html",
    # the study
    "table1": "tables/table1.csv",
    "picks": "tables/picks.csv",
    "pick_counts": "tables/pick_counts.csv",
    "ranking": "tables/ranking.csv",
    "before_after": "tables/before_after.csv",
    "strategies": "tables/strategies.csv",
    "strategies_markdown": "tables/strategies.md",
    "paper_table": "tables/paper/{table}.csv",
    "paper_typeset": "tables/paper/{table}.{ending}",
    "figures": "figures",
    "paper_figures": "paper_figures",
    "report": "report.html",
    "inspect": "inspect.html",
    "benchmarks": "benchmarks",
}
# Directories below `results` that are no data set.
RESERVED = ("tables", "figures", "paper_figures", "pools", "costs", "benchmarks", "logs")


def at(results: str, name: str, **fields: str) -> str:
    """The path of a result; fields that are not given stay as wildcards.

    >>> at("results", "scores", dataset="birds"), at("results", "report")
    ('results/birds/scores/{candidate}.h5', 'results/report.html')
    """
    path = PATHS[name]
    for field, value in fields.items():
        if f"{{{field}}}" not in path:
            raise KeyError(f"the path of {name!r}, {path}, has no {field!r}")
        path = path.replace(f"{{{field}}}", value)
    return f"{results}/{path}"


def patterns() -> list[str]:
    """Glob patterns below `results` of every result, and of what lies in those that are directories.

    >>> "*/scores/*.h5" in patterns(), "figures/**/*" in patterns()
    (True, True)
    """
    every = [re.sub(r"\{\w+\}", "*", path) for path in PATHS.values()]
    return every + [f"{path}/**/*" for path in every if not PurePath(path).suffix]


def fields_of(name: str, path: str | PurePath) -> dict[str, str]:
    """The fields in the path of a result, whatever lies before them; the inverse of `at`.

    >>> fields_of("scores", "results/birds/scores/hog.h5")
    {'dataset': 'birds', 'candidate': 'hog'}
    """
    found = _pattern(name).search(str(path))
    if found is None:
        raise ValueError(f"{path} is not the path of {name!r}, {PATHS[name]}")
    return found.groupdict()


def first_of(path: str | PurePath, *names: str) -> str:
    """The first of some names of results, of which one is that of a path."""
    return next(name for name in names if _pattern(name).search(str(path)))


def grid_name(side: int) -> str:
    """The field `grid` of a grid of side * side patches."""
    return f"grid_{side}"


def grid_of(path: str | PurePath) -> int:
    """The side of the grid in the path of a file of patches.

    >>> grid_of("results/birds/embeddings/resnet18/grid_14/images.h5")
    14
    """
    return int(re.findall(r"/grid_(\d+)(?=[/.])", str(path))[-1])


def dataset_of(name: str, path: str | PurePath) -> str:
    """The data set in the path of a result."""
    return fields_of(name, path)["dataset"]


def log(results: str, stage: str, *wildcards: str) -> str:
    """Path of the log of a stage's jobs.

    >>> log("results", "tsne", "dataset"), log("results", "report")
    ('results/logs/tsne/{dataset}.log', 'results/logs/report/report.log')
    """
    return f"{results}/logs/{stage}/{_of_job(stage, wildcards)}.log"


def benchmark(results: str, stage: str, *wildcards: str) -> str:
    """Path of the run time and memory of a stage's jobs, as Snakemake measures them."""
    return f"{results}/benchmarks/{stage}/{_of_job(stage, wildcards)}.tsv"


def log_of(benchmark: str | PurePath) -> str:
    """Path of the log of the job that a benchmark is of.

    >>> log_of("results/benchmarks/tsne/birds.tsv")
    'results/logs/tsne/birds.log'
    """
    results, _, job = str(benchmark).rpartition("/benchmarks/")
    return f"{results}/logs/{job.removesuffix('.tsv')}.log"


def nameable(path: str) -> bool:
    """Whether Snakemake takes a path as it is: braces would be a wildcard, angle brackets a path variable."""
    return not set(path) & set("{}<>")


def nameable_ones(paths: Iterable[str]) -> list[str]:
    """The paths that can be inputs of a rule."""
    return [path for path in paths if nameable(path)]


def _of_job(stage: str, wildcards: tuple[str, ...]) -> str:
    return "/".join(f"{{{wildcard}}}" for wildcard in wildcards) or stage


@cache
def _pattern(name: str) -> re.Pattern:
    parts = re.split(r"\{(\w+)\}", PATHS[name])
    return re.compile(
        "(?:^|/)" + "".join(f"(?P<{p}>[^/]+)" if i % 2 else re.escape(p) for i, p in enumerate(parts)) + "$"
    )
