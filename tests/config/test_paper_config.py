"""config/paper.yaml and its variants: complete, in the stated order, and merged as Snakemake merges them."""

import csv
import re
from collections import Counter
from pathlib import Path

import layouts
import pytest
import yaml
from layouts import SHARED
from snakemake.utils import update_config

from swsa_core.basics.errors import InputError
from swsa_core.config.config import validate
from swsa_core.datasets import KINDS
from swsa_core.plan.costs import backbone_cost
from swsa_core.plan.sizes import official_size

ROOT = Path(__file__).parents[2]
PAPER = ROOT / "config" / "paper.yaml"
VARIANTS = sorted((ROOT / "config" / "variants").glob("*.yaml"))
# {variant: (config key, its value then)}
SWITCHES = {
    "content_h_reconstruction": ("sources.diffusion.content_h", "reconstruction"),
    "cutpaste_jitter": ("sources.cutpaste.jitter", 0.1),
    "cutpaste_scar": ("sources.cutpaste.form", "scar"),
    "dt_lambda": ("sources.diffusion.dt_lambda", 0.9985),
    "float32": ("precision", "float32"),
    "flowers_val": ("datasets.flowers.real_split", "val"),
    "industrial_something": ("datasets.visa.templates.0", ["a photo of a {}", "a photo of something"]),
    "l2_distance": ("knn.distance", "l2"),
    "l2_normalize": ("knn.l2_normalize", True),
    "leave_one_out": ("evaluation.protocols", ["leave_one_out", "paired", "paper"]),
    "mean_rank_hardest": ("evaluation.hardest_by", "mean_rank"),
    "more_strategies": ("strategies.7", "swsa_combined"),
    "original_preparation": ("preparation", "original"),
    "shared_closest": ("evaluation.closest", "shared"),
    "slerp": ("sources.diffusion.interpolation", "slerp"),
    "t_edit": ("sources.diffusion.t_edit", 500),
    "timm_orig_in21k": ("candidates.0.model", "timm:vit_huge_patch14_224.orig_in21k"),
    "tiny_imagenet_pool": ("sources.tiny_imagenet.pool", 20000),
    "tiny_imagenet_selection": ("strategies", None),
    "visa_atomic": ("datasets.visa.groups", "atomic"),
    "visa_min_group_size": ("datasets.visa.min_group_size", 5),
}


def read(path):
    return yaml.safe_load(path.read_text())


def merged(variant):
    config = read(PAPER)
    update_config(config, read(variant))
    return validate(config)


def value_at(config, path):
    for step in path.split("."):
        config = config[int(step)] if isinstance(config, list) else config[step]
    return config


def test_the_paper_s_study():
    config = validate(read(PAPER))
    assert {spec["kind"]: len(official_size(spec).tasks) for spec in config["datasets"].values()} == {
        "cub": 200,
        "flowers": 102,
        "mvtec_ad": 15,
        "visa": 12,
    }
    assert {name: spec["support"]["seeds"] for name, spec in config["datasets"].items()} == {
        "cub": 20,
        "flowers": 10,
        "mvtec_ad": 20,
        "visa": 20,
    }
    assert list(config["sources"]) == ["diffusion", "cutpaste", "tiny_imagenet"]
    assert config["evaluation"]["protocols"] == ["paper", "leave_one_out", "paired"]
    assert all(len(spec["templates"]) == 10 for spec in config["datasets"].values())
    assert not any(spec.get("accept_license") for spec in config["datasets"].values())


def test_candidates_stand_the_largest_first():
    candidates = validate(read(PAPER))["candidates"]
    assert len(candidates) == 10
    sizes = [backbone_cost(candidate).parameters for candidate in candidates]
    assert sizes == sorted(sizes, reverse=True)


def test_every_variant_is_checked_here():
    assert {path.stem for path in VARIANTS} == set(SWITCHES)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda path: path.stem)
def test_variants_follow_the_paper_s_config(variant):
    paper, config = validate(read(PAPER)), merged(variant)
    path, value = SWITCHES[variant.stem]
    if value is not None:
        assert value_at(config, path) == value
        section = path.split(".")[0]
        assert config[section] != paper[section]
    generated = [[each["sources"].get(name) for name in ("diffusion", "cutpaste")] for each in (paper, config)]
    made_anew = generated[0] != generated[1] or any(paper[key] != config[key] for key in ("preparation", "precision"))
    assert (config["results"] != paper["results"]) == made_anew, "a directory of its own where anomalies are made anew"


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda path: path.stem)
def test_variants_say_how_they_are_run(variant):
    command = f"--configfile config/paper.yaml config/variants/{variant.name}"
    assert variant.read_text().startswith("# ")
    assert re.search(rf"^#   snakemake .*{re.escape(command)}$", variant.read_text(), re.M)
    with pytest.raises(InputError, match=r"after a complete one: --configfile <complete>.yaml <changes>.yaml"):
        validate(read(variant))


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda path: path.stem)
def test_variants_leave_data_sets_out_only_in_a_directory_of_their_own(variant):
    """In results/paper the figures and the report of the whole study would be replaced by those of a part of it."""
    paper, config = validate(read(PAPER)), merged(variant)
    if config["results"] == paper["results"]:
        assert (list(config["datasets"]), list(config["sources"])) == (list(paper["datasets"]), list(paper["sources"]))


def test_earlier_version_s_figures():
    """That on Tiny-ImageNet is a variant; that on MVTec-AD is part of the study, with one-vs-one among its settings."""
    tiny = merged(ROOT / "config/variants/tiny_imagenet_selection.yaml")
    assert (list(tiny["datasets"]), list(tiny["sources"])) == (["cub", "flowers"], ["tiny_imagenet"])
    assert "one_vs_one" in validate(read(PAPER))["evaluation"]["settings"]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the official split files are not there")
def test_published_numbers_are_those_of_the_official_files():
    from scipy.io import loadmat

    def published(kind, **changes):
        return KINDS[kind].published_size(layouts.spec(kind, "x", **changes))

    data = SHARED / "data"
    is_train = Counter(line.split()[1] for line in (data / "CUB_200_2011/train_test_split.txt").open())
    n_classes = len((data / "CUB_200_2011/classes.txt").read_text().split("\n")) - 1
    assert (n_classes, is_train["1"], is_train["0"]) == published("cub")
    flowers = loadmat(data / "flowers102/setid.mat")
    n_labels = loadmat(data / "flowers102/imagelabels.mat")["labels"].max()
    assert (n_labels, flowers["trnid"].size, flowers["tstid"].size) == published("flowers")
    assert flowers["valid"].size == published("flowers", real_split="val").test
    for kind, path, name, count in (
        ("mvtec_ad", "mvtec_ad/mvtec_counts.csv", "category", lambda row: int(row["count"])),
        ("visa", "visa/split_csv/1cls.csv", "object", lambda row: 1),
    ):
        with (data / path).open(newline="") as file:
            rows = list(csv.DictReader(file))
        images = Counter()
        for row in rows:
            images[row["split"]] += count(row)
        assert (len({row[name] for row in rows}), images["train"], images["test"]) == published(kind)
