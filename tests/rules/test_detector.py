"""The detector of a study: it scores as in the selection, and answers the command."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
from layouts import draw
from workflow import snakemake

from swsa_core.detect import load_detector
from swsa_core.detect.__main__ import main as detect
from swsa_core.detectors import score_knn
from swsa_core.detectors.together import together
from swsa_core.report.detector_page import percent

HEADS = ["knn", "cosine", "mahalanobis", "patch"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A finished study of two tasks, with the detector of each head alone and of an ensemble."""
    directory = tmp_path_factory.mktemp("detector")
    for name in ("circle", "square"):
        for split, count in (("train", 8), ("test", 4)):
            for i in range(count):
                draw(directory / "shapes" / split / name / f"{i}.png", seed=i)
    config = {
        "results": "results",
        "datasets": {"shapes": {"kind": "classes", "root": str(directory / "shapes")}},
        "support": {"seeds": 4},
        "sources": {"cutpaste": {}, "defects": {}},
        "candidates": [{"model": "mini:resnet_s", "heads": HEADS}, "descriptor:hog", "descriptor:color_histogram"],
        "knn": {"k": 2},
        "patch": {"grid": 4, "bank": 60},
        "preparation": {"size": 32},
        "strategies": ["swsa_ensemble", "swsa"],
        "runtime": {"device": "cpu", "threads": 1},
    }
    snakemake(directory, config, "detectors")
    return directory, config


def folder_of(study):
    return study[0] / "results" / "shapes" / "detector"


def test_scores_are_those_of_the_selection(study):
    directory, _ = study
    detector = load_detector(folder_of(study))
    for task in ("circle", "square"):
        part = detector.part(task)
        files = {
            one.attributes["candidate"]: one
            for one in map(score_knn.read, (directory / "results/shapes/scores").glob("*.h5"))
        }
        of_members = [files[name] for name in part.members]
        ids = list(of_members[0].test["image_id"])
        selected = np.stack([one.test["scores"][:, one.tasks.index(task)] for one in of_members], axis=1)
        expected = selected[:, 0] if part.scale is None else together(selected, part.scale)
        found = detector.score([directory / "shapes" / image_id for image_id in ids], task)
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.ptp(expected))


def test_the_page_shows_the_tasks_of_the_detector(study):
    page = (folder_of(study) / "page.html").read_text()
    detector = load_detector(folder_of(study))
    numbers = json.loads(re.search(r'id="numbers">(.*?)</script>', page)[1])
    for (name, part), shown in zip(detector.parts.items(), numbers, strict=True):
        usual = shown["steps"][0]
        assert shown["n"] == len(part.normals) == 8 and usual["text"]["level"] == f"{part.normals.max():.4g}"
        found = [one["found"] for one in part.facts["sources"].values()]
        assert usual["found"] == [percent(share) for share in found], name
    assert page.count("<section") == 2 and page.count('class="mark"') >= 2 * 2 * 3


def run(capsys, *arguments):
    """(exit status, rows of the CSV that was printed, what was told) of a call of the command."""
    status = detect([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return status, list(csv.DictReader(printed.out.splitlines())), printed.err


def test_normals_look_normal_to_the_command(study, capsys):
    directory, _ = study
    status, rows, told = run(capsys, folder_of(study), directory / "shapes/train/circle", "--task", "circle")
    assert status == 0
    assert len(rows) == 8
    assert {row["verdict"] for row in rows} == {"normal"}, "each is its own neighbour in the bank"
    assert all(row["nearest"].endswith(row["path"].rpartition("/")[2]) for row in rows)
    assert "8 images in" in told and "0 alarms" in told


def test_images_that_cannot_be_read_are_rows_with_their_reason(study, tmp_path, capsys):
    shutil.copy(study[0] / "shapes/test/square/0.png", tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    (tmp_path / "list.txt").write_text(f"{tmp_path}/a.png\n{tmp_path}/gone.png\n{tmp_path}/b.png\n")
    status, rows, told = run(capsys, folder_of(study), f"@{tmp_path / 'list.txt'}", "--task", "circle")
    assert status == 0
    assert [row["verdict"] == "not read" for row in rows] == [False, True, True]
    assert rows[0]["reason"] == "" and float(rows[0]["score"])
    assert "gone.png" in rows[1]["reason"] and "not an image" in rows[2]["reason"]
    assert rows[1]["score"] == rows[1]["p"] == rows[1]["nearest"] == ""
    assert "2 images cannot be read" in told


def test_the_csv_is_written_whole(study, tmp_path, capsys):
    output = tmp_path / "scores.csv"
    status, rows, _ = run(capsys, folder_of(study), study[0] / "shapes/test", "--task", "square", "-o", output)
    assert status == 0 and not rows
    with output.open(newline="") as stream:
        written = list(csv.DictReader(stream))
    assert len(written) == 8
    part = load_detector(folder_of(study)).part("square")
    for row in written:
        p = (1 + (part.normals >= float(row["score"])).sum()) / (len(part.normals) + 1)
        assert float(row["p"]) == pytest.approx(p, abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nowhere", "x.png"], "is no detector"),
        (["{detector}", "{shapes}/none.png", "--task", "circle"], "is not there"),
        (["{detector}", "{shapes}"], "say which by --task"),
        (["{detector}", "{shapes}", "--task", "circel"], "did you mean 'circle'"),
        (
            ["{detector}", "{shapes}", "--task", "circle", "--false-alarms", "0.01"],
            "1 false alarm in 9. Ask for 0.112 or more",
        ),
        (["{detector}", "{shapes}", "--task", "circle", "--false-alarms", "2"], "expected a share between 0 and 1"),
    ],
)
def test_bad_use_ends_with_2_and_a_sentence(study, capsys, arguments, expected):
    names = {"detector": folder_of(study), "shapes": study[0] / "shapes/test"}
    status, rows, told = run(capsys, *(argument.format(**names) for argument in arguments))
    assert status == 2
    assert not rows
    assert expected in told and told.count("\n") == 1
