"""What the scripts read of the config is what their rules track, but for what is named here."""

from workflow_scripts.job import Settings, dataset_spec

import ast
import json
import os
import re
import shutil
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from layouts import cub, draw, touch
from workflow import ROOT, dry_run, pretend_finished, snakemake

from swsa_core.basics.errors import InputError
from swsa_core.detectors.scores import Scores
from swsa_core.evaluation.evaluate import check_complete

SCRIPTS = sorted(path for path in (ROOT / "workflow_scripts").glob("*.py") if path.stem != "job")
# These read the whole config, and what they make is no result: `plan` writes no file, `inspect` a page that is written anew
# each time, and of a data set that is fetched the user's keys say only from where and where to.
WHOLE_CONFIG = {"plan", "inspect", "fetch_dataset"}
# Bad images: see the rule `evaluate`. Of split_support also how many images the banks need, which it only checks. The split of
# the real test images: Flowers' tables are read as one, for the support too.
UNTRACKED = {"embed_images": {"on_bad_image"}, "split_support": {"on_bad_image", "real_split"}}
# Of `evaluate` the candidates whose licences stand in a table; of `plan`, which has no results, those that are left out. Of
# `expose` the neighbours that there must be, which it checks before it trains.
UNTRACKED_LEAVES = {"evaluate": {"backbones"}, "plan": {"left_out"}, "expose": {"k"}}


def attributes_read(source):
    """What a script reads of an object's `config` and `params`: the attribute with the key or name that follows, as text."""
    tree = ast.parse(source)
    around = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("config", "params"):
            parent = around[node]
            inner = isinstance(parent, ast.Subscript | ast.Attribute) and parent.value is node
            yield ast.unparse(parent if inner else node)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_read_settings_and_runtime_only(path):
    allowed = {"snakemake.params.config", "planned.config"} if path.stem in WHOLE_CONFIG else set()
    allowed |= {"snakemake.params.source"} if path.stem.startswith("sample_") else set()
    allowed |= (
        {"snakemake.params.candidate"} if path.stem in ("score", "score_exposed", "score_given") else set()
    )  # its name, by the slug in the path
    # of the study that `plan` makes of the config, any key
    read = {
        "planned.config" if name.startswith("planned.config") else name for name in attributes_read(path.read_text())
    }
    assert read <= allowed


def test_the_scan_sees_every_way_to_the_config():
    source = (
        "config = snakemake.config\nseed = snakemake.config['seed']\nsnakemake.config.get('k')\nsnakemake.params[0]"
    )
    found = ["snakemake.config", "snakemake.config['seed']", "snakemake.config.get", "snakemake.params[0]"]
    assert sorted(attributes_read(source)) == sorted(found)


def test_untracked_leaves_are_those_named_here():
    given, leaves = {}, {}
    for path in (ROOT / "rules").glob("*.smk"):
        for rule in re.split(r"^ *rule\b", path.read_text(), flags=re.M)[1:]:
            stage = re.search(r'settings\(\s*"(\w+)"', rule)
            for arguments in re.findall(r"untracked=untracked\(\s*\*\*of_dataset\(([^)]*)\)", rule):
                given[stage[1]] = set(re.findall(r'"([^"]*)"', arguments))
            for arguments in re.findall(r"untracked=untracked\((\w.*)\)", rule):
                leaves[stage[1]] = set(re.findall(r"(\w+)=", arguments))
    assert (given, leaves) == (UNTRACKED, UNTRACKED_LEAVES)


def test_a_key_that_is_not_tracked_cannot_be_read():
    spec = dataset_spec(Settings({"seed": 0, "dataset.kind": "cub", "dataset.groups": None}), tasks=["a"])
    assert (spec["kind"], spec["tasks"]) == ("cub", ["a"])
    assert spec.get("groups", "exact") == "exact"
    for read in (spec.get, Settings.__getitem__.__get__(spec)):
        with pytest.raises(KeyError, match="'min_group_size' is not among the settings that the rule tracks"):
            read("min_group_size")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            "evaluation.protocol",
            "settings of select: evaluation.protocol is no leaf of the config; 'protocol': did you mean",
        ),
        (
            "datasets.{dataset}.grops",
            "settings of select: datasets.{dataset}.grops is no leaf of the config; 'grops': did",
        ),
    ],
)
def test_a_mistyped_leaf_is_an_error(tmp_path, wrong, message):
    for name in ("rules", "workflow_scripts", "swsa_core", "profiles", "envs", "models"):
        (shutil.copytree if name == "rules" else os.symlink)(ROOT / name, tmp_path / name)
    snakefile, rule = (Path(shutil.copy(ROOT / name, tmp_path / name)) for name in ("Snakefile", "rules/evaluate.smk"))
    rule.write_text(rule.read_text().replace('"evaluation.protocols"', f'"{wrong}"'))
    config = CONFIG | {"datasets": {"digits": {"kind": "digits", "tasks": ["3"]}}}
    target = "results/digits/selection.csv"
    output = snakemake(tmp_path / "run", config, "--dry-run", "--snakefile", str(snakefile), target, check=False)
    assert message in output


