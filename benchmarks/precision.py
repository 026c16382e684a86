"""What bfloat16 changes: features and one-vs-rest AUROC of one network on a data set, against float32 in the same run.

    python benchmarks/precision.py --kind flowers --root data/flowers102 --model torchvision:squeezenet1_1

prints the mean AUROC of both, the largest change of one class, the relative difference of the features and images per
second.
"""

import argparse
import time

import numpy as np

from swsa_core import datasets
from swsa_core.candidates.backbone import load_backbone
from swsa_core.config.config import validate
from swsa_core.detectors.knn import knn_score
from swsa_core.embedding.image_stream import FileReader
from swsa_core.metrics import auroc


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=["cub", "flowers", "classes"], required=True)
    parser.add_argument("--root", required=True, help="directory of the data set")
    parser.add_argument("--model", default="torchvision:squeezenet1_1", help="family:model")
    parser.add_argument("--weights", help="local file of weights instead of the library's download")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int, default=32)
    options = parser.parse_args()

    candidate = {"model": options.model} | ({"weights": options.weights} if options.weights else {})
    config = validate(
        {
            "datasets": {"images": {"kind": options.kind, "root": options.root, "allow_missing": True}},
            "support": {"seeds": 2},
            "sources": {"cutpaste": {}},
            "candidates": [candidate],
        }
    )
    spec, candidate = config["datasets"]["images"], config["candidates"][0]
    index = datasets.index(spec)
    read = FileReader(index.path)
    train, classes = (index.split == "train").to_numpy(), index["class"].to_numpy()
    features, means = {}, {}
    for precision in ("float32", "bfloat16"):
        backbone = load_backbone(candidate, options.device, precision)
        images = [backbone.transform(read(row)) for row in range(len(index))]
        backbone.features(np.stack(images[: options.batch_size]))
        started = time.perf_counter()
        parts = [
            backbone.features(np.stack(images[i : i + options.batch_size]))
            for i in range(0, len(images), options.batch_size)
        ]
        seconds = time.perf_counter() - started
        features[precision] = np.concatenate(parts)
        rest = {
            name: auroc(
                knn_score(features[precision][~train], features[precision][train & (classes == name)]),
                classes[~train] != name,
            )
            for name in datasets.tasks(spec)
        }
        means[precision] = np.array(list(rest.values()))
        print(f"{precision}: mean AUROC {means[precision].mean():.5f}, {len(images) / seconds:.1f} images a second")
    change = np.abs(means["float32"] - means["bfloat16"])
    difference = np.linalg.norm(features["float32"] - features["bfloat16"]) / np.linalg.norm(features["float32"])
    print(f"largest change of one class {change.max():.4f}, relative difference of the features {difference:.4f}")


if __name__ == "__main__":
    main()
