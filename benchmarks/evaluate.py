"""The stage `evaluate` at the size of CUB: 200 tasks, ten models, ten prompts, three sources, 5,794 test images.

The scores are random and made directly as `Scores`; what is timed are the functions that the stage calls. Prints wall
and CPU seconds of each part, and the peak memory of the process.

    python benchmarks/evaluate.py [--tasks 200] [--threads 2] [--bootstrap 1000]
"""

import argparse
import os
import resource
import sys
import time

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from swsa_core.candidates.prompts import ENSEMBLE
from swsa_core.detectors.scores import Scores
from swsa_core.evaluation.confidence import confidence
from swsa_core.evaluation.consensus import qualities
from swsa_core.evaluation.evaluate import evaluate
from swsa_core.strategies import STRATEGIES, combinations

PROTOCOLS = ["paper", "leave_one_out", "paired"]
SETTINGS = ["one_vs_rest", "one_vs_closest", "one_vs_one"]
HARDEST = ["all", 50, 20, 10]
SOURCES = {"diffusion": 2, "cutpaste": 1, "tiny_imagenet": 0}  # number of parents
CUB = {"kind": "cub", "min_group_size": 1}
JUDGES = {name: one.quality for name, one in STRATEGIES.items() if one.quality}
BANK, SEEDS, ANOMALIES, K = 30, 20, 100, 3


def selections(n_tasks, n_test, n_models=10, n_prompts=10, seed=0):
    """({"model" and "prompt": {name: Scores}} of random scores, the table of images.csv)."""
    generator = np.random.default_rng(seed)
    tasks = [f"{task + 1:03d}.Class" for task in range(n_tasks)]
    classes = np.sort(np.arange(n_test) % n_tasks)
    ids = np.array([f"images/{tasks[label]}/{row}.jpg" for row, label in enumerate(classes)], dtype=object)
    names = np.array(tasks, dtype=object)[classes]
    index = pd.DataFrame({"image_id": ids, "path": ids, "class": names, "split": "test", "group": names}, dtype=str)
    own = classes[:, None] == np.arange(n_tasks)  # (n_test, n_tasks)
    layout = _layout(n_tasks)

    def made(name, skill, columns):
        parts = {
            part: known | columns(generator, len(known["task"]), known.get("parents"), skill)
            for part, known in layout.items()
        }
        test = {"image_id": ids, "scores": generator.normal(size=own.shape) + np.where(own, 0, skill)}
        anomalies = {source: parts[source] for source in SOURCES}
        return Scores(tasks, test, parts["support"], anomalies, {"candidate": name, "k": K, "skipped": "[]"})

    models = {f"model {i}": made(f"model {i}", 0.2 * i, _with_bank) for i in range(n_models)}
    prompts = {f"prompt {i}": made(f"prompt {i}", 0.2 * i, _without_bank) for i in range(n_prompts)}
    if prompts:
        prompts[ENSEMBLE] = made(ENSEMBLE, 1, _without_bank)
    return {"model": models, "prompt": prompts}, index


def _layout(n_tasks):
    """The columns that all candidates share, of the support images and of each source."""
    held_out = np.tile(np.arange(BANK) >= SEEDS, n_tasks)
    ids = np.array([f"support/{row}.jpg" for row in range(n_tasks * BANK)], dtype=object)
    layout = {"support": {"image_id": ids, "task": np.repeat(np.arange(n_tasks), BANK), "held_out": held_out}}
    styles, contents = np.divmod(np.arange(ANOMALIES), SEEDS // 2)
    crossed = np.stack([styles, contents + SEEDS // 2], axis=1)
    for source, n_parents in SOURCES.items():
        parents = crossed if n_parents == 2 else (np.arange(ANOMALIES) % SEEDS)[:, None][:, :n_parents]
        task = np.repeat(np.arange(n_tasks), ANOMALIES)
        layout[source] = {"task": task, "parents": np.tile(parents, (n_tasks, 1))}
    return layout


def _with_bank(generator, n, parents, skill):
    """Neighbours and distances of n images, as the kNN score stage keeps them."""
    neighbours = generator.permuted(np.tile(np.arange(BANK, dtype=np.int32), (n, 1)), axis=1)[:, : K + 2]
    shift = 0 if parents is None else skill
    distances = np.sort(generator.normal(10 + shift, 1, size=(n, 1)) + generator.random((n, K + 2)), axis=1)
    return {"neighbours": np.ascontiguousarray(neighbours), "distances": distances}


def _without_bank(generator, n, parents, skill):
    return {"scores": generator.normal(size=n) + (0 if parents is None else skill)}


def peak():
    """Peak resident memory of this process in GB; Linux counts in KiB, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def timed(name, function, *arguments, **options):
    """What `function` returns, after printing its wall and CPU seconds and the peak memory so far."""
    start, cpu_start = time.perf_counter(), time.process_time()
    result = function(*arguments, **options)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    print(f"{name:24} {wall:6.1f} s {cpu:6.1f} CPU s, peak memory {peak():.2f} GB", flush=True)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--test", type=int, default=5794, help="test images")
    parser.add_argument("--bootstrap", type=int, default=1000, help="resamples")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    scores, index = selections(arguments.tasks, arguments.test)
    print(f"{arguments.tasks} tasks, {arguments.test:,} test images, {len(SOURCES)} sources; made: {peak():.2f} GB")
    start, cpu_start = time.perf_counter(), time.process_time()
    with threadpool_limits(1):
        for selection, of in scores.items():
            candidates = {name: one for name, one in of.items() if name != ENSEMBLE}
            options = {"protocols": PROTOCOLS, "settings": SETTINGS, "hardest": HARDEST}
            options["combinations"] = combinations()
            timed(f"{selection}: evaluate", evaluate, of, index, CUB, **options)
            given = candidates, "cub", 0, PROTOCOLS, arguments.bootstrap
            timed(f"{selection}: confidence", confidence, *given, threads=arguments.threads)
            timed(f"{selection}: qualities", qualities, candidates, index, CUB, JUDGES)
    print(f"together {time.perf_counter() - start:.1f} s, {time.process_time() - cpu_start:.1f} CPU s")


if __name__ == "__main__":
    main()
