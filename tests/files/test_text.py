"""Text files, JSON and CSV tables are whole or absent, and hold what was written."""

import os

import numpy as np
import pandas as pd
import pytest

from swsa_core.basics.errors import InputError
from swsa_core.files.text import read_json, read_table, read_text, write_json, write_table, write_text


def test_table_keeps_floats_and_text(tmp_path):
    frame = pd.DataFrame({"task": ["001", 'a "b", c', "NA", "nan", "None"], "auroc": [0.1 + 0.2, np.nan, 1 / 3, 0, 1]})
    write_table(tmp_path / "t.csv", frame, ["task", "auroc"])
    back = read_table(tmp_path / "t.csv", ["task", "auroc"], text=["task"])
    assert list(back.task) == ["001", 'a "b", c', "NA", "nan", "None"]
    assert back.auroc.equals(frame.auroc), "bit for bit"
    with pytest.raises(ValueError, match="expected columns"):
        write_table(tmp_path / "t.csv", frame, ["task"])
    with pytest.raises(InputError, match="lacks the columns"):
        read_table(tmp_path / "t.csv", ["real"])


def test_json_keeps_values_and_letters(tmp_path):
    value = {"task": "Größe", "n": [1, 0.1], "none": None}
    write_json(tmp_path / "sub" / "a.json", value)
    assert read_json(tmp_path / "sub" / "a.json") == value and "Größe" in (tmp_path / "sub" / "a.json").read_text(
        "utf-8"
    )
    assert sorted(os.listdir(tmp_path / "sub")) == [".a.json.sha256", "a.json"], "no temporary file is left"


def test_a_file_that_fails_halfway_leaves_the_old_one(tmp_path):
    write_text(tmp_path / "a.csv", "old")
    with pytest.raises(UnicodeEncodeError):
        write_table(tmp_path / "a.csv", pd.DataFrame({"a": ["fine"] * 99_999 + ["\ud800"]}), ["a"])
    assert (tmp_path / "a.csv").read_text() == "old" and sorted(os.listdir(tmp_path)) == [".a.csv.sha256", "a.csv"]
    assert read_text(tmp_path / "a.csv") == "old", "and its checksum"
