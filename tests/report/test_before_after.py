"""The table of before and after: means over the tasks that have both, by hand."""

import numpy as np
import pandas as pd

from swsa_core.report.before_after import BEFORE_AFTER, before_after

PAIRS = {"small+cutpaste regression": ["small", "cutpaste", "regression"]}
AUROCS = {  # {(task, candidate): AUROC}
    **{("a", "small"): 0.7, ("b", "small"): 0.9, ("c", "small"): 0.5},
    **{("a", "small+cutpaste regression"): 0.8, ("b", "small+cutpaste regression"): 0.6},
}


def rows(setting="one_vs_rest", validation="real"):
    return [
        {"dataset": "birds", "selection": "model", "task": task, "candidate": name, "validation": validation}
        | {"setting": setting, "auroc": auroc}
        for (task, name), auroc in AUROCS.items()
    ]


def test_means_and_differences_are_of_the_tasks_that_have_both():
    table = before_after(pd.DataFrame(rows() + rows("", "cutpaste")), PAIRS, 0)
    assert list(table.columns) == BEFORE_AFTER.columns
    (row,) = table.to_dict("records")
    assert [row[name] for name in ("dataset", "candidate", "backbone", "task", "source", "n_tasks")] == [
        *("birds", "small+cutpaste regression", "small", "regression", "cutpaste", 2)
    ]
    np.testing.assert_allclose([row["before"], row["after"], row["difference"]], [0.8, 0.7, -0.1])
    np.testing.assert_allclose([row["difference_low"], row["difference_high"]], [-0.3, 0.1])


def test_without_real_labels_there_are_no_rows():
    assert before_after(pd.DataFrame(rows("", "cutpaste")), PAIRS, 0).empty
