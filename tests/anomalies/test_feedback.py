"""Confirmed alarms as evidence: what the file may say, and a study that heeds it."""

import csv
import shutil

import pytest
from layouts import draw
from workflow import snakemake

from swsa_core.anomalies.feedback import SOURCE, confirmed, truths
from swsa_core.anomalies.pool import whole_pool
from swsa_core.basics.errors import InputError
from swsa_core.config.config import validate
from swsa_core.detect import run
from swsa_core.files import layout
from swsa_core.files.text import read_table


def written(path, rows, columns=("path", "score", "truth")):
    with open(path, "w", newline="") as stream:
        table = csv.writer(stream)
        table.writerows([columns, *rows])
    return str(path)


def test_only_what_a_person_said_counts(tmp_path):
    draw(tmp_path / "a.png")
    a = str(tmp_path / "a.png")
    file = written(
        tmp_path / "s.csv", [(a, 1, "Anomalous "), ("b.png", 2, "normal"), ("c.png", 3, ""), (a, 1, "anomalous")]
    )
    assert truths(file) == {a: "anomalous", "b.png": "normal"}
    assert confirmed(file) == [a]
    found = SOURCE.pool.images({"file": file}, 0)
    assert found.to_dict("list") == {"image_id": [a], "path": [a]}
    assert SOURCE.pool.inputs({"file": file}) == [file]
    assert whole_pool(1, ["mine"], "d", "feedback").to_dict("list") == {"task": ["mine"], "row": [0]}
    assert set(run.COLUMNS) >= {"path"}, "what detect writes is enough, with a column more"


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        ([("a", 1, "yes")], ("path", "score", "truth"), "line 2 of .* has the truth 'yes'"),
        ([("a", 1, "anomalous"), ("a", 1, "normal")], ("path", "score", "truth"), "both anomalous and normal"),
        ([("a", 1)], ("path", "score"), "lacks the column 'truth'"),
        ([("a", 1, "normal")], ("path", "score", "truth"), "no row of .* has the truth anomalous"),
        ([("gone.png", 1, "anomalous")], ("path", "score", "truth"), "1 of 1 confirmed images .* first 'gone.png'"),
    ],
)
def test_a_file_that_makes_no_sense(tmp_path, rows, columns, expected):
    with pytest.raises(InputError, match=f"sources.feedback.file: .*{expected}"):
        confirmed(written(tmp_path / "s.csv", rows, columns))


def test_it_is_of_one_task():
    config = {
        "datasets": {name: {"kind": "folder", "root": name} for name in ("a", "b")},
        "sources": {"feedback": {"file": "s.csv"}},
        "candidates": ["descriptor:hog"],
    }
    with pytest.raises(InputError, match="belong to one task, and there are 2 data sets"):
        validate(config)
    with pytest.raises(InputError, match="belong to one task, and data set 'd' has 2"):
        whole_pool(3, ["x", "y"], "d", "feedback")
    with pytest.raises(InputError, match="is not there"):
        SOURCE.pool.inputs({"file": "none.csv"})


@pytest.mark.study
def test_a_study_heeds_it_beside_synthetic_anomalies(tmp_path):
    """Three confirmed images of another kind, by which the whole study is made, its report among it."""
    for i in range(10):
        draw(tmp_path / "parts" / f"{i}.png", seed=i)
    for i in range(3):
        draw(tmp_path / "seen" / f"{i}.jpg", seed=100 + i, size=(20, 60))
    rows = [(f"seen/{i}.jpg", 1, "anomalous") for i in range(3)] + [("parts/0.png", 1, "normal")]
    written(tmp_path / "truth.csv", rows)
    config = {
        "results": "results",
        "datasets": {"parts": {"kind": "folder", "root": str(tmp_path / "parts")}},
        "support": {"seeds": 6},
        "sources": {"cutpaste": {}, "feedback": {"file": "truth.csv"}},
        "candidates": ["descriptor:hog", "descriptor:lbp", "descriptor:color_histogram"],
        "knn": {"k": 2},
        "preparation": {"size": 32},
        "strategies": ["swsa", "swsa_cutpaste", "swsa_feedback"],
        "runtime": {"device": "cpu", "threads": 1},
    }
    snakemake(tmp_path, config)
    results = tmp_path / "results"
    auroc = read_table(layout.at(results, "auroc", dataset="parts"))
    mine = auroc[(auroc["validation"] == "feedback") & (auroc["n_anomalies"].astype(str) == "all")]
    assert set(mine["candidate"]) == {"descriptor:hog", "descriptor:lbp", "descriptor:color_histogram"}
    selection = read_table(layout.at(results, "selection", dataset="parts"))
    assert set(selection[selection["strategy"] == "swsa_feedback"]["source"]) == {"feedback"}
    assert "feedback" in (results / "report.html").read_text()
    shutil.rmtree(results)
