"""The report's part on prompts, from the tables of a small made-up study."""

import numpy as np
import pandas as pd
import pytest

from swsa_core.report_prompts import prompt_parts

TEMPLATES = [["a {}", "no {}"], ["the {}", "something"]]
NAMES = ["a {}", "the {}", "prompt_ensemble"]


def study(labelled=True):
    """(datasets, auroc, picks) of one task whose second prompt is picked and whose first one is the best."""
    rows = [("cutpaste", "leave_one_out", "", name, value) for name, value in zip(NAMES, (0.6, 0.8, 0.7), strict=True)]
    if labelled:
        rows += [("real", "", "one_vs_rest", name, value) for name, value in zip(NAMES, (0.9, 0.85, 0.95), strict=True)]
    auroc = pd.DataFrame(rows, columns=["validation", "protocol", "setting", "candidate", "auroc"])
    auroc = auroc.assign(dataset="d", task="t", n_anomalies="all")
    harder = auroc[auroc["validation"] != "real"].assign(n_anomalies="5", auroc=0.1)
    pick = {"dataset": "d", "task": "t", "source": "cutpaste", "protocol": "leave_one_out", "candidate": "the {}"}
    picks = pd.DataFrame([pick | {"recommended": True}, pick | {"source": "diffusion", "recommended": False}])
    return {"d": {"templates": TEMPLATES}}, pd.concat([auroc, harder]), picks


def test_every_prompt_stands_with_its_aurocs():
    (part,) = prompt_parts(*study())
    assert (part["name"], part["source"], part["settings"]) == ("d", "cutpaste", ["one_vs_rest"])
    (task,) = part["tasks"]
    first, second = task["prompts"]
    assert (first["normal"], first["anomalous"], first["synthetic"]) == ("a {}", "no {}", 0.6)
    assert first["real"] == {"one_vs_rest": 0.9} and first["best"] == {"one_vs_rest"} and not first["picked"]
    assert second["picked"] and not second["best"]
    assert task["ensemble"]["synthetic"] == 0.7 and task["ensemble"]["real"] == {"one_vs_rest": 0.95}


def test_without_labels_there_are_synthetic_figures_only():
    (part,) = prompt_parts(*study(labelled=False))
    assert part["settings"] == []
    assert [row["real"] for row in part["tasks"][0]["prompts"]] == [{}, {}]


def test_a_task_without_labels_among_labelled_ones_has_unknown_real_figures():
    datasets, auroc, picks = study()
    unlabelled = auroc[auroc["validation"] != "real"].assign(task="u")
    (part,) = prompt_parts(datasets, pd.concat([auroc, unlabelled]), pd.concat([picks, picks.assign(task="u")]))
    assert [task["pick"]["task"] for task in part["tasks"]] == ["t", "u"]
    row = part["tasks"][1]["prompts"][0]
    assert np.isnan(row["real"]["one_vs_rest"]) and row["best"] == set()
    assert part["tasks"][1]["ensemble"]["synthetic"] == pytest.approx(0.7)
