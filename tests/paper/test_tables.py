"""Tables 1 to 3 beside the paper's: the printed values, counts by hand, and layouts that Markdown and LaTeX take."""

import csv
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from swsa_core.metrics import kendall_tau
from swsa_core.paper import tables as paper_tables
from swsa_core.paper import typeset
from swsa_core.paper.printed import printed
from swsa_core.report import tables

SHARED = Path(__file__).parents[2].parent / "shared" / "paper"
KINDS = {"birds": "cub", "flowers": "flowers", "goods": "mvtec_ad", "mine": "folder"}
PRINTED = printed("table2").to_dict("records")


def rankings(tau, n=10):
    """Two rankings of n whose τ, cut off after three digits, is `tau`."""
    pairs, order = n * (n - 1) // 2, []
    (discordant,) = (d for d in range(pairs + 1) if paper_tables.cut_off(1 - 2 * d / pairs) == tau)
    for value in range(n):
        overtaken = min(len(order), discordant)
        order.insert(len(order) - overtaken, value)
        discordant -= overtaken
    return np.arange(n) / n, np.array(order) / n


@pytest.mark.parametrize("name", ["table1", "table2", "table3"])
def test_the_printed_numbers_are_those_of_the_paper(name):
    if not SHARED.is_dir():
        pytest.skip("../shared with the paper's numbers is not there")
    with open(SHARED / f"{name}.csv", encoding="utf-8", newline="") as file:
        theirs = [list(row.values()) for row in csv.DictReader(file)]
    ours = pd.read_csv(
        Path(paper_tables.__file__).with_name("printed") / f"{name}.csv", dtype=str, keep_default_na=False
    )
    assert [sorted(row) for row in ours.to_numpy().tolist()] == [sorted(row) for row in theirs]


@pytest.mark.parametrize("row", PRINTED, ids=lambda row: "-".join(map(str, row.values())))
def test_kendall_tau_and_p_of_all_printed_pairs(row):
    tau, p_value = kendall_tau(*rankings(row["tau"]))
    assert paper_tables.cut_off(tau) == row["tau"]
    last_digit = 10.0 ** (math.floor(math.log10(row["p_value"])) - 2)
    assert abs(p_value - row["p_value"]) <= last_digit * 1.000001


def ranking_of(setting, source, kind, sizes):
    """The table `ranking` in which one data set's candidates have the printed concordances; sizes: {size: τ}."""
    rows = []
    for size, tau in sizes.items():
        real, synthetic = rankings(tau)
        for c, (x, y) in enumerate(zip(real, synthetic, strict=True)):
            known = {"dataset": kind, "selection": "model", "candidate": f"model {c}", "n_tasks": 4}
            rows.append(
                known | {"validation": source, "protocol": "paper", "setting": "", "n_anomalies": size, "auroc": y}
            )
            if size == "all":
                rows.append(
                    known | {"validation": "real", "protocol": "", "setting": setting, "n_anomalies": "all", "auroc": x}
                )
    return pd.DataFrame(rows)[tables.RANKING.columns]


@pytest.mark.parametrize("setting", ["one_vs_closest", "one_vs_rest"])
@pytest.mark.parametrize("source", ["diffusion", "cutpaste"])
@pytest.mark.parametrize("kind", ["cub", "flowers"])
def test_table2_of_the_printed_concordances_is_the_printed_one(setting, source, kind):
    mine = [row for row in PRINTED if (row["setting"], row["source"], row["kind"]) == (setting, source, kind)]
    table = paper_tables.table2(
        ranking_of(setting, source, kind, {row["n_anomalies"]: row["tau"] for row in mine}), {kind: kind}
    )
    assert list(table.columns) == paper_tables.TABLE2.columns and len(table) == 3
    assert (table["tau_difference"] == 0).all()
    assert table["p_value"].to_numpy() == pytest.approx(table["printed_p_value"].to_numpy(), rel=0.006)
    assert (table["n_candidates"] == 10).all() and (table["tied_pairs"] == 0).all()
    assert (table["n_tasks_real"] == 4).all() and (table["n_tests"] == 3).all()


