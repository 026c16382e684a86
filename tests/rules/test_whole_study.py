"""The paper's study, config/paper.yaml and all, on a few real images: every table and figure, of small candidates."""

import re
from itertools import product
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from layouts import SHARED
from pages import Page
from PIL import Image
from workflow import ROOT, snakemake

from swsa_core.candidates.prompts import prompt_names, read_set
from swsa_core.files.text import read_table
from swsa_core.paper import tables as paper_tables
from swsa_core.paper.printed import printed
from swsa_core.strategies import compare as strategies
from swsa_core.strategies.strategy import LABELS, SUPPORT, TRANSDUCTIVE

pytestmark = [
    pytest.mark.study,
    pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="the real images (../shared/data) are not here"),
]
STUDY = [ROOT / "config" / "paper.yaml", ROOT / "config" / "variants" / "more_strategies.yaml"]
TASKS = {
    "cub": ["001.Black_footed_Albatross", "002.Laysan_Albatross"],
    "flowers": ["pink primrose"],
    "mvtec_ad": ["bottle"],
}
SOURCES = ["diffusion", "cutpaste", "tiny_imagenet"]
PROTOCOLS = ["paper", "leave_one_out", "paired"]
SETTINGS = ["one_vs_closest", "one_vs_rest", "one_vs_one"]
CANDIDATES = ["squeezenet", "descriptor:hog", "descriptor:color_histogram"]
OVERLAY = {
    "results": "results",
    "datasets": {
        "cub": {"root": f"{SHARED}/data/CUB_200_2011", "allow_missing": True, "tasks": TASKS["cub"]},
        "flowers": {"root": f"{SHARED}/data/flowers102", "allow_missing": True, "tasks": TASKS["flowers"]},
        "mvtec_ad": {"root": f"{SHARED}/data/mvtec_ad", "tasks": TASKS["mvtec_ad"]},
        "visa": None,  # of which there are no images
    },
    "support": {"seeds": 10},
    "sources": {
        "diffusion": {"model": "mini:adm_32", "steps": 4},
        "tiny_imagenet": {"root": f"{SHARED}/data/tiny-imagenet-200", "pool": 100, "allow_missing": True},
    },
    "candidates": [
        {
            "name": "squeezenet",
            "model": "torchvision:squeezenet1_1",
            "weights": f"{SHARED}/weights/squeezenet1_1-imagenet.safetensors",
        },
        *CANDIDATES[1:],
    ],
    "clip": {"model": "mini:clip", "weights": None},
    "preparation": {"size": 32},
    "runtime": {"device": "cpu", "threads": 1},
    "evaluation": {"bootstrap": 100},
    "figures": {"space": "squeezenet", "contact_sheets": {"mvtec_ad": ["bottle"]}},
}
PAPER_FIGURES = [
    "contact_sheets",  # Figure 2
    *(f"real_vs_synthetic.{protocol}" for protocol in PROTOCOLS),  # Figure 3
    "tsne",  # Figure 4
    *(f"one_source.{source}.{protocol}" for source, protocol in product(SOURCES, PROTOCOLS)),  # the earlier version's
]
SHEETS = {
    "cub": ["001.Black_footed_Albatross", "002.Laysan_Albatross"],
    "flowers": ["pink-primrose"],
    "mvtec_ad": ["bottle"],
}
OF_EACH_DATASET = [
    f"{selection}{kind}"
    for selection in ("", "prompt_")
    for kind in [
        "strategies",
        "reliability",
        *(f"real_vs_synthetic.{protocol}" for protocol in PROTOCOLS),
        *(f"confidence.{source}" for source in SOURCES),
    ]
]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole_study")
    snakemake(directory, OVERLAY, before=STUDY, timeout=1500)
    return directory / "results"


def paper_table(results, name):
    columns = getattr(paper_tables, name.upper()).columns
    return pd.read_csv(results / f"tables/paper/{name}.csv", dtype={"n_anomalies": str}, keep_default_na=True)[columns]


