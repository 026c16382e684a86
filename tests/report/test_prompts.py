"""The report's part on prompts, from the tables of a small made-up study."""

import numpy as np
import pandas as pd
import pytest
import studies
from pages import Page

from swsa_core.candidates.mini import CLIP_NOTE
from swsa_core.report import page as report
from swsa_core.report import tables
from swsa_core.report.prompts import prompt_parts

pytestmark = pytest.mark.filterwarnings("error")  # what a warning says would stand between the job's messages

TEMPLATES = [["a {}", "no {}"], ["the {}", "something"]]
NAMES = ["a {}", "the {}", "prompt_ensemble"]
CONFIG = {
    "datasets": {"d": {"kind": "folder", "templates": TEMPLATES}},
    "clip": {"model": "open_clip:ViT-B-16", "weights": "openai"},
    "evaluation": {"protocols": ["leave_one_out"]},
    "sources": {"cutpaste": {}},
}
CLASS_NAMES = {"d": {"t": "metal nut", "u": "<b>&"}}


def study(labelled=True):
    """auroc and picks of one task whose second prompt is picked and whose first one is the best."""
    rows = [("cutpaste", "leave_one_out", "", name, value) for name, value in zip(NAMES, (0.6, 0.8, 0.7), strict=True)]
    if labelled:
        rows += [("real", "", "one_vs_rest", name, value) for name, value in zip(NAMES, (0.9, 0.85, 0.95), strict=True)]
    auroc = pd.DataFrame(rows, columns=["validation", "protocol", "setting", "candidate", "auroc"])
    auroc = auroc.assign(dataset="d", task="t", n_anomalies="all")
    harder = auroc[auroc["validation"] != "real"].assign(n_anomalies="5", auroc=0.1)
    pick = {"dataset": "d", "task": "t", "source": "cutpaste", "protocol": "leave_one_out", "candidate": "the {}"}
    picks = pd.DataFrame([pick | {"recommended": True}, pick | {"source": "diffusion", "recommended": False}])
    return pd.concat([auroc, harder]), picks


def parts(auroc, picks, config=CONFIG):
    return prompt_parts(config, auroc, picks, CLASS_NAMES)


def with_clip(model, kind):
    return CONFIG | {
        "clip": {"model": model, "weights": None},
        "datasets": {"d": CONFIG["datasets"]["d"] | {"kind": kind}},
    }


def page(tasks=("t",), labelled=True, config=CONFIG):
    """The report of a made-up study that selects among detectors and among the prompts of TEMPLATES."""
    datasets, sources, protocols = {"d": (list(tasks), labelled)}, ["cutpaste"], ["leave_one_out"]
    models = studies.study(datasets, ["hog", "lbp"], sources, protocols)
    prompts = studies.study(datasets, NAMES[:2], sources, protocols)
    auroc = prompts["auroc"]
    auroc = pd.concat([auroc, auroc[auroc["candidate"] == NAMES[0]].assign(candidate=NAMES[2])])
    auroc = auroc.assign(selection="prompt")
    selection = pd.concat([models["selection"], prompts["selection"].assign(selection="prompt")])
    picks = tables.picks(selection, pd.concat([models["auroc"], auroc]), protocols, models["strategies"])
    return Page(
        report.render(
            config=config,
            picks=picks,
            table1=tables.table1(selection),
            pick_counts=tables.pick_counts(selection),
            candidates=studies.with_costs(models["candidates"]),
            sheets=[],
            svgs={},
            skipped=[],
            costs=tables.stage_costs(pd.DataFrame(columns=["stage", "s", "max_rss", "gpu_mb"])),
            versions={},
            auroc=auroc,
            class_names=CLASS_NAMES,
        )
    ).text


def test_every_prompt_stands_with_its_aurocs():
    (part,) = parts(*study())
    assert (part["name"], part["source"], part["settings"]) == ("d", "cutpaste", ["one_vs_rest"])
    (task,) = part["tasks"]
    first, second = task["prompts"]
    assert (first["normal"], first["anomalous"], first["synthetic"]) == ("a {}", "no {}", 0.6)
    assert first["real"] == {"one_vs_rest": 0.9} and first["best"] == {"one_vs_rest"} and not first["picked"]
    assert second["picked"] and not second["best"]
    assert task["ensemble"]["synthetic"] == 0.7 and task["ensemble"]["real"] == {"one_vs_rest": 0.95}


def test_the_texts_hold_the_class_name():
    (task,) = parts(*study())[0]["tasks"]
    assert task["class_name"] == "metal nut"
    assert [row["texts"] for row in task["prompts"]] == [
        ["a metal nut", "no metal nut"],
        ["the metal nut", "something"],
    ]


def test_without_labels_there_are_synthetic_figures_only():
    (part,) = parts(*study(labelled=False))
    assert part["settings"] == []
    assert [row["real"] for row in part["tasks"][0]["prompts"]] == [{}, {}]


def test_a_task_without_labels_among_labelled_ones_has_unknown_real_figures():
    auroc, picks = study()
    unlabelled = auroc[auroc["validation"] != "real"].assign(task="u")
    (part,) = parts(pd.concat([auroc, unlabelled]), pd.concat([picks, picks.assign(task="u")]))
    assert [task["pick"]["task"] for task in part["tasks"]] == ["t", "u"]
    row = part["tasks"][1]["prompts"][0]
    assert np.isnan(row["real"]["one_vs_rest"]) and row["best"] == set()
    assert part["tasks"][1]["ensemble"]["synthetic"] == pytest.approx(0.7)


@pytest.mark.parametrize("labelled", [True, False])
def test_the_page_says_which_texts_to_deploy_and_what_is_marked(labelled):
    text = page(["t", "u"], labelled)
    text = text[text.index("Zero-shot detection") :]
    assert "“a metal nut” against “no metal nut”" in text or "“the metal nut” against “something”" in text
    assert "“a <b>&” against “no <b>&”" in text or "“the <b>&” against “something”" in text
    assert "{} stands for “metal nut”." in text and "{} stands for “<b>&”." in text
    assert ("The highest real AUROC that a prompt reaches is blue" in text) == labelled
    assert ("✓ means that no other prompt" in text) == labelled
    assert text.count("alternative to the detector recommended above") == 1


@pytest.mark.parametrize(
    ("model", "kind", "warned"),
    [("mini:clip", "folder", True), ("mini:clip", "digits", False), ("open_clip:ViT-B-16", "folder", False)],
)
def test_prompts_whose_words_the_mini_clip_has_not_learnt_come_with_a_warning(model, kind, warned):
    assert page(config=with_clip(model, kind)).count(CLIP_NOTE) == warned
