"""Score stage and AUROCs at the size of CUB, against a loop of scikit-learn's NearestNeighbors and roc_auc_score.

Both sides compute, for each of 200 tasks, Eq. 4 of all 5,794 test images against the task's bank of 30, one-vs-rest
and every pair of classes (200 × 199). Prints the times, their ratio, the largest difference of an AUROC, and the peak memory
of our side, measured in a process of its own.

    python benchmarks/scoring.py [--tasks 40] [--runs 3] [--threads 2]

`--tasks` limits the slow side to that many tasks, evenly spread; its time is then scaled and said to be.
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


def ours(queries, bank, classes, threads):
    """One-vs-rest (200,) and pairs (200, 199)."""
    from swsa_core.metrics import pair_counts
    from swsa_core.score_knn import score_all

    scores = score_all(queries, bank, np.full(N_CLASSES, BANK), K, threads)  # (n, 200)
    rest, pairs = np.empty(N_CLASSES), np.empty((N_CLASSES, N_CLASSES - 1))
    for task in range(N_CLASSES):
        won, sizes = pair_counts(scores[:, [task]], classes, task, N_CLASSES)
        won, others = np.delete(won[:, 0], task), np.delete(sizes, task)
        rest[task] = won.sum() / (2 * sizes[task] * others.sum())
        pairs[task] = won / (2 * sizes[task] * others)
    return rest, pairs


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
    inputs = data()
    before = _peak()
    times = []
    for _ in range(arguments.runs):
        start = time.perf_counter()
        found = ours(*inputs, arguments.threads)
        times.append(time.perf_counter() - start)
    results.put((times, before, _peak(), found))


def _peak():
    """Peak resident memory of this process in GB; Linux counts in KiB, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=N_CLASSES, help="tasks on the slow side (default: all)")
    parser.add_argument("--runs", type=int, default=3, help="runs of our side; the median is compared")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of our side; scikit-learn takes all cores")
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=measured, args=(arguments, results))
    process.start()
    times, before, peak, (rest, pairs) = results.get()
    process.join()
    fast = float(np.median(times))
    print(f"{N_QUERIES:,} queries, {N_CLASSES} banks of {BANK}, {FEATURES:,} features, k = {K}")
    print(f"ours: {fast:.2f} s with {arguments.threads} threads, median of {[round(t, 2) for t in times]}")
    print(f"ours, peak memory: {peak:.2f} GB with data and imports ({before:.2f} GB before the first run)", flush=True)

    tasks = np.unique(np.linspace(0, N_CLASSES - 1, arguments.tasks).astype(int))
    queries, bank, classes = data()
    inputs = queries.astype(np.float64), bank.astype(np.float64), classes
    start = time.perf_counter()
    their_rest, their_pairs = scikit_learn(*inputs, tasks)
    slow = time.perf_counter() - start
    share = "all tasks"
    if len(tasks) < N_CLASSES:
        share = f"{len(tasks)} of {N_CLASSES} tasks in {slow:.1f} s, scaled to all"
        slow *= N_CLASSES / len(tasks)
    print(f"scikit-learn: {slow:.1f} s ({share}; one-vs-rest and {N_CLASSES - 1} pairs each)")
    print(f"ratio: {slow / fast:.1f} (wanted: at least 50)")
    difference = max(np.abs(rest[tasks] - their_rest).max(), np.abs(pairs[tasks] - their_pairs).max())
    print(f"largest difference of an AUROC: {difference:.2g} (wanted: at most 1e-6)")


if __name__ == "__main__":
    main()