def study_ranking(selection="model", sources=("diffusion", "cutpaste", "tiny_imagenet"), seed=0, n=10):
    """A ranking of one data set with two protocols, two settings and three sizes."""
    generator, rows = np.random.default_rng(seed), []
    names = [*(f"c{i}" for i in range(n)), *(["prompt_ensemble"] if selection == "prompt" else [])]
    sets = [("real", "", setting, "all") for setting in ("one_vs_closest", "one_vs_rest")]
    sets += [(s, p, "", size) for s in sources for p in ("leave_one_out", "paper") for size in ("all", "10", "5")]
    for validation, protocol, setting, size in sets:
        for name, auroc in zip(names, generator.random(len(names)), strict=True):
            rows.append(["birds", selection, validation, protocol, setting, size, name, auroc, 7])
    return pd.DataFrame(rows, columns=tables.RANKING.columns)


def test_the_papers_study_has_nine_tests_for_each_real_ranking():
    table = paper_tables.table2(study_ranking(), KINDS)
    assert len(table) == 2 * 2 * 9
    assert (table["n_tests"] == 9).all()
    assert table["threshold"].to_numpy() == pytest.approx(5.56e-3, abs=5e-6)
    assert table["significant"].tolist() == (table["p_value"] < 0.05 / 9).tolist()
    assert table.loc[table["source"] == "tiny_imagenet", "printed_tau"].isna().all()
    assert table.loc[table["source"] == "diffusion", "printed_tau"].notna().all()


def test_what_all_ties_is_undefined_and_never_significant():
    ranking = study_ranking()
    tied = (ranking["validation"] == "diffusion") & (ranking["n_anomalies"] == "5")
    ranking.loc[tied, "auroc"] = 1.0
    table = paper_tables.table2(ranking, KINDS)
    rows = table[(table["source"] == "diffusion") & (table["n_anomalies"] == "5")]
    assert rows[["tau", "p_value"]].isna().all(axis=None) and not rows["significant"].any()
    assert (rows["tied_pairs"] == 45).all() and (table["n_tests"] == 9).all()
    assert typeset.markdown(typeset.table2(table), "").count("undefined") == len(rows)


def test_prompts_are_ranked_without_their_ensemble_and_have_nothing_printed():
    table = paper_tables.table2(study_ranking("prompt"), KINDS)
    assert (table["n_candidates"] == 10).all()
    assert table[["printed_tau", "tau_difference"]].isna().all(axis=None)


def test_one_candidate_has_no_ranking():
    table = paper_tables.table2(study_ranking(n=1), KINDS)
    assert table["tau"].isna().all() and not table["significant"].any()


def test_a_data_set_without_real_labels_has_no_ranking():
    ranking = study_ranking()
    assert paper_tables.table2(ranking[ranking["validation"] != "real"], KINDS).empty


def selection_of(dataset, strategies, tasks, selection="model", settings=("one_vs_closest",)):
    """Rows of selection.csv; strategies: {name: (source, right of each task)}."""
    rows = []
    for setting in settings:
        for strategy, (source, right) in strategies.items():
            for task, hit in zip(tasks, right, strict=True):
                facts = {
                    "dataset": dataset,
                    "selection": selection,
                    "task": task,
                    "strategy": strategy,
                    "source": source,
                }
                facts |= {
                    "protocol": "paper" if source else "",
                    "setting": setting,
                    "candidate": "x",
                    "n_tied": 1 + hit,
                }
                rows.append(facts | {"right": float(hit), "real_auroc": 0.6 + 0.1 * hit, "synthetic_auroc": np.nan})
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def first():
    strategies = {"largest_model": ("", [0, 0, 1, 0]), "swsa_cutpaste": ("cutpaste", [1, 1, 1, 0])}
    parts = [selection_of(name, strategies, "abcd") for name in ("birds", "flowers")]
    parts.append(selection_of("mine", strategies, "abcd", settings=[""]))
    prompts = {"default_prompt": ("", [0, 0, 1, 0]), "swsa_diffusion": ("diffusion", [0, 0, 0, 0])}
    parts.append(selection_of("birds", prompts, "abcd", "prompt", ["one_vs_closest", "one_vs_one"]))
    return paper_tables.table1(tables.table1(pd.concat(parts)), KINDS)