def test_table1_stands_beside_the_printed_one(results):
    table = paper_table(results, "table1")
    assert set(table.selection) == {"model", "prompt"} and set(table.setting) == set(SETTINGS)
    assert dict(table.groupby("dataset").n_tasks.unique().map(list)) == {name: [len(TASKS[name])] for name in TASKS}
    theirs = printed("table1")
    theirs = theirs[theirs.kind != "visa"]
    keys = ["selection", "setting", "strategy", "kind"]
    ours = table[table.printed_auroc.notna()]
    # a strategy with a synthetic validation set is compared under each protocol
    assert set(ours[keys].itertuples(index=False)) == set(theirs[keys].itertuples(index=False))
    of_source = ours.strategy.str.startswith("swsa_")
    assert (ours[of_source].groupby(keys).protocol.unique().map(set) == set(PROTOCOLS)).all()
    np.testing.assert_allclose(ours.auroc_difference, ours.auroc - ours.printed_auroc)
    counted = ours[ours.printed_picks.notna()]
    np.testing.assert_allclose(
        counted.pick_rate_difference, counted.pick_rate - counted.printed_picks / counted.printed_n_tasks
    )
    assert table.loc[table.setting == "one_vs_one", "printed_auroc"].isna().all()
    assert table.pick_rate.between(0, 1).all() and table.auroc.between(0, 1).all()


def test_a_prompt_is_picked_for_every_task(results):
    """The mini CLIP knows neither birds nor flowers: that its prompts are compared is all that can be asked."""
    picks = read_table(results / "tables" / "picks.csv", text=["selection", "dataset", "task", "candidate"])
    chosen = picks[(picks.selection == "prompt") & picks.recommended]
    assert chosen.groupby("dataset").size().to_dict() == {name: len(tasks) for name, tasks in TASKS.items()}
    sets = {"flowers": "flowers", "cub": "cub", "mvtec_ad": "industrial"}
    for dataset, rows in chosen.groupby("dataset"):
        assert set(rows.candidate) <= set(prompt_names(read_set(sets[dataset])))


def test_table2_compares_every_ranking(results):
    table = paper_table(results, "table2")
    models = table[table.selection == "model"]
    assert len(models) == len(TASKS) * len(SETTINGS) * len(PROTOCOLS) * len(SOURCES) * 3
    assert set(models.n_candidates) == {len(CANDIDATES)} and set(models.n_tests) == {9}
    assert set(table[table.selection == "prompt"].n_candidates) == {10}
    theirs = printed("table2")
    theirs = theirs[theirs.kind != "visa"]
    keys = ["setting", "source", "kind", "n_anomalies"]
    ours = models[models.printed_tau.notna()]
    assert set(ours[keys].itertuples(index=False)) == set(theirs[keys].itertuples(index=False))
    known = ours[ours.tau.notna()]
    np.testing.assert_allclose(known.tau_difference, known.tau.map(paper_tables.cut_off) - known.printed_tau)
    assert known.p_value.between(0, 1).all() and not known.significant.any()  # three candidates are too few


def test_table3_is_about_the_tasks_of_figure_4(results):
    table, all_tasks = paper_table(results, "table3"), paper_table(results, "table3_all_tasks")
    assert dict(table.groupby("dataset").task.unique().map(list)) == {name: [TASKS[name][0]] for name in TASKS}
    assert set(table.space) == set(all_tasks.space) == {"squeezenet"}
    for name in TASKS:
        projected = read_table(results / name / "tsne.csv", text=["task", "closest", "group", "image_id"])
        row = table[table.dataset == name].iloc[0]
        assert (set(projected.task), set(projected.closest)) == ({row.task}, {row.closest})
        assert set(projected.group) == {*SOURCES, "normal", "normal_prepared", "real"}
    assert dict(all_tasks.groupby("dataset").n_tasks.unique().map(list)) == {name: [len(TASKS[name])] for name in TASKS}
    for rows in (table, all_tasks):
        assert len(rows) == len(TASKS) * len(SOURCES) * 2  # support: all its images, or the seeds
        assert rows.total_variation.between(0, rows.ceiling + 1e-9).all()
        assert set(rows[rows.printed_total_variation.notna()].source) == set(printed("table3").source)
    np.testing.assert_allclose(table.difference, table.total_variation - table.printed_total_variation)


