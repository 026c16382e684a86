"""Score stage and AUROCs at the size of CUB, against a loop of scikit-learn's NearestNeighbors and roc_auc_score.

Both sides compute, for each of 200 tasks, Eq. 4 of all 5,794 test images against the task's bank of 30, one-vs-rest
and every pair of classes (200 × 199). Ours are the functions that the workflow calls, `score_all` and `real_wins`. Prints
the times, their ratio, the largest difference of an AUROC, and the peak memory of our side, measured in a process of its
own.

    python benchmarks/scoring.py [--tasks 40] [--runs 5] [--threads 2]

`--tasks` limits the slow side to that many tasks, evenly spread; its time is then scaled up, and the output says so.
"""

import argparse
import multiprocessing
import os
import resource
import sys
import time

import numpy as np

N_CLASSES, N_QUERIES, BANK, FEATURES, K = 200, 5794, 30, 2048, 3


def data(seed=0):
    """Random features of 200 overlapping classes, not negative as after a ReLU: float32 queries, banks, and classes."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(N_CLASSES, FEATURES), scale=0.15)
    classes = np.sort(np.arange(N_QUERIES) % N_CLASSES)

    def draw(of):
        noise = generator.standard_normal((len(of), FEATURES), dtype=np.float32)
        return np.maximum(centres[of] + noise, 0).astype(np.float32)

    return draw(classes), draw(np.repeat(np.arange(N_CLASSES), BANK)), classes


def ours(queries, bank, index, threads):
    """One-vs-rest (200,) and pairs (200, 199); index: the table of `image_table`."""
    from swsa_core.detectors.score_knn import score_all
    from swsa_core.detectors.scores import Scores
    from swsa_core.evaluation.evaluate import real_wins

    scores = score_all(queries, bank, np.full(N_CLASSES, BANK), K, threads)  # (n, 200)
    test = {"image_id": index["image_id"].to_numpy(dtype=object), "scores": scores}
    one = Scores([_name(task) for task in range(N_CLASSES)], test, support={}, anomalies={})
    aurocs = np.stack([wins.aurocs[:, 0] for wins in real_wins({"one": one}, index, {"kind": "cub"})])  # (200, 1 + 199)
    return aurocs[:, 0], aurocs[:, 1:]


def image_table(classes):
    """The test images as in images.csv."""
    import pandas as pd

    names = [_name(label) for label in classes]
    ids = [f"images/{name}/{row}.jpg" for row, name in enumerate(names)]
    return pd.DataFrame({"image_id": ids, "class": names, "split": "test", "group": names}, dtype=str)


def _name(label):
    return f"{label + 1:03d}.Class"


def scikit_learn(queries, bank, classes, tasks):
    """The same for `tasks`, with the library's own functions; float64, as float32 features cost it digits and time."""
    from sklearn.metrics import roc_auc_score
    from sklearn.neighbors import NearestNeighbors

    rest, pairs = np.empty(len(tasks)), np.empty((len(tasks), N_CLASSES - 1))
    for row, task in enumerate(tasks):
        neighbours = NearestNeighbors(n_neighbors=K).fit(bank[task * BANK : (task + 1) * BANK])
        distances, _ = neighbours.kneighbors(queries)
        scores = (distances**2).sum(axis=1)
        rest[row] = roc_auc_score(classes != task, scores)
        for column, other in enumerate(np.delete(np.arange(N_CLASSES), task)):
            of_both = (classes == task) | (classes == other)
            pairs[row, column] = roc_auc_score(classes[of_both] != task, scores[of_both])
    return rest, pairs


def measured(arguments, results):
    """In a fresh process: our times, result, and peak resident memory before and after."""
    queries, bank, classes = data()
    index = image_table(classes)
    before = _peak()
    times, cpu_times = [], []
    for _ in range(arguments.runs + 1):
        start, cpu_start = time.perf_counter(), time.process_time()
        found = ours(queries, bank, index, arguments.threads)
        times.append(time.perf_counter() - start)
        cpu_times.append(time.process_time() - cpu_start)
    results.put((times, cpu_times, before, _peak(), found))


def _peak():
    """Peak resident memory of this process in GB; Linux counts in KiB, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=N_CLASSES, help="number of tasks on the slow side (default: all)")
    parser.add_argument(
        "--runs", type=int, default=5, help="number of runs of our side after a first one; the median is compared"
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=os.cpu_count(),
        help="number of threads of our side; scikit-learn takes all cores",
    )
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=measured, args=(arguments, results))
    process.start()
    times, cpu_times, before, peak, (rest, pairs) = results.get()
    process.join()
    first, *times = times  # the first one starts threads and maps memory
    fast = float(np.median(times))
    print(f"{N_QUERIES:,} queries, {N_CLASSES} banks of {BANK}, {FEATURES:,} features, k = {K}")
    runs = ", ".join(f"{seconds:.2f}" for seconds in times)
    print(f"ours: {fast:.2f} s with {arguments.threads} threads, median of {runs} after a first of {first:.2f}")
    print(f"ours, CPU time of all threads: {np.median(cpu_times):.2f} s")
    print(f"ours, peak memory: {peak:.2f} GB with data and imports ({before:.2f} GB before the first run)", flush=True)

    tasks = np.unique(np.linspace(0, N_CLASSES - 1, arguments.tasks).astype(int))
    queries, bank, classes = data()
    inputs = queries.astype(np.float64), bank.astype(np.float64), classes
    start, cpu_start = time.perf_counter(), time.process_time()
    their_rest, their_pairs = scikit_learn(*inputs, tasks)
    slow, cpu_slow = time.perf_counter() - start, time.process_time() - cpu_start
    share = "all tasks"
    if len(tasks) < N_CLASSES:
        share = f"{len(tasks)} of {N_CLASSES} tasks in {slow:.1f} s, scaled to all"
        slow, cpu_slow = slow * N_CLASSES / len(tasks), cpu_slow * N_CLASSES / len(tasks)
    print(f"scikit-learn: {slow:.1f} s ({share}; one-vs-rest and {N_CLASSES - 1} pairs each)")
    print(f"scikit-learn, CPU time of all threads: {cpu_slow:.1f} s")
    print(f"ratio: {slow / fast:.1f} (wanted: at least 50), of CPU times: {cpu_slow / np.median(cpu_times):.1f}")
    difference = max(np.abs(rest[tasks] - their_rest).max(), np.abs(pairs[tasks] - their_pairs).max())
    print(f"largest difference of an AUROC: {difference:.2g} (wanted: at most 1e-6)")


if __name__ == "__main__":
    main()
