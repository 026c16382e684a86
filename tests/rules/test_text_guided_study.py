"""config/text_guided.yaml, reduced, from text and training to the report."""

import pandas as pd
import pytest
import yaml
from workflow import ROOT, dry_run, snakemake

from swsa_core.config.config import validate

CONFIG = ROOT / "config" / "text_guided.yaml"
EARLIER = ROOT / "config" / "paper_2023.yaml"


def reduced():
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    config["results"] = "results"
    config["datasets"]["digits"]["tasks"] = ["3", "8"]
    config["support"] = {"seeds": 4}
    config["sources"]["text_guided"] |= {"steps": 4, "texts": ["a photo of a letter"], "alphas": [0.5, 1], "epochs": 2}
    exposures = [one for one in config["candidates"] if not isinstance(one, str)]
    config["candidates"] = ["mini:vit_s", exposures[1] | {"exposure": exposures[1]["exposure"] | {"epochs": 2}}]
    config["evaluation"] |= {"bootstrap": 100}
    return config


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("text_guided")
    snakemake(directory, reduced())
    return directory


@pytest.mark.study
@pytest.mark.slow
def test_both_systems_reach_the_tables_and_the_report(finished):
    results = finished / "results"
    severity = pd.read_csv(results / "digits" / "severity.csv")
    graded = severity[severity["source"] == "text_guided"]
    assert sorted(graded["strength"].unique()) == [0.5, 1] and set(graded["task"].astype(str)) == {"3", "8"}
    table = pd.read_csv(results / "tables" / "before_after.csv")
    assert set(table["setting"]) == {"one_vs_rest", "one_vs_closest", "one_vs_one"}
    assert table[["before", "after"]].apply(lambda column: column.between(0, 1)).all(axis=None)
    selection = pd.read_csv(results / "digits" / "selection.csv")
    own = selection[selection["strategy"] == "swsa_text_guided"]
    assert set(own["candidate"]) == {"mini:vit_s"}, "a network is not compared by the anomalies that it learnt from"
    page = (results / "report.html").read_text(encoding="utf-8")
    for told in ("a photo of a letter", "mini:vit_s+text_guided regression", "loss in training", "digits.severity"):
        assert told in page, told


@pytest.mark.study
@pytest.mark.slow
def test_an_edited_text_trains_that_one_alone(finished):
    config = reduced()
    assert dry_run(finished, config) == {}
    config["sources"]["text_guided"]["texts"].append("fire")
    jobs = dry_run(finished, config)
    assert jobs["train_text_guided"] == 1 and jobs["text_guided"] == 2 and jobs["expose"] == 1
    assert not set(jobs) & {"invert_text_guided", "embed_images", "embed_support", "cutpaste"}


def test_the_earlier_version_s_study():
    config = validate(yaml.safe_load(EARLIER.read_text(encoding="utf-8")))
    learnt = [one["exposure"]["task"] for one in config["candidates"] if one.get("exposure")]
    assert sorted(learnt) == ["classification"] * 2 + ["regression"] * 2
    assert "one_vs_one" in config["evaluation"]["settings"] and "text_guided" in config["sources"]
    assert next(iter(config["sources"])) == "tiny_imagenet" and config["knn"]["distance"] == "l2"
