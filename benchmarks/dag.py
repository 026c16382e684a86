"""How long Snakemake takes to plan the paper's study: dry runs of config/paper.yaml on stub trees of all data sets.

The trees have the official numbers of classes and images in the official layouts; the images are empty files, since a dry
run opens none. Prints seconds and jobs for the 329 tasks, and for ten times as many: ten data sets of each kind.

    python benchmarks/dag.py [--runs 3] [--keep directory]
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


def stub_trees(root):
    """All data sets of config/paper.yaml below `root`, with about the official numbers of images, which are empty files."""
    birds = ["001.Black_footed_Albatross", *(f"{number:03d}.Bird_{number}" for number in range(2, 201))]
    layouts.cub(root / "CUB_200_2011", birds, train=30, test=29, make=layouts.touch)
    layouts.flowers(root / "flowers102", range(1, 103), train=10, val=10, test=60, make=layouts.touch)
    defects = {f"defect_{number}": 17 for number in range(5)}
    layouts.mvtec_ad(root / "mvtec_ad", CATEGORIES, train=240, good=30, defects=defects, make=layouts.touch)
    layouts.visa(root / "visa", {name: ["bent"] * 100 for name in VISA}, train=720, good=80, make=layouts.touch)
    wnids = [f"n{number:08d}" for number in range(200)]
    layouts.tiny_imagenet(root / "tiny-imagenet-200", wnids, images=10, make=layouts.touch)


def times_as_many(config, factor):
    """`config` with each of its data sets `factor` times, under different names."""
    config = copy.deepcopy(config)
    config["datasets"] = {
        f"{name}_{copy_number}" if copy_number else name: spec
        for copy_number in range(factor)
        for name, spec in config["datasets"].items()
    }
    return config


def dry_run(directory, config):
    """(seconds, CPU seconds, {rule: jobs}) of a dry run of `config` in `directory`."""
    path = directory / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules", "--cores", "2", "--nocolor"]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(directory), "--configfile", str(path)]
    start, cpu_start = time.perf_counter(), cpu_seconds()
    done = subprocess.run(command, text=True, capture_output=True, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return (
        seconds,
        cpu_seconds() - cpu_start,
        {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", done.stdout, re.M)},
    )


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
    parser.add_argument("--keep", type=Path, help="directory in which the stub trees are kept and used again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = arguments.keep or Path(temporary)
        if not (directory / "data").exists():
            stub_trees(directory / "data")
        config = yaml.safe_load((ROOT / "config" / "paper.yaml").read_text())
        first = None
        for factor in arguments.factors:
            n_runs = arguments.runs if factor == 1 else 1
            runs = [dry_run(directory, times_as_many(config, factor)) for _ in range(n_runs)]
            seconds, cpu = (statistics.median(run[column] for run in runs) for column in (0, 1))
            first, jobs = first or cpu, runs[0][2]
            each = ", ".join(f"{run[0]:.1f}" for run in runs)
            print(
                f"{329 * factor:,} tasks: {seconds:.1f} s ({each}), {jobs.pop('total'):,} jobs; CPU {cpu:.1f} s",
                flush=True,
            )
            if factor == 1:
                print("    " + ", ".join(f"{rule} {count}" for rule, count in jobs.items() if rule != "all"))
            else:
                print(f"    {cpu / first:.1f} times the CPU time")
    print("wanted: 329 tasks below 10 s on 2 cores, at most 1,500 jobs; ten times the tasks at most ten times as long")


if __name__ == "__main__":
    main()
