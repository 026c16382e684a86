"""A table is read as it was written, and one with other columns is refused by their names."""

import numpy as np
import pandas as pd
import pytest

from swsa_core.basics.errors import InputError
from swsa_core.files.table import Table

TABLE = Table("auroc", "task n_anomalies auroc n_normal right warning", numbers="auroc n_normal right")


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "warning": ["", "a, b", 'of "c"'],
            "task": ["001", "NA", ""],
            "n_anomalies": ["all", "10", "5"],
            "auroc": [1 / 3, np.nan, np.nextafter(1, 0)],
            "n_normal": [3, 4, 5],
            "right": [True, False, True],
        }
    )


def test_order_and_kind_of_the_columns():
    assert TABLE.columns == ["task", "n_anomalies", "auroc", "n_normal", "right", "warning"]
    assert TABLE.text == ["task", "n_anomalies", "warning"]


def test_a_table_comes_back_exactly(tmp_path, frame):
    path = tmp_path / "new" / "auroc.csv"
    TABLE.write(path, frame)
    back = TABLE.read(path)
    pd.testing.assert_frame_equal(back, frame[TABLE.columns].astype(back.dtypes), check_exact=True)
    assert [str(back[name].dtype) for name in TABLE.columns] == ["str", "str", "float64", "int64", "bool", "str"]
    TABLE.write(tmp_path / "again.csv", back)
    assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()


def test_text_stays_text_where_all_of_it_looks_like_numbers_or_is_empty(tmp_path, frame):
    for column in (["1", "2", "3"], ["", "", ""]):
        TABLE.write(tmp_path / "a.csv", frame.assign(n_anomalies=column))
        assert TABLE.read(tmp_path / "a.csv")["n_anomalies"].tolist() == column


def test_an_empty_table_keeps_its_columns(tmp_path, frame):
    TABLE.write(tmp_path / "a.csv", frame.iloc[:0])
    assert TABLE.read(tmp_path / "a.csv").columns.tolist() == TABLE.columns


OTHERS = {
    "missing": ({"columns": ["task", "auroc"]}, {}, r"it lacks the columns \['task', 'auroc'\]$"),
    "unknown": ({}, {"tau": 1, "p": 2}, r"it has the unknown columns \['tau', 'p'\]$"),
    "renamed": (
        {"columns": ["auroc"]},
        {"roc": 1},
        r"it lacks the columns \['auroc'\] and it has the unknown columns \['roc'\]$",
    ),
}


@pytest.mark.parametrize("what", OTHERS)
def test_other_columns_are_named(what, tmp_path, frame):
    dropped, added, message = OTHERS[what]
    changed = frame.drop(**dropped).assign(**added) if dropped else frame.assign(**added)
    with pytest.raises(ValueError, match=rf"a\.csv is not written as table auroc: {message}"):
        TABLE.write(tmp_path / "a.csv", changed)
    assert not (tmp_path / "a.csv").exists()
    changed.to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(InputError, match=rf"a\.csv does not hold the table auroc: {message[:-1]}; if another version"):
        TABLE.read(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("names", "numbers", "message"), [("a b", "c", r"the numbers \['c'\] are not among"), ("a b a", "b", "twice")]
)
def test_a_table_that_contradicts_itself_is_refused(names, numbers, message):
    with pytest.raises(ValueError, match=message):
        Table("t", names, numbers=numbers)
