"""The severity curve: AUROCs of the levels of strength, whose mean is that of all anomalies."""

import numpy as np
import pytest
import scored

from swsa_core.evaluation.protocols import compare
from swsa_core.evaluation.severity import BINS, SEVERITY, levels, severity
from swsa_core.report.severity import severity_figure, training_figure


def test_few_strengths_stay_and_many_become_bins_of_equal_size():
    level, values = levels(np.array([0.5, 1.5, 0.5, 1.5, 1.0, 1.0]))
    assert values.tolist() == [0.5, 1.0, 1.5] and level.tolist() == [0, 2, 0, 2, 1, 1]
    strengths = np.random.default_rng(0).random(100)
    level, values = levels(strengths)
    assert np.bincount(level).tolist() == [20] * BINS
    np.testing.assert_allclose(values, [strengths[level == i].mean() for i in range(BINS)])
    assert (np.diff(values) > 0).all()
    assert levels(np.ones(30))[1].tolist() == [1.0]


@pytest.mark.parametrize("protocol", ["leave_one_out", "paired", "paper"])
def test_levels_make_up_the_auroc_of_all_anomalies(protocol):
    scores = {"one": scored.study(seed=1).scores(), "two": scored.study(seed=1).scores()}
    first = scores["one"]
    source, tasks = next(iter(first.anomalies)), first.tasks
    number = {task: len(first.of_task(first.anomalies[source], task)["task"]) for task in tasks}
    strengths = {task: np.arange(n) % 2 + 1.0 for task, n in number.items()}
    table = severity(scores, {source: strengths}, [protocol])
    assert list(table.columns) == SEVERITY.columns and len(table) == 2 * 2 * len(tasks)
    for (candidate, task), rows in table.groupby(["candidate", "task"]):
        assert rows["strength"].tolist() == [1.0, 2.0] and rows["n"].sum() == number[task]
        expected = compare(scores[candidate], task, source, protocol).wins.mean()
        assert np.average(rows["auroc"], weights=rows["n"]) == pytest.approx(expected)


def test_the_figures_have_a_line_per_candidate_and_text():
    import pandas as pd

    rows = [(name, "t", "cutpaste", "paired", x, 5, 0.5 + x / 2) for name in ("one", "two") for x in (0.1, 0.2)]
    figure = severity_figure(pd.DataFrame(rows, columns=SEVERITY.columns), "paired", ["one", "two"])
    assert len([line for line in figure.axes[0].lines if len(line.get_xdata()) == 2]) >= 2
    losses = pd.DataFrame({"text": ["a", "a", "b", "b"], "epoch": [1, 2, 1, 2], "loss": [1, 0.5, 1, 0.7]})
    assert len(training_figure(losses).axes[0].lines) == 2