CONFIG = {
    "results": "results",
    "datasets": {"colours": {"kind": "classes", "root": "colours", "tasks": ["red"], "on_bad_image": "skip"}},
    "support": {"seeds": 4},
    "sources": {"cutpaste": {}},
    "candidates": ["descriptor:hog"],
    "knn": {"k": 2},
    "preparation": {"size": 32},
    "runtime": {"device": "cpu", "threads": 1},
    "evaluation": {"bootstrap": 100},
}
AUROC = "results/colours/auroc.csv"


def test_orders_that_input_files_do_not_keep(tmp_path):
    """What shows all data sets follows their order, tables, t-SNE and total variation that of the sources."""
    for name in ("one", "two"):
        cub(tmp_path / name, make=touch)
    paper = {"paper_tables": 1, "paper_figures": 1, "report": 1}
    config = CONFIG | {
        "datasets": {name: {"kind": "cub", "root": name} for name in ("one", "two")},
        "sources": {"cutpaste": {}, "procedural": {"pool": 10}},
        "strategies": ["random", "swsa_cutpaste"],
    }
    pretend_finished(tmp_path, config)
    turned = {key: dict(reversed(config[key].items())) for key in ("datasets", "sources")}
    assert dry_run(tmp_path, config | {"datasets": turned["datasets"]}) == {
        **{"tables": 1, "strategies": 1, "figures": 1},
        **paper,
    }
    assert dry_run(tmp_path, config | {"sources": turned["sources"]}) == {
        **{"evaluate": 2, "tsne": 2, "total_variation": 2, "select": 2, "tables": 1, "strategies": 1, "figures": 1},
        **{"support_curve": 2, "recommendation": 2},
        **paper,
    }


@pytest.mark.study
@pytest.mark.slow
def test_error_instead_of_skip_tells_of_finished_scores_that_lack_images(tmp_path):
    """It embeds nothing again, and names image, file and key; `skip` then makes the same table."""
    for i in range(6):
        for split in ("train", "test"):
            for label, name in enumerate(("red", "blue")):
                draw(tmp_path / "colours" / split / name / f"{i}.png", seed=100 * label + 10 * len(split) + i)
    bad = tmp_path / "colours" / "test" / "blue" / "1.png"
    bad.write_bytes(bad.read_bytes()[:60])
    snakemake(tmp_path, CONFIG, AUROC)
    before = (tmp_path / AUROC).read_text()
    strict = CONFIG | {"datasets": {"colours": CONFIG["datasets"]["colours"] | {"on_bad_image": "error"}}}
    assert dry_run(tmp_path, strict, AUROC) == {"evaluate": 1}
    output = snakemake(tmp_path, strict, AUROC, check=False)
    assert (
        "evaluate: datasets.colours.on_bad_image: error, but the finished scores leave out image 'test/blue/1.png'"
        in output
    )
    assert "of file 'colours/test/blue/1.png'" in output
    assert "Traceback" not in output
    assert not (tmp_path / AUROC).exists()
    assert dry_run(tmp_path, CONFIG, AUROC) == {"evaluate": 1}
    snakemake(tmp_path, CONFIG, AUROC)
    assert (tmp_path / AUROC).read_text() == before


def test_error_is_fine_where_no_image_is_bad():
    scores = partial(Scores, ["a"], {}, {}, {})
    index = pd.DataFrame({"image_id": ["a", "b"], "path": ["x/a", "x/b"]})
    whole, lacking = (
        scores({"skipped": json.dumps(skipped)}) for skipped in ([], [{"image_id": "b", "reason": "torn"}])
    )
    check_complete({"one": whole, "two": whole}, index, "mine")
    with pytest.raises(InputError, match=r"^datasets\.mine\.on_bad_image: error, but .* 'b' of file 'x/b' \(torn\)"):
        check_complete({"one": whole, "two": lacking}, index, "mine")