def test_table1_stands_beside_the_printed_one(first):
    assert list(first.columns) == paper_tables.TABLE1.columns
    row = first.query("dataset == 'birds' and strategy == 'swsa_cutpaste'").iloc[0]
    assert (row["picks"], row["n_tasks"], row["ties"], row["auroc"]) == (3, 4, 3, pytest.approx(0.675))
    assert (row["printed_picks"], row["printed_n_tasks"], row["printed_auroc"]) == (60, 200, 0.743)
    assert row["pick_rate_difference"] == pytest.approx(3 / 4 - 60 / 200)
    assert row["auroc_difference"] == pytest.approx(0.675 - 0.743)
    prompts = first[first["selection"] == "prompt"].set_index(["setting", "strategy"])["printed_auroc"]
    assert prompts["one_vs_closest", "default_prompt"] == 0.571
    assert np.isnan(prompts["one_vs_one", "default_prompt"])


def test_without_real_labels_there_is_nothing_to_compare(first):
    assert "mine" not in set(first["dataset"])


def test_every_printed_row_finds_its_place():
    rows = printed("table1")
    names = {kind: name for name, kind in KINDS.items()} | {"visa": "visa"}
    made = rows.assign(dataset=rows["kind"].map(names), protocol="", pick_rate=0.5, ties=0, synthetic_auroc=0.5)
    table = paper_tables.table1(made[tables.TABLE1.columns], {name: kind for kind, name in names.items()})
    assert len(table) == len(rows) == 88
    assert (table["auroc_difference"] == 0).all()
    pd.testing.assert_series_equal(table["picks"], table["printed_picks"], check_names=False)


def variation():
    keys = ["dataset", "task", "space", "closest", "source", "support"]
    rows = [
        [dataset, task, "vit", "x", source, support, 0.5 + 0.1 * t, 1.5, 10, 20, 25, 8]
        for dataset in ("birds", "mine")
        for t, task in enumerate(["a & b", "c|d"])
        for source in ("diffusion", "procedural")
        for support in ("all", "seeds")
    ]
    columns = [*keys, "total_variation", "ceiling", "n_support", "n_real", "n_synthetic", "n_clusters"]
    return pd.DataFrame(rows, columns=columns)


def test_table3_is_about_the_chosen_tasks():
    table = paper_tables.table3(variation(), KINDS, {"birds": "c|d"})
    assert list(table.columns) == paper_tables.TABLE3.columns
    assert set(table["dataset"]) == {"birds"} and set(table["task"]) == {"c|d"} and len(table) == 4
    of_diffusion = table[table["source"] == "diffusion"]
    assert (of_diffusion["printed_total_variation"] == 1.257).all()
    assert of_diffusion["difference"].to_numpy() == pytest.approx(0.6 - 1.257)
    assert table.loc[table["source"] == "procedural", "difference"].isna().all()


def test_table3_over_all_tasks_is_their_mean():
    table = paper_tables.table3_all_tasks(variation(), KINDS)
    assert list(table.columns) == paper_tables.TABLE3_ALL_TASKS.columns and len(table) == 8
    assert table["total_variation"].to_numpy() == pytest.approx(0.55)
    assert (table["n_tasks"] == 2).all()
    assert (table[["lowest", "highest"]].to_numpy() == [0.5, 0.6]).all()


def test_objects_and_textures_add_up_to_the_prompt_rows():
    products = ["carpet", "grid", "bottle", "cable", "wood"]
    strategies = {"swsa_diffusion": ("diffusion", [0, 0, 1, 1, 0]), "default_prompt": ("", [1, 0, 0, 1, 0])}
    prompts = selection_of("goods", strategies, products, "prompt")
    models = selection_of("goods", {"swsa_diffusion": ("diffusion", [1] * 5)}, products)
    others = selection_of("birds", strategies, products, "prompt")
    table = paper_tables.mvtec_prompts(pd.concat([prompts, models, others]), KINDS)
    assert list(table.columns) == paper_tables.MVTEC_PROMPTS.columns
    counts = table.set_index(["strategy", "group"])[["picks", "n_tasks"]]
    assert counts.loc[("swsa_diffusion", "texture")].tolist() == [0, 3]
    assert counts.loc[("swsa_diffusion", "object")].tolist() == [2, 2]
    assert counts.loc[("default_prompt", "texture")].tolist() == [1, 3]
    whole = tables.table1(prompts).set_index("strategy")["picks"]
    assert table.groupby("strategy")["picks"].sum().to_dict() == whole.to_dict()
    said = table[table["printed_picks"].notna()]
    assert said[["strategy", "group"]].to_numpy().tolist() == [["swsa_diffusion", "texture"]]


