"""docs/extend.md: its modules, copied into a copy of the project, run from the config to the report."""

import ast
import os
import re
import shutil
from pathlib import Path

import pytest
from layouts import draw
from test_house import public, without_annotation
from workflow import ROOT, dry_run, snakemake

from swsa_core.files.table import Table
from swsa_core.report import tables

PAGE = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
MODULES = dict(re.findall(r"^```python\n# (swsa_core/\S+\.py)\n(.*?)^```", PAGE, re.M | re.S))
CONFIG = {
    "results": "results",
    "datasets": {"parts": {"kind": "flat", "root": "parts"}},
    "support": {"seeds": 4},
    "sources": {"noise": {"strength": 60}, "clipart": {"root": "clipart", "pool": 8}},
    "candidates": [
        {"model": "descriptor:hog", "heads": ["knn", "mean"]},
        {"model": "colour:mean", "resize": 16, "crop": 16},
    ],
    "knn": {"k": 2},
    "preparation": {"size": 32},
    "runtime": {"device": "cpu", "threads": 1},
    "evaluation": {"bootstrap": 100},
    "strategies": ["smallest_model", "largest_model", "swsa_noise", "swsa_clipart", "fixed_best_noise"],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with the page's modules in it, one line in each registry."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("rules", "workflow_scripts", "swsa_core"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("profiles", "envs", "models", "config", "config.yaml", "Snakefile"):
        os.symlink(ROOT / name, copy / name) if name != "Snakefile" else shutil.copy(ROOT / name, copy / name)
    for path, text in MODULES.items():
        (copy / path).write_text(text, encoding="utf-8")
        registry = (copy / path).with_name("__init__.py")
        before = registry.read_text(encoding="utf-8")
        after = re.sub(r"(entries\(\s*\"[\w.]+\",\s*\"[A-Z]+\",)", rf'\1 "{Path(path).stem}",', before, count=1)
        assert after != before, f"{registry} has no list of entries"
        registry.write_text(after, encoding="utf-8")
    return copy


@pytest.fixture(scope="module")
def study(project, tmp_path_factory):
    """A directory with images for the study, and the arguments that make Snakemake run the copy."""
    directory = tmp_path_factory.mktemp("study")
    for part in range(2):
        for i in range(18):
            draw(directory / "parts" / f"part{part}" / f"good_{i:02d}.png", seed=100 * part + i)
        for i in range(5):
            draw(directory / "parts" / f"part{part}" / f"bad_{i}.png", seed=1000 + 100 * part + i)
    for i in range(8):
        draw(directory / "clipart" / f"{i}.png", seed=5000 + i)
    return directory, ["--snakefile", str(project / "Snakefile")]


def test_the_page_has_one_module_of_each_registry():
    assert {Path(path).parent.name for path in MODULES} == {
        "anomalies",
        "candidates",
        "datasets",
        "detectors",
        "strategies",
    }
    assert all(len(text.splitlines()) <= 50 for text in MODULES.values())


def test_the_signatures_on_the_page_are_annotated():
    lacking = [
        f"{path} {function.name}: {names}"
        for path, text in MODULES.items()
        for function, is_method in public(ast.parse(text))
        if (names := without_annotation(function, is_method))
    ]
    assert not lacking, lacking


def test_a_dry_run_and_the_plan_know_them(study):
    directory, copy = study
    jobs = dry_run(directory, CONFIG, *copy)
    assert {"noise": 2, "sample_clipart": 1, "embed_pool": 2, "score_knn": 2, "score_mean": 1}.items() <= jobs.items()
    printed = snakemake(directory, CONFIG, *copy, "plan", "--quiet", "all")
    assert re.search(r"^noise +2 ", printed, re.M) and re.search(r"^sample_clipart +1 ", printed, re.M)
    assert "parts: 2 tasks, 24 normal training and 22 test images (counted on disk)" in printed


def test_a_mistake_about_them_is_told_like_any_other(study):
    directory, copy = study
    wrong = CONFIG | {"sources": {"noise": {"strenght": 3}}, "strategies": ["swsa_noise"]}
    assert "sources.noise.strenght: unknown key, did you mean 'strength'?" in snakemake(
        directory, wrong, *copy, "--dry-run", check=False
    )
    wrong = CONFIG | {"candidates": [{"model": "descriptor:hog", "head": "maen"}]}
    assert "descriptor:hog: there is no head 'maen', did you mean 'mean'?" in snakemake(
        directory, wrong, *copy, "--dry-run", check=False
    )
    wrong = CONFIG | {"candidates": ["colour:median"]}
    assert "candidates.colour:median: there is no colour statistic 'median'" in snakemake(
        directory, wrong, *copy, "--dry-run", check=False
    )


@pytest.mark.slow
def test_a_study_runs_from_the_config_to_the_report(study):
    directory, copy = study
    snakemake(directory, CONFIG, *copy)
    results = directory / "results"
    assert isinstance(tables.TABLE1, Table)
    table1 = tables.TABLE1.read(results / "tables" / "table1.csv")
    assert set(table1.strategy) == {*CONFIG["strategies"], "best"}
    assert set(table1.dataset) == {"parts"} and set(table1.setting) == {"one_vs_closest", "one_vs_rest"}
    smallest = table1[table1.strategy == "smallest_model"]
    assert (smallest.n_tasks == 2).all()
    assert set(tables.PICKS.read(results / "tables" / "picks.csv").source) == {"noise", "clipart"}
    assert (results / "parts" / "anomalies" / "noise" / "part0.png").is_file()
    figures = {path.stem for path in (results / "figures" / "parts").glob("*.svg")}
    assert {"confidence.noise", "confidence.clipart", "strategies", "contact_sheet.part0"} <= figures
    page = (results / "report.html").read_text(encoding="utf-8")
    for words in (
        "SWSA with noise",
        "SWSA with clip art",
        "smallest model",
        "colour:",
        "descriptor:hog mean",
        "All noise anomalies",
    ):
        assert words in page, words
    assert dry_run(directory, CONFIG, *copy) == {}
    stronger = CONFIG | {"sources": CONFIG["sources"] | {"noise": {"strength": 70}}}
    jobs = dry_run(directory, stronger, *copy)
    assert jobs["noise"] == 2 and "sample_clipart" not in jobs and "embed_images" not in jobs
