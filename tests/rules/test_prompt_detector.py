"""The detector of a study's prompts: it scores as in the selection."""

from pathlib import Path

import numpy as np
import pytest
from workflow import snakemake

from swsa_core.datasets import INDEX
from swsa_core.detect import load_detector
from swsa_core.detect.__main__ import main as detect
from swsa_core.detectors import score_clip
from swsa_core.files import layout
from swsa_core.strategies.select import SELECTION

CONFIG = {
    "results": "results",
    "datasets": {"digits": {"kind": "digits", "tasks": ["0", "3"]}},
    "support": {"seeds": 6},
    "sources": {"cutpaste": {}},
    "candidates": ["descriptor:hog", "descriptor:lbp"],
    "clip": {"model": "mini:clip"},
    "strategies": ["swsa", "default_prompt", "prompt_ensemble"],
    "preparation": {"size": 32},
    "runtime": {"device": "cpu", "threads": 1},
}


@pytest.mark.study
def test_the_prompts_of_a_study_as_a_detector(tmp_path, capsys):
    goal = layout.at("results", "prompt_detector", dataset="digits")
    snakemake(tmp_path, CONFIG, goal)
    folder = Path(tmp_path / goal).parent
    detector = load_detector(folder)
    results = tmp_path / "results"
    (path,) = (one for one in (results / "digits" / "scores").glob("*clip*.h5"))
    every = score_clip.read(path)
    picks = SELECTION.read(layout.at(results, "selection", dataset="digits"))
    picks = picks[(picks["selection"] == "prompt") & (picks["strategy"] == "swsa")]
    index = INDEX.read(layout.at(results, "images", dataset="digits")).set_index("image_id")
    for task in ("0", "3"):
        name = picks[picks["task"] == task]["candidate"].iloc[0]
        assert detector.part(task).members == [name]
        test = every[name].test
        selected = test["scores"][:, every[name].tasks.index(task)]
        scored = detector.look(index.loc[test["image_id"], "path"].tolist(), task)
        np.testing.assert_allclose(scored.scores, selected, rtol=0, atol=1e-4 * np.ptp(selected))
        assert set(scored.nearest) == {""}
        normals = detector.part(task).normals
        assert len(normals) == 30 and np.ptp(normals) > 0
    assert "CLIP prompt" in (folder / "README.md").read_text()
    assert detect([str(folder), "digits:700", "--task", "3"]) == 2  # which is no file
    assert "is not there" in capsys.readouterr().err
