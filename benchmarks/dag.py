"""How long Snakemake takes to plan the paper's study: dry runs of config/paper.yaml on stub trees of all data sets.

The trees have the official numbers of classes and images in the official layouts; the images are empty files, since a dry
run opens none. Prints seconds, jobs and peak memory for the 329 tasks, and for ten times as many: ten data sets of each kind.

    python benchmarks/dag.py [--runs 3] [--keep directory] [--factors 10 100] [--tasks-per-job 20 100]
"""

import argparse
import copy
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import layouts  # noqa: E402

from swsa_core.datasets.mvtec_ad import CATEGORIES  # noqa: E402

VISA = (
    *("candle", "capsules", "cashew", "chewinggum", "fryum", "macaroni1", "macaroni2", "pcb1", "pcb2", "pcb3", "pcb4"),
    "pipe_fryum",
)
MADE = set()  # directories


def stub_trees(root, factor=1):
    """All data sets of config/paper.yaml below `root`, with about the official numbers of images, which are empty files.

    factor: how many times as many tasks, each with as many images.
    """
    n_birds = 200 * factor + 102 * (factor - 1)
    birds = ["001.Black_footed_Albatross", *(f"{number:03d}.Bird_{number}" for number in range(2, n_birds + 1))]
    layouts.cub(root / "CUB_200_2011", birds, train=30, test=29, make=empty)
    layouts.flowers(root / "flowers102", range(1, 103), train=10, val=10, test=60, make=empty)
    defects = {f"defect_{number}": 17 for number in range(5)}
    products, parts = (
        [name + (f"_{number}" if number else "") for number in range(factor) for name in names]
        for names in (CATEGORIES, VISA)
    )
    layouts.mvtec_ad(root / "mvtec_ad", products, train=240, good=30, defects=defects, make=empty)
    layouts.visa(root / "visa", {name: ["bent"] * 100 for name in parts}, train=720, good=80, make=empty)
    wnids = [f"n{number:08d}" for number in range(200)]
    layouts.tiny_imagenet(root / "tiny-imagenet-200", wnids, images=10, make=empty)


def empty(path, seed=0):
    """An empty file, made faster than by `layouts.touch`: there may be millions."""
    if path.parent not in MADE:
        path.parent.mkdir(parents=True, exist_ok=True)
        MADE.add(path.parent)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


def times_as_many(config, factor, tasks_per_job="auto"):
    """`config` with each of its data sets `factor` times, under different names, and so many tasks in a job."""
    config = copy.deepcopy(config)
    config["runtime"] = config.get("runtime", {}) | {"tasks_per_job": tasks_per_job}
    config["datasets"] = {
        f"{name}_{copy_number}" if copy_number else name: spec
        for copy_number in range(factor)
        for name, spec in config["datasets"].items()
    }
    return config


def dry_run(directory, config):
    """(seconds, CPU seconds, peak GB, number of jobs, {stage: jobs}) of a dry run of `config` in `directory`."""
    path = directory / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules", "--cores", "2", "--nocolor"]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(directory), "--configfile", str(path)]
    start, cpu_start = time.perf_counter(), cpu_seconds()
    done = subprocess.run(command, text=True, capture_output=True, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    jobs = Counter()
    for rule, count in dict(re.findall(r"^(\S+) +(\d+)$", done.stdout, re.M)).items():  # the table stands there twice
        jobs[stage_of(rule, config["datasets"])] += int(count)
    # the largest of the dry runs so far, which is this one where they grow
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9
    return seconds, cpu_seconds() - cpu_start, memory, jobs.pop("total"), jobs


def stage_of(rule, names):
    """The stage of a rule, which stands alone or before the data set and the number of its one job."""
    stage, _, number = rule.rpartition("_")
    of = [stage.removesuffix(f"_{name}") for name in names if stage.endswith(f"_{name}")] if number.isdigit() else []
    return max(of, key=len, default=rule)


def cpu_seconds():
    """Of the dry runs so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="number of dry runs of the 329 tasks; the median counts")
    parser.add_argument(
        "--factors", type=int, nargs="+", default=[1, 10], help="multiples of the number of tasks in the paper"
    )
    parser.add_argument(
        "--tasks-per-job",
        type=int,
        nargs="+",
        default=[1],
        help="runtime.tasks_per_job, one for all factors or one for each",
    )
    parser.add_argument("--more", choices=["tasks", "data_sets"], default="tasks", help="of what there is a multiple")
    parser.add_argument("--keep", type=Path, help="directory in which the stub trees are kept and used again")
    arguments = parser.parse_args()
    per_job = arguments.tasks_per_job
    if len(per_job) not in (1, len(arguments.factors)):
        parser.error(f"--tasks-per-job: received {len(per_job)} numbers, expected one, or one for each of --factors")
    with tempfile.TemporaryDirectory() as temporary:
        directory = arguments.keep or Path(temporary)
        config = yaml.safe_load((ROOT / "config" / "paper.yaml").read_text())
        first = None
        for i, factor in enumerate(arguments.factors):
            n_runs, size = arguments.runs if factor == 1 else 1, per_job[i % len(per_job)]
            of_tasks, of_sets = (factor, 1) if arguments.more == "tasks" else (1, factor)
            place = directory / f"times_{of_tasks}"
            if not (place / "data").exists():
                stub_trees(place / "data", of_tasks)
            runs = [dry_run(place, times_as_many(config, of_sets, size)) for _ in range(n_runs)]
            seconds, cpu = (statistics.median(run[column] for run in runs) for column in (0, 1))
            *_, memory, n_jobs, jobs = runs[0]
            first = first or cpu
            each = ", ".join(f"{run[0]:.1f}" for run in runs)
            print(
                f"{329 * factor:,} tasks, {size} in a job: {seconds:.1f} s ({each}), {n_jobs:,} jobs, {memory:.2f} GB; "
                f"CPU {cpu:.1f} s, {cpu / first:.1f} times the first",
                flush=True,
            )
            print("    " + ", ".join(f"{stage} {count}" for stage, count in jobs.items() if stage != "all"))
    print("wanted on 2 cores: 329 tasks below 10 s; 3,290 below 15 s and 32,900 below 120 s and 2 GB, several in a job")


if __name__ == "__main__":
    main()
