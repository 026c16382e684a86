"""What a config edit computes again, and no more: exact job counts of dry runs after a complete run."""

import copy
import os
import shutil
import time

import pytest
from layouts import cub, draw, touch
from workflow import ROOT, dry_run, pretend_finished, snakemake

CANDIDATES = ["descriptor:hog", "descriptor:lbp"]
BELOW_SELECT = {"recommendation": 1, "strategies": 1, "tables": 1, "figures": 1, "report": 1}
BELOW_EVALUATE = {"select": 1, **BELOW_SELECT}
BELOW_SCORES = {"evaluate": 1, **BELOW_EVALUATE}
CURVE = {"support_curve": 1}  # which follows the scores themselves, not how they are evaluated


def base_config(directory):
    return {
        "results": "results",
        "datasets": {"shapes": {"kind": "classes", "root": str(directory / "shapes")}},
        "support": {"seeds": 4},
        "sources": {"cutpaste": {"area": [0.02, 0.15], "aspect": [0.3, 0.9]}, "procedural": {"pool": 10}},
        "candidates": CANDIDATES,
        "knn": {"k": 2},
        "preparation": {"size": 32},
        "runtime": {"device": "cpu", "threads": 1},
        "evaluation": {"bootstrap": 100},
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A directory with a finished run of two classes, and its config."""
    directory = tmp_path_factory.mktemp("reruns")
    for name in ("circle", "square"):
        add_class(directory, name)
    config = base_config(directory)
    snakemake(directory, config)
    return directory, config


def add_class(directory, name):
    for split, count in (("train", 6), ("test", 3)):
        for i in range(count):
            draw(directory / "shapes" / split / name / f"{i}.png", seed=ord(name[0]) * 100 + len(split) * 10 + i)


def edited(config, path, value):
    config = copy.deepcopy(config)
    *steps, last = path.split(".")
    section = config
    for step in steps:
        section = section.setdefault(step, {})
    section[last] = value
    return config


EMBED_ALL = {"embed_images": 2, "embed_support": 2, "embed_anomalies": 2, "embed_pool": 2}
# What is made of the images of a data set: everything but the pool.
IMAGES = {"index_images": 1, "split_support": 2, "cutpaste": 2, "leaks": 1}
IMAGES |= {
    "embed_images": 2,
    "embed_support": 2,
    "embed_anomalies": 2,
    "score_knn": 2,
    "cost": 2,
    **CURVE,
    **BELOW_SCORES,
}


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("runtime.batch_size", 7, {}),
        ("runtime.threads", 2, {}),
        ("runtime.workers", 0, {}),
        ("runtime.device", "auto", {}),
        ("knn.distance", "l2", {"score_knn": 2, "cost": 2, **CURVE, **BELOW_SCORES}),
        (
            "sources.cutpaste.form",
            "scar",
            {"cutpaste": 2, "embed_anomalies": 2, "score_knn": 2, **CURVE, **BELOW_SCORES},
        ),
        (
            "sources.cutpaste.jitter",
            0.1,
            {"cutpaste": 2, "embed_anomalies": 2, "score_knn": 2, **CURVE, **BELOW_SCORES},
        ),
        ("sources.cutpaste.n", None, {}),  # the default, as before there was the key
        ("sources.cutpaste.n", 6, {"cutpaste": 2, "embed_anomalies": 2, "score_knn": 2, **CURVE, **BELOW_SCORES}),
        ("sources.mix", {}, {"mix": 2, "embed_anomalies": 2, "score_knn": 2, **CURVE, **BELOW_SCORES}),
        ("datasets.shapes.on_bad_image", "skip", BELOW_SCORES),  # evaluate tells of images that are left out
        ("datasets.shapes.max_pixels", 300_000_000, {}),  # the default, as before there was the key
        ("datasets.shapes.exclude", [], {}),
        ("datasets.shapes.exclude", ["old"], IMAGES),
        ("datasets.shapes.bit_depth", 10, IMAGES),
        ("datasets.shapes.on_leak", "warn", {}),
        ("datasets.shapes.on_leak", "drop", BELOW_SCORES),
        (
            "seed",
            1,
            {"split_support": 2, "cutpaste": 2, "leaks": 1, "index_pool": 1, "sample_procedural": 1}
            | {
                "embed_support": 2,
                "embed_anomalies": 2,
                "embed_pool": 2,
                "score_knn": 2,
                "cost": 2,
                **CURVE,
                **BELOW_SCORES,
            },
        ),
        ("knn.k", 3, {"score_knn": 2, "cost": 2, **CURVE, **BELOW_SCORES}),
        (
            "sources.cutpaste.area",
            [0.05, 0.15],
            {"cutpaste": 2, "embed_anomalies": 2, "score_knn": 2, **CURVE, **BELOW_SCORES},
        ),
        (
            "sources.cutpaste.aspect",
            [0.5, 2.0],
            {"cutpaste": 2, "embed_anomalies": 2, "score_knn": 2, **CURVE, **BELOW_SCORES},
        ),
        (
            "sources.procedural.pool",
            12,
            {"index_pool": 1, "sample_procedural": 1, "embed_pool": 2, "score_knn": 2, **CURVE, **BELOW_SCORES},
        ),
        ("sources.procedural", None, {"score_knn": 2, **CURVE, **BELOW_SCORES}),
        (
            "candidates",
            [*CANDIDATES, "descriptor:color_histogram"],
            {
                "embed_images": 1,
                "embed_support": 1,
                "embed_anomalies": 1,
                "embed_pool": 1,
                "score_knn": 1,
                "cost": 1,
                **CURVE,
                **BELOW_SCORES,
            },
        ),
        ("candidates", [{"model": CANDIDATES[0], "known_bad": True}, CANDIDATES[1]], {"report": 1}),
        ("candidates", CANDIDATES[:1], CURVE | BELOW_SCORES),
        ("candidates", CANDIDATES[::-1], {"leaks": 1, **CURVE, **BELOW_SCORES}),
        ("evaluation.hardest", ["all", 2], BELOW_SCORES),
        ("evaluation.protocols", ["paired"], BELOW_SCORES),
        ("evaluation.bootstrap", 200, BELOW_SCORES),
        ("evaluation.closest", "shared", BELOW_SCORES),
        ("evaluation.severity", False, {}),  # the default, as before there was the key
        ("evaluation.severity", True, {"severity": 1, "figures": 1, "report": 1}),
        ("strategies", ["random", "swsa_cutpaste"], CURVE | BELOW_EVALUATE),
        ("strategies", ["swsa_cutpaste", "swsa_combined", "rank_ensemble"], CURVE | BELOW_EVALUATE),
        ("strategies", ["swsa_cutpaste", "hits"], CURVE | BELOW_SCORES),  # its quality is computed where it is listed
        (
            "preparation.size",
            48,
            {
                "cutpaste": 2,
                "embed_support": 2,
                "embed_anomalies": 2,
                "embed_pool": 2,
                "score_knn": 2,
                **CURVE,
                **BELOW_SCORES,
            },
        ),
        ("precision", "bfloat16", {**EMBED_ALL, "leaks": 1, "score_knn": 2, "cost": 2, **CURVE, **BELOW_SCORES}),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_config_edit(finished, path, value, expected):
    directory, config = finished
    assert dry_run(directory, edited(config, path, value)) == expected


THREE = ["descriptor:hog", "descriptor:lbp", "descriptor:color_histogram"]
BIRDS = ["001.Black_footed_Albatross", "002.Laysan_Albatross"]
PAPER = {"paper_tables": 1, "paper_figures": 1}


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    """A directory with what a run of the paper's rules would leave, all files empty, and its config."""
    directory = tmp_path_factory.mktemp("papers")
    cub(directory / "cub", BIRDS, make=touch)
    config = base_config(directory) | {
        "datasets": {"cub": {"kind": "cub", "root": str(directory / "cub")}},
        "sources": {"diffusion": {"model": "mini:adm_32"}, "cutpaste": {}},
        "candidates": THREE,
        "clip": {"model": "mini:clip"},
        "strategies": ["largest_model", "random", "swsa_diffusion", "swsa_cutpaste"],
    }
    pretend_finished(directory, config)
    assert dry_run(directory, config) == {}
    return directory, config


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("candidates", THREE[:2], {**CURVE, **BELOW_SCORES, "total_variation": 1, **PAPER}),
        ("strategies", ["random", "swsa_diffusion", "swsa_cutpaste"], {**CURVE, **BELOW_EVALUATE, **PAPER}),
        ("evaluation.bootstrap", 200, {**BELOW_SCORES, "total_variation": 1, **PAPER}),
        ("figures.space", THREE[1], {"tsne": 1, "total_variation": 1, **PAPER, "report": 1}),
        ("figures.tsne.cub", BIRDS[1], {"tsne": 1, **PAPER, "report": 1}),
        ("figures.contact_sheets.cub", BIRDS, {"paper_figures": 1, "report": 1}),
        ("figures.rows", 2, {"paper_figures": 1, "report": 1}),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_config_edit_in_the_papers_study(papers, path, value, expected):
    """A candidate or a strategy that goes scores nothing again; what a figure shows draws that figure."""
    directory, config = papers
    assert dry_run(directory, edited(config, path, value)) == expected


def test_nothing_to_do(finished):
    assert dry_run(*finished) == {}


def test_an_unused_key_is_refused(finished):
    directory, config = finished
    output = snakemake(directory, edited(config, "knn.kk", 3), "--dry-run", check=False)
    assert "knn.kk: unknown key" in output


@pytest.fixture
def copied(finished, tmp_path):
    """A finished run whose data set may be changed."""
    directory, config = finished
    shutil.copytree(directory, tmp_path / "copy", dirs_exist_ok=True, copy_function=shutil.copy2)
    # directory times come from the copy: make the data set older than every result
    past = time.time() - 10**6
    for folder, _, files in os.walk(tmp_path / "copy" / "shapes"):
        for path in (folder, *(os.path.join(folder, file) for file in files)):
            os.utime(path, (past, past))
    config = edited(config, "datasets.shapes.root", "shapes")
    snakemake(tmp_path / "copy", config, "--quiet")
    return tmp_path / "copy", config


def test_new_class_new_image_and_removed_image(copied):
    """A class or image that comes or goes computes that task's stages and those of the data set."""
    directory, config = copied
    embeddings = {"embed_images": 2, "embed_support": 2, "embed_anomalies": 2}
    of_data_set = {"index_images": 1, **embeddings, "leaks": 1, "score_knn": 2, "cost": 2, **CURVE, **BELOW_SCORES}
    image = directory / "shapes" / "train" / "circle" / "new.png"
    draw(image, seed=1)
    assert dry_run(directory, config) == {"split_support": 1, "cutpaste": 1, **of_data_set}
    snakemake(directory, config)
    assert dry_run(directory, config) == {}
    image.unlink()
    assert dry_run(directory, config) == {"split_support": 1, "cutpaste": 1, **of_data_set}
    snakemake(directory, config)
    assert dry_run(directory, config) == {}
    add_class(directory, "triangle")
    assert dry_run(directory, config) == {"split_support": 1, "cutpaste": 1, "sample_procedural": 1, **of_data_set}


def copied_workflow(directory):
    """A copy of the workflow whose code may be changed."""
    for name in ("Snakefile", "rules", "workflow_scripts", "swsa_core", "profiles", "envs", "models"):
        source = ROOT / name
        copy_of = shutil.copytree if source.is_dir() else shutil.copy2
        copy_of(source, directory / name)
    return directory / "Snakefile"


def test_version_bump_beside_an_equal_leaf_and_swapped_leaves(finished, tmp_path):
    """Snakemake compares params as a set of values: neither 1 -> 2 beside a 2 nor two swapped leaves may go unnoticed."""
    directory, config = finished  # knn.k is 2
    snakefile = copied_workflow(tmp_path)
    head = tmp_path / "swsa_core" / "detectors" / "score_knn.py"
    head.write_text(head.read_text().replace("score=by_knn,", "score=by_knn, version=2,"))
    assert dry_run(directory, config, "--snakefile", str(snakefile)) == {"score_knn": 2, **CURVE, **BELOW_SCORES}
    swapped = edited(config, "sources.cutpaste", {"area": [0.3, 0.9], "aspect": [0.02, 0.15]})
    assert dry_run(directory, swapped) == {"cutpaste": 2, "embed_anomalies": 2, "score_knn": 2, **CURVE, **BELOW_SCORES}


def test_code_that_is_only_touched_reruns_nothing(finished, tmp_path):
    directory, config = finished
    snakefile = copied_workflow(tmp_path)
    for path in tmp_path.rglob("*.py"):
        path.touch()
    assert dry_run(directory, config, "--snakefile", str(snakefile)) == {}


def test_touched_recipes_train_nothing(tmp_path):
    """Bundled weights are inputs: the demo never trains, whatever the file times of the recipes."""
    import yaml

    snakefile = copied_workflow(tmp_path)
    for path in (tmp_path / "swsa_core" / "mini").rglob("*"):
        path.touch()
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    jobs = dry_run(tmp_path / "run", config, "--snakefile", str(snakefile))
    assert jobs["embed_images"] == len(config["candidates"]) + 1  # CLIP
    assert not {"train_mini", "mini_models"} & set(jobs)
    assert dry_run(tmp_path / "run", config, "--snakefile", str(snakefile), "mini_models")["train_mini"] >= 4
