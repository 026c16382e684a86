"""What it costs a candidate to be scored in folds, as one from elsewhere, and not with one image left out at a time.

    python benchmarks/folds.py IMAGES [--seed SEED] [--directory DIR]

IMAGES is a folder of normal images. The features of docs/bring_your_own.md are a candidate of the head knn, and a function
computes the same scores of the same features fold by fold. Prints Markdown: the synthetic AUROC of both on each source by the
protocol leave_one_out, and how many anomalies count.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import yaml

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "bring_your_own.md").read_text(encoding="utf-8")
MODULE = re.search(r"^```python\n# mine\.py\n(.*?)^```", PAGE, re.M | re.S)[1]
IN_FOLDS = '''

def in_folds(normal, images):
    """The sum of the squared distances to the three nearest normal images."""
    from PIL import Image

    def of(part):
        return features(np.stack([np.asarray(Image.fromarray(np.asarray(one)).resize((64, 64))) for one in part]))

    squares = ((of(images)[:, None] - of(normal)) ** 2).sum(axis=2)
    return np.sort(squares, axis=1)[:, :3].sum(axis=1)
'''
CONFIG = {
    "results": "results",
    "support": {"seeds": 20},
    "preparation": {"size": 64},
    "sources": {"cutpaste": {}, "function": {"function": "mine:scratch"}, "defects": {}, "perlin": {}},
    "candidates": [{"name": "one left out at a time", "model": "python:mine:features", "resize": 64, "crop": 64}],
    "scores": {"in five folds": {"call": "mine:in_folds"}},
    "runtime": {"device": "cpu", "threads": 1},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--directory", type=Path, help="where results stay; if left out, they are removed")
    parser.add_argument("--seed", type=int, default=0, help="of the study")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        directory = given.directory or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        config = CONFIG | {
            "seed": given.seed,
            "datasets": {"images": {"kind": "folder", "root": str(given.images.resolve())}},
        }
        (directory / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        (directory / "mine.py").write_text(MODULE + IN_FOLDS)
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--cores",
            "1",
            "--snakefile",
            ROOT / "Snakefile",
            "--directory",
            directory,
        ]
        command += ["--configfile", directory / "config.yaml", "--quiet", "all", "--", "results/images/auroc.csv"]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
        table = pd.read_csv(directory / "results" / "images" / "auroc.csv")
    whole = table[(table["n_anomalies"].astype(str) == "all") & (table["protocol"] == "leave_one_out")]
    cells = [f"{auroc:.3f} of {n:.0f}" for auroc, n in zip(whole["auroc"], whole["n_anomalous"], strict=True)]
    print(whole.assign(cell=cells).pivot(index="candidate", columns="validation", values="cell").to_markdown())


if __name__ == "__main__":
    main()