def test_objects_alone_are_a_breakdown_too():
    table = paper_tables.mvtec_prompts(
        selection_of("goods", {"default_prompt": ("", [1])}, ["bottle"], "prompt"), KINDS
    )
    assert table["group"].tolist() == ["object"]


@pytest.fixture(scope="module")
def layouts(first):
    products = ["carpet", "grid", "bottle", "cable"]
    prompts = selection_of("goods", {"swsa_diffusion": ("diffusion", [0, 0, 1, 1])}, products, "prompt")
    made = {
        "table1": first,
        "table2": paper_tables.table2(study_ranking(), KINDS),
        "table3": paper_tables.table3(
            variation().assign(space="50 % of {a_b} & c"), KINDS, {"birds": "a & b", "mine": "c|d"}
        ),
        "table3_all_tasks": paper_tables.table3_all_tasks(variation(), KINDS),
        "mvtec_prompts": paper_tables.mvtec_prompts(prompts, KINDS),
    }
    return {name: typeset.FORMS[name].layout(table) for name, table in made.items()}


@pytest.mark.parametrize("name", typeset.FORMS)
def test_latex_has_whole_rows_and_no_bare_special_character(layouts, name):
    text = typeset.latex(layouts[name], typeset.FORMS[name].note)
    assert len(re.findall(r"\\(?:begin|end)\{(?:sideways)?table\}", text)) == 2 * len(layouts[name]) > 0
    for tabular in re.findall(r"\\begin\{tabular\}\{(l+)\}\n(.*?)\\end\{tabular\}", text, re.S):
        lines = [line for line in tabular[1].splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
        assert len(lines) > 1
        assert all(len(re.findall(r"(?<!\\)&", line)) == len(tabular[0]) - 1 for line in lines)
    body = "\n".join(line for line in text.splitlines() if not line.startswith((r"\resizebox", "%")))
    assert not re.search(r"(?<!\\)[%$#_~^]", body)
    plain = re.sub(r"\\[{}]", "", text)
    assert plain.count("{") == plain.count("}")


@pytest.mark.parametrize("name", typeset.FORMS)
def test_markdown_has_rows_of_one_width(layouts, name):
    text = typeset.markdown(layouts[name], typeset.FORMS[name].note)
    assert text.startswith(typeset.FORMS[name].note) and text.endswith("|\n")
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_cells_show_ours_and_the_printed_value(layouts):
    frame = layouts["table1"]["model selection, one-vs-closest"]
    assert frame["strategy", ""].tolist() == ["largest model"] * 2 + ["SWSA with CutPaste"] * 2
    assert frame["protocol", ""].tolist() == ["", "printed", "paper", "printed"]
    assert frame["birds", "picks"].tolist() == ["1/4", "11/200", "3/4", "60/200"]
    assert frame["birds", "AUROC"].tolist() == ["0.625 (-0.028)", "0.653", "0.675 (-0.068)", "0.743"]
    assert frame["birds", "ties"].tolist() == ["1", "", "3", ""]
    ranking = layouts["table2"]["model ranking, one-vs-closest"].set_index(["source", "protocol"])
    assert ranking.loc[("diffusion", "printed"), "10 anomalies"] == "0.600, p = 1.67e-02"
    assert ("tiny imagenet", "printed") not in ranking.index


def test_the_tables_survive_their_files(first, tmp_path):
    paper_tables.TABLE1.write(tmp_path / "table1.csv", first)
    again = paper_tables.TABLE1.read(tmp_path / "table1.csv")
    pd.testing.assert_frame_equal(again, first, check_dtype=False)


def test_every_table_can_be_shown():
    assert list(typeset.FORMS) == list(paper_tables.TABLES)


def test_table2_ranks_the_candidates_that_have_both_figures():
    """A network has no AUROC by the source that it was trained on; the others are ranked as without it."""
    alone = ranking_of("one_vs_rest", "cutpaste", "birds", {"all": 0.377})
    lacking = alone[alone["candidate"] == "model 0"].assign(candidate="trained")
    lacking.loc[lacking["validation"] != "real", "auroc"] = np.nan
    found, expected = (paper_tables.table2(pd.concat(rows), KINDS) for rows in ([alone, lacking], [alone]))
    pd.testing.assert_frame_equal(found, expected)
    assert found["n_candidates"].tolist() == [10] and found["tau"].notna().all()
