"""Sources that take images as they are: of other tasks and of another source's pool, from the config to the report."""

import numpy as np
import pandas as pd
import pytest
from layouts import draw
from workflow import dry_run, snakemake

from swsa_core.anomalies import SOURCES
from swsa_core.detectors import score_knn
from swsa_core.files import store

BELOW_SCORES = {
    "evaluate": 2,
    "select": 2,
    "support_curve": 2,
    "recommendation": 2,
    "strategies": 1,
    "tables": 1,
    "figures": 1,
    "report": 1,
}


def config_of(directory, sources, datasets=("shapes", "one")):
    roots = {name: {"kind": "classes", "root": str(directory / name)} for name in datasets}
    return {
        "results": "results",
        "datasets": roots,
        "support": {"seeds": 4},
        "sources": sources,
        "candidates": ["descriptor:hog", "descriptor:color_histogram"],
        "knn": {"k": 2},
        "preparation": {"size": 32},
        "runtime": {"device": "cpu", "threads": 1},
        "evaluation": {"bootstrap": 100},
    }


FEW = {"cutpaste": {}, "procedural": {"pool": 10}}
ADDED = {"hard_pool": {"of": "procedural"}, "other_tasks": {}}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished study of a data set of three classes and one of a single class, before and after two sources came."""
    directory = tmp_path_factory.mktemp("sampled")
    for dataset, names in (("shapes", ["circle", "square", "star"]), ("one", ["circle"])):
        for number, name in enumerate(names):
            for split, count in (("train", 6), ("test", 3)):
                for i in range(count):
                    path = directory / dataset / split / name / f"{i}.png"
                    draw(path, seed=number * 100 + len(split) * 10 + i)
    snakemake(directory, config_of(directory, FEW))
    config = config_of(directory, FEW | ADDED)
    planned = dry_run(directory, config)
    return directory, config, planned, snakemake(directory, config)


def test_what_was_made_of_other_sources_and_every_embedding_stays(finished):
    _, _, planned, _ = finished
    assert planned == {"sample_hard_pool": 2, "sample_other_tasks": 1, "score_knn": 4, **BELOW_SCORES}


def test_features_are_those_of_embeddings_that_are_there(finished):
    directory, *_ = finished
    results = directory / "results"
    rows = pd.read_csv(results / "shapes" / "anomalies" / "other_tasks" / "others.csv")
    assert rows.groupby("task").size().to_dict() == dict.fromkeys(["circle", "square", "star"], 4)
    assert (rows.groupby(["task", "other"]).size() == 2).all() and (rows.task != rows.other).all()
    scores = score_knn.read(results / "shapes" / "scores" / "descriptor-hog.h5")
    assert set(scores.anomalies) == {*FEW, *ADDED}
    embedded, _ = store.read(results / "shapes" / "embeddings" / "descriptor-hog" / "support.h5")
    place = {image_id: row for row, image_id in enumerate(embedded["image_id"])}
    first = rows[rows.task == "circle"].image_id.iloc[0]
    bank = embedded["features"][[place[image_id] for image_id in scores.support["image_id"][:6]]]
    nearest = np.sort(((bank - embedded["features"][place[first]]).astype(float) ** 2).sum(1))[:2]
    np.testing.assert_allclose(scores.of_task(scores.anomalies["other_tasks"], "circle")["distances"][0, :2], nearest)


def test_a_data_set_with_one_task_goes_without_and_the_log_and_report_say_so(finished):
    directory, _, _, output = finished
    assert set(score_knn.read(directory / "results" / "one" / "scores" / "descriptor-hog.h5").anomalies) == {
        *FEW,
        "hard_pool",
    }
    assert "one goes without other_tasks: it has one task" in output
    page = (directory / "results" / "report.html").read_text(encoding="utf-8")
    assert (
        "Some other-task anomalies" in page
        and "Some hard-pool anomalies" in page
        and "Some procedural anomalies" in page
    )
    assert SOURCES["hard_pool"].note.split(" by ")[0] in page
    assert "Left out: other-task anomalies" in page
    rows = pd.read_csv(directory / "results" / "tables" / "picks.csv", keep_default_na=False)
    assert set(rows.source[rows.dataset == "one"]) == {*FEW, "hard_pool"}
    assert set(rows.source[rows.dataset == "shapes"]) == {*FEW, *ADDED}


def test_nothing_to_do(finished):
    directory, config, *_ = finished
    assert dry_run(directory, config) == {}


@pytest.mark.parametrize(
    ("sources", "datasets", "words"),
    [
        ({"other_tasks": {}, "cutpaste": {}}, ["shapes", "one"], "stands first"),
        ({"cutpaste": {}, "other_tasks": {}}, ["one"], "has one task"),
    ],
)
def test_where_no_data_set_can_use_it_or_it_decides_a_sentence_says_so(finished, sources, datasets, words):
    directory, *_ = finished
    output = snakemake(directory, config_of(directory, sources, datasets), "--dry-run", check=False)
    assert "Error: sources.other_tasks" in output and words in output and "Traceback" not in output


def test_the_plan_counts_no_embedding_of_them(finished):
    directory, config, *_ = finished
    output = snakemake(directory, config | {"results": "other"}, "plan")
    assert "sample_hard_pool" in output and "sample_other_tasks" in output
