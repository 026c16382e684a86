"""docs/bring_your_own.md: its code, run from the config to the report."""

import re
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from layouts import draw
from workflow import ROOT, dry_run, snakemake

PAGE = (ROOT / "docs" / "bring_your_own.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", PAGE, re.M | re.S))
CONFIG = {
    "results": "results",
    "datasets": {"shapes": {"kind": "classes", "root": "shapes"}},
    "support": {"seeds": 6},
    "preparation": {"size": 32},
    "knn": {"k": 2},
    "evaluation": {"bootstrap": 100},
    "strategies": ["swsa_function", "swsa_ensemble"],
    "runtime": {"device": "cpu", "threads": 1},
}
for part in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S):
    CONFIG |= yaml.safe_load(part)


@pytest.mark.study
def test_the_page_runs_as_it_is_written(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    for name in ("circle", "square"):
        for split, count in (("train", 9), ("test", 3)):
            for i in range(count):
                draw(tmp_path / "shapes" / split / name / f"{i}.png", seed=i)
    told = snakemake(tmp_path, CONFIG, check=False)
    assert "scores.patchcore: the file 'patchcore.csv' is not there: run `snakemake images_to_score`" in told
    snakemake(tmp_path, CONFIG, "images_to_score")
    manifest = "results/shapes/to_score/images.csv"
    listed = pd.read_csv(tmp_path / manifest)
    assert all((tmp_path / path).is_file() for path in listed.path)
    subprocess.run([sys.executable, "patchcore.py", manifest, "patchcore.csv"], cwd=tmp_path, check=True)
    snakemake(tmp_path, CONFIG)
    ranking = pd.read_csv(tmp_path / "results/tables/ranking.csv")
    whole = ranking[ranking.n_anomalies.astype(str) == "all"]
    assert set(whole.candidate) >= {"patchcore", "cells", "cells mahalanobis", "descriptor:hog"}
    assert set(whole.validation) == {"real", "function", "cutpaste"} and whole.auroc.between(0, 1).all()
    assert "patchcore" in (tmp_path / "results/report.html").read_text()
    assert dry_run(tmp_path, CONFIG) == {}
    (tmp_path / "mine.py").write_text(FILES["mine.py"] + "# edited\n")
    again = dry_run(tmp_path, CONFIG)
    assert again["function"] == 2 and again["embed_images"] == 1 and again["score_given"] == 1
    assert "cutpaste" not in again