def test_prompts_of_objects_stand_beside_the_earlier_version_s_words(results):
    table = paper_table(results, "mvtec_prompts")
    assert set(table.group) == {"object"} and set(table.n_tasks) == {1}
    assert set(table.strategy) >= {"default_prompt", "prompt_ensemble", *(f"swsa_{source}" for source in SOURCES)}


@pytest.mark.parametrize("name", ["table1", "table2", "table3", "table3_all_tasks", "mvtec_prompts"])
def test_typeset_tables_are_whole(results, name):
    folder = results / "tables" / "paper"
    markdown, latex = ((folder / f"{name}.{ending}").read_text(encoding="utf-8") for ending in ("md", "tex"))
    parts = re.split(r"^## .*\n", markdown, flags=re.M)[1:]
    for part in parts:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in part.strip().splitlines()}) == 1
    tabulars = re.findall(r"\\begin\{tabular\}\{(l+)\}(.*?)\\end\{tabular\}", latex, re.S)
    assert len(tabulars) == len(parts) > 0
    for columns, body in tabulars:
        rows = [line for line in body.splitlines() if line.endswith(r"\\") and r"\multicolumn" not in line]
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(columns)}
    has_printed = name in ("table1", "table2", "table3", "table3_all_tasks")
    assert ("| printed |" in markdown or re.search(r" \[\d\.\d{3}\]", markdown) is not None) == has_printed
    for text in (markdown, latex):
        assert not re.search(r"\bnan\b", text)
        assert re.search(r"\([+-]\d\.\d{3}\)", text) or not has_printed or name == "table3_all_tasks"


def test_the_papers_figures(results):
    made = {
        path.name for path in (results / "paper_figures").glob("[!.]*")
    }  # beside checksums and Snakemake's time stamp
    assert made == {f"{name}.{ending}" for name in PAPER_FIGURES for ending in ("svg", "pdf", "png")}


def test_figures_of_each_data_set(results):
    for dataset, sheets in SHEETS.items():
        names = ["cost", "support_curve", *OF_EACH_DATASET, *(f"contact_sheet.{task}" for task in sheets)]
        made = {path.name for path in (results / "figures" / dataset).glob("[!.]*")}
        assert made == {f"{name}.{ending}" for name in names for ending in ("svg", "png")}


def test_figures_can_be_opened_and_are_not_empty(results):
    figures = [*(results / "paper_figures").glob("[!.]*"), *(results / "figures").glob("*/[!.]*")]
    assert len(figures) > 130
    for path in figures:
        if path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg", path
        elif path.suffix == ".pdf":
            assert path.read_bytes().startswith(b"%PDF-") and path.read_bytes().rstrip().endswith(b"%%EOF"), path
        else:
            with Image.open(path) as image:
                assert len(image.convert("RGB").getcolors(image.width * image.height)) > 10, path


def test_strategies_beyond_the_paper(results):
    table = pd.read_csv(results / "tables" / "strategies.csv")[strategies.STRATEGIES_TABLE.columns]
    models = table[table.selection == "model"]
    beyond = {"swsa_combined", "rank_ensemble", "model_centrality", "hits", "hits_anomalous", "xie_beni"}
    assert set(models.strategy) == {"largest_model", "random", "best", *beyond} | {
        f"{kind}_{source}" for kind in ("swsa", "fixed_best") for source in SOURCES
    }
    assert {"default_prompt", "prompt_ensemble"} <= set(table.loc[table.selection == "prompt", "strategy"])
    assert set(table.sees) == {SUPPORT, TRANSDUCTIVE, LABELS}
    assert (table[table.strategy == "best"].regret == 0).all()
    markdown = (results / "tables" / "strategies.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in markdown for name in set(table.strategy))


def test_the_report_shows_the_study(results):
    page = Page((results / "report.html").read_text(encoding="utf-8"))
    assert all(task in page.text for tasks in TASKS.values() for task in tasks)
    assert all(name in page.text for name in CANDIDATES)
    assert not any(link.startswith("http") for link in page.links if link.endswith((".js", ".css")))
