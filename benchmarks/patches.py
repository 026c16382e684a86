"""The patch head's search in a large bank, against scikit-learn's brute force and, where it is installed, an exact faiss index.

    python benchmarks/patches.py [--patches 1000000] [--features 256] [--images 8] [--threads 2]

Scores images of 196 patches against a bank of so many patches, with `patch_scores` as the workflow calls it; the others find
each patch's nearest neighbour in float32 and take the maximum. Prints seconds of each image after the bank is in place, the
ratios, and the largest difference of a score from one computed in float64.
"""

import argparse
import time

import numpy as np
from threadpoolctl import threadpool_limits

from swsa_core.detectors.patch import patch_scores

OF_IMAGE = 196
N_BANK_IMAGES = 100


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=256)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    bank = generator.standard_normal((arguments.patches, arguments.features), dtype=np.float32).astype(np.float16)
    queries = generator.standard_normal((arguments.images, OF_IMAGE, arguments.features), dtype=np.float32)
    queries = queries.astype(np.float16)
    with threadpool_limits(arguments.threads):
        found = {
            "patch_scores": ours(queries, bank),
            "scikit-learn, NearestNeighbors(algorithm='brute')": scikit_learn(queries, bank),
            "faiss, IndexFlatL2": exact_faiss(queries, bank, arguments.threads),
        }
        exact = in_float64(queries, bank)
    mine, _ = found["patch_scores"]
    for name, result in found.items():
        if result is None:
            print(f"{name}: not installed")
            continue
        seconds, scores = result
        print(
            f"{name}: {seconds / arguments.images:.2f} s per image, {seconds / mine:.2f} times ours, largest difference "
            f"of a score {np.abs(scores - exact).max():.1e}"
        )


def ours(queries, bank):
    images = bank[: len(bank) // N_BANK_IMAGES * N_BANK_IMAGES].reshape(N_BANK_IMAGES, -1, bank.shape[1])
    return timed(lambda: patch_scores(queries, images).scores)


def scikit_learn(queries, bank):
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(bank.astype(np.float32))
    return timed(lambda: np.array([index.kneighbors(one.astype(np.float32))[0].max() for one in queries]))


def exact_faiss(queries, bank, threads):
    try:
        import faiss
    except ImportError:
        return None
    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatL2(bank.shape[1])
    index.add(bank.astype(np.float32))
    return timed(lambda: np.array([np.sqrt(index.search(one.astype(np.float32), 1)[0].max()) for one in queries]))


def in_float64(queries, bank):
    """The scores, from the 50 patches of the bank that are nearest in float32."""
    rows = bank.astype(np.float32)
    norms = np.einsum("nd,nd->n", rows, rows)
    scores = []
    for one in queries:
        nearest = np.argpartition(norms - 2 * one.astype(np.float32) @ rows.T, 50, axis=1)[:, :50]
        near = rows[nearest].astype(np.float64)
        scores.append(np.sqrt(((near - one.astype(np.float64)[:, None]) ** 2).sum(axis=2).min(axis=1)).max())
    return np.array(scores)


def timed(run):
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
