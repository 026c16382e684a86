"""The report: one self-contained page that says what is known, and nothing that is not."""

import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from pages import Page
from studies import CANDIDATES, SOURCES, WARNING, sheet_of, study, with_costs

from swsa_core import anomalies
from swsa_core.evaluation.misleading import Misled
from swsa_core.report import contact_sheets, figures, tables
from swsa_core.report import page as report
from swsa_core.report import style as figure_style
from swsa_core.report.svg import compact

EVIL = "<script>alert(\"x\")</script> & 'täsk' {{ 7 * 7 }}"
BENCHMARKS = pd.DataFrame(
    {"stage": ["cutpaste", "cutpaste", "select"], "s": [75.0, 5, 0.2], "max_rss": [120.0, 90, "-"], "gpu_mb": np.nan}
)


def rendered(
    datasets, candidates=CANDIDATES, skipped=(), boxes=True, n_parents=None, change=None, draw=False, crosses=None,
    reconstructions=None, benchmarks=BENCHMARKS, paper_tables=None, copies=(), leaks=None, drawings=(), without=None,
    misled=None, before_after=None, **options,
):  # fmt: skip
    """The page of a made-up study; options: of studies.study."""
    made = study(datasets, candidates, **options)
    if change is not None:
        change(made)
    picks = tables.picks(made["selection"], made["auroc"], made["protocols"], made["strategies"])
    table1 = tables.table1(made["selection"])
    args = made["auroc"], tables.ranking(made["auroc"]), made["confidence"], table1, picks
    drawn = figures.study(*args, candidates, made["protocols"]) if draw else {}
    return report.render(
        config={
            "datasets": {name: {"on_leak": "drop"} if name == "strict" else {} for name in datasets},
            "sources": {name: {} for name in options.get("sources", SOURCES)},
            "evaluation": {"protocols": made["protocols"]},
            "é": "<&>",
        },
        picks=picks,
        table1=table1,
        pick_counts=tables.pick_counts(made["selection"]),
        candidates=with_costs(made["candidates"]),
        sheets=[sheet_of(pick, boxes, n_parents=n_parents) for pick in tables.shown(picks).itertuples()],
        svgs={name: figure_style.svg(figure) for name, figure in drawn.items()},
        skipped=list(skipped),
        costs=tables.stage_costs(benchmarks),
        versions={"torch": "2.15.0"},
        crosses=crosses,
        reconstructions=reconstructions,
        paper_tables=paper_tables,
        copies=copies,
        leaks=leaks,
        drawings=drawings,
        without=without,
        misled=misled,
        before_after=before_after,
    )


@pytest.fixture(scope="module")
def page():
    datasets = {"digits": (["0", "1", "2"], True), "mine": (["bottle"], False)}
    return Page(rendered(datasets, draw=True, sources=["cutpaste"], protocols=["leave_one_out", "paper"]))


@pytest.fixture(scope="module")
def practitioner():
    return Page(rendered({"mine": (["mine"], False)}, draw=True, sources=["cutpaste"], protocols=["leave_one_out"]))


def test_licences_of_candidates_and_those_that_are_left_out():
    page = rendered({"mine": (["a"], False)}, without={"vit <h>": "its licence"})
    assert len(re.findall("<td[^>]*>apache-2.0</td>", page)) == 5 and page.count('<td rowspan="1">no weights</td>') == 2
    assert "Left out: vit &lt;h&gt; (its licence)." in page
    assert "Left out: vit" not in rendered({"mine": (["a"], False)})


def test_the_page_is_self_contained(page):
    assert "script" not in page.tags and "link" not in page.tags
    inside = set(page.ids)
    assert all(link.startswith("data:image/") or link[1:] in inside for link in page.links)
    assert len(page.ids) == len(inside), "an id occurs twice"


def test_the_picks_come_first_and_say_how_sure_they_are(page):
    order = [
        "Recommendations",
        "For 0 ",
        "How good such picks are",
        "The images behind",
        "Versions",
        "What this study took",
    ]
    places = [page.text.rindex(words) for words in order]
    assert places == sorted(places)
    assert re.search(
        r"For 0 (deploy \w+|there is no basis|it is between 2).*? Synthetic AUROC 0\.\d{3} \[0\.\d{3}, [01]\.\d{3}\]",
        page.text,
    )
    assert "Decided by 100 CutPaste anomalies against 20 normal images of each task" in page.text
    assert "it is about the synthetic AUROC, not the real one" in page.text


def test_every_thing_shown_has_its_terms_explained(page):
    for term in ("Verdict", "Synthetic AUROC", "Pick rate", "Protocol", "Setting", "Ties"):
        assert term in page.text


def test_a_folder_without_labels_reads_well(practitioner):
    text = practitioner.text
    assert "For mine " in text and "This data set has no labelled test set" in text
    assert "it is not known how well any candidate finds real anomalies" in text
    assert not re.search(r"\bnan\b|\bNone\b|Pick rate|Right picks|Real AUROC|1 tasks", text)
    assert "Warnings" not in text


def test_names_are_text_and_never_markup():
    names = [EVIL, *CANDIDATES[1:3]]
    skipped = [
        {"dataset": "mine", "task": EVIL, "stage": "split_support", "image_id": "x", "path": EVIL, "reason": EVIL}
    ]
    html = rendered({"mine": ([EVIL], False)}, names, skipped, draw=True, sources=["cutpaste"], protocols=["paper"])
    assert "<script" not in html and "{{ 7" in html
    assert Page(html).text.count(EVIL) >= 6


def test_copies_and_leaks_are_told_of_at_the_top():
    copies = [
        {"dataset": "d", "task": "a", "copies": [{"image_id": "1.png", "copies": [f"1 ({i}).png" for i in range(5)]}]}
    ]
    rows = [("d", "b", "good", True, f"t{i}.png", "2.png") for i in range(5)]
    rows += [("strict", "c", "scratch", False, "x.png", "3.png")]
    leaks = pd.DataFrame(rows, columns=["dataset", "task", "group", "normal", "image_id", "training_id"])
    tasks = {"d": (list("ab"), True), "strict": (["c"], True)}
    text = Page(rendered(tasks, copies=copies, leaks=leaks, sources=["cutpaste"])).text
    top = text[: text.index("Deploy") if "Deploy" in text else text.index("For a ")]
    for title in ("Copies among the normal images: 5", "Test images that are copies of training images: 6"):
        assert title in top and text.count(title) == 2
    assert "d: a: 5 copies: '1 (0).png' of '1.png'" in text and "and 2 others" in text
    assert "d: b: 5 images (normal): 't0.png' as '2.png'" in text and "and 2 more" in text
    dropped = "strict: c: 1 image (group scratch, mislabelled or leaked), left out of the test: 'x.png' as '3.png'"
    assert dropped in text
    assert "copies" not in Page(rendered(tasks, leaks=leaks[:0], sources=["cutpaste"])).text


def test_images_like_masks_are_told_of_at_the_top():
    drawings = [
        {"dataset": "d", "task": "a", "drawings": [f"masks/{i}.png" for i in range(5)]},
        {"dataset": "d", "task": "b", "drawings": ["map.png"]},
    ]
    tasks = {"d": (list("ab"), True)}
    text = Page(rendered(tasks, drawings=drawings, sources=["cutpaste"])).text
    top = text[: text.index("Deploy") if "Deploy" in text else text.index("For a ")]
    title = "Images like masks among the normal images: 6"
    assert title in top and text.count(title) == 2
    assert "d: a: 5 images: 'masks/0.png', 'masks/1.png', 'masks/2.png' and 2 more" in text
    assert "d: b: 1 image: 'map.png'" in text and "datasets.<name>.exclude" in text
    assert "masks" not in Page(rendered(tasks, sources=["cutpaste"])).text


def test_a_source_by_which_a_bad_candidate_wins_is_told():
    misled = {"d": [Misled("b", "cutpaste", "color_histogram")]}
    text = Page(rendered({"d": (list("ab"), False)}, misled=misled, sources=["cutpaste"])).text
    section = text[text.index("Misleading: CutPaste anomalies These") :]
    assert "(color_histogram)" in section and "d: b" in section and "d: a" not in section[: section.index("d: b")]


def test_data_sets_with_one_task_go_without_images_of_other_tasks():
    datasets = {"many": (list("ab"), False), "single": (["c"], False)}
    text = Page(rendered(datasets, sources=["cutpaste", "other_tasks"])).text
    section = text[text.index("Left out: other-task anomalies") :]
    assert "single" in section[:200] and "many" not in section[:200]
    assert "Left out" not in Page(rendered({"many": (list("ab"), False)}, sources=["cutpaste", "other_tasks"])).text


def test_warnings_say_which_tasks():
    skipped = [
        {"dataset": "d", "task": "", "stage": "embed_images", "image_id": "x", "path": "x y.png", "reason": "cut"}
    ]

    def change(made):
        made["selection"].loc[made["selection"]["task"] == "a", ["saturated", "n_tied", "synthetic_auroc"]] = (
            True,
            3,
            1.0,
        )
        made["selection"].loc[made["selection"]["task"] == "b", "warning"] = WARNING
        made["selection"].loc[made["selection"]["task"] == "c", "n_tied"] = 2

    text = Page(rendered({"d": (list("abcd"), False)}, skipped=skipped, change=change, sources=["cutpaste"])).text
    section = text[text.index("Warned") : text.index("How good such picks are", text.index("Warned"))]
    assert f"Warned: 1 of 4 picks {WARNING} d: b" in section
    assert "Saturated: 1 of 4 picks" in section and "Tied: 1 of 4 picks" in section
    assert "Skipped images: 1" in section and "d: x y.png" in section
    assert "Saturated: 3 candidates reach 1." in text and "Tie of 2 candidates." in text


def test_an_svg_in_the_page_keeps_its_text_and_marks():
    drawn = Figure()
    drawn.subplots().plot([0, 1], [0.123456789, 1], "o", label="x")
    drawn.axes[0].set_title("0.123456 <!-- & ä -->")
    svg = figure_style.svg(drawn)
    element = compact(svg[svg.index("<svg") :])
    before, after = (ElementTree.fromstring(one) for one in (svg, element))
    words = [[text.strip() for text in one.itertext() if text.strip()] for one in (before, after)]
    assert words[0][-len(words[1]) :] == words[1] and "0.123456 <!-- & ä -->" in words[1]
    assert len(element) < 0.7 * len(svg)
    for tag in ("path", "use", "text"):
        assert len(after.findall(f".//{{*}}{tag}")) == len(before.findall(f".//{{*}}{tag}")) > 0
    assert set(re.findall(r'href="#([^"]+)|url\(#([^)]+)', element)) == set(
        re.findall(r'href="#([^"]+)|url\(#([^)]+)', svg)
    )
    assert set(re.findall(r'href="#([^"]+)', element)) <= set(re.findall(r'\bid="([^"]+)', element))


def test_many_tasks_are_summarised_above_a_table_that_scrolls():
    tasks = [f"{i:03}.Bird" for i in range(40)]
    html = rendered({"cub": (tasks, True)}, sources=["cutpaste"], protocols=["leave_one_out"], boxes=False)
    page = Page(html)
    assert 'class="scroll tall"' in html and "40 tasks" in page.text and "For 000.Bird " not in page.text
    assert all(page.text.count(task) >= 1 for task in tasks)
    assert f"Shown: {tables.SHEETS_OF_MANY} of 40 tasks." in page.text
    assert page.tags.count("img") == tables.SHEETS_OF_MANY * (contact_sheets.N_SEEDS + contact_sheets.N_HARDEST)


def test_costs_of_jobs_too_short_to_measure(page):
    assert "cutpaste 2 1 min 20 s 1 min 15 s 120 MB" in page.text
    assert "not measured" in page.text


def test_gpu_memory_is_shown_where_a_job_used_one(page):
    assert "GPU memory" not in page.text
    on_gpu = BENCHMARKS.assign(gpu_mb=[1200.0, 1500.0, np.nan])
    shown = Page(rendered({"mine": (["mine"], False)}, sources=["cutpaste"], benchmarks=on_gpu)).text
    assert "Peak GPU memory cutpaste 2 1 min 20 s 1 min 15 s 120 MB 1,500 MB select" in shown


def test_what_differs_between_runs_of_a_study_is_in_a_section_of_its_own():
    one, other = (
        rendered({"mine": (["mine"], False)}, sources=["cutpaste"], benchmarks=BENCHMARKS.assign(s=seconds))
        for seconds in (1.0, 200.0)
    )
    assert one != other
    assert len({re.sub('<section id="took">.*?</section>', "", page, flags=re.S) for page in (one, other)}) == 1


def test_a_study_without_measured_jobs_says_so():
    html = rendered({"mine": (["mine"], False)}, sources=["cutpaste"], benchmarks=BENCHMARKS.iloc[:0])
    assert "What this study took Not measured." in Page(html).text


def test_drawn_letters_are_called_easy_for_models_trained_on_them_wherever_they_stand():
    note = anomalies.SOURCES["procedural"].note
    datasets = {"digits": (["0"], True)}
    assert Page(rendered(datasets, sources=["cutpaste"])).text.count(note) == 0
    assert Page(rendered(datasets, sources=["cutpaste", "procedural"])).text.count(note) == 2
    assert Page(rendered(datasets, sources=["procedural"])).text.count(note) == 3  # the sheet shows them, too


def test_all_pairs_stand_in_their_task_only():
    cross = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
    datasets = {"d": (["a", "b"], False)}
    plain, crossed = (
        Page(rendered(datasets, sources=["cutpaste"], crosses=crosses))
        for crosses in (None, {("d", "b"): {"cutpaste": cross}})
    )
    assert "All pairs" not in plain.text
    assert crossed.text.count("All CutPaste anomalies") == 1
    assert crossed.text.rindex("b CutPaste anomalies") < crossed.text.index("All CutPaste anomalies")
    assert contact_sheets.cross_uri(cross) in crossed.links


def test_reconstructions_stand_below_the_sheet_of_their_source():
    sheet, again = (np.random.default_rng(seed).integers(0, 256, (100, 120, 3), np.uint8) for seed in (0, 1))
    crosses = {("d", task): {"cutpaste": sheet, "diffusion": sheet} for task in "ab"}
    known = {"crosses": crosses, "reconstructions": {("d", "b"): {"diffusion": again}}}
    page = Page(rendered({"d": (["a", "b"], False)}, sources=["cutpaste"], **known))
    assert page.text.count("Reconstructions by the diffusion network") == 1
    assert page.text.rindex("All diffusion anomalies") < page.text.index("Reconstructions by the diffusion network")
    assert contact_sheets.cross_uri(again) in page.links


@pytest.mark.parametrize("n_parents", [0, 1, 2])
def test_only_anomalies_of_two_parents_are_said_to_be_of_style_and_content(n_parents):
    html = rendered({"d": (["a"], False)}, sources=["cutpaste"], boxes=False, n_parents=n_parents)
    assert ("style + content → anomaly" in Page(html).text) == (n_parents == 2)


def test_figures_stand_under_their_own_data_set_whatever_its_name():
    names = ["a", "a.strategies", "a_strategies"]
    page = Page(rendered({name: (["0"], True) for name in names}, draw=True, sources=["cutpaste"], protocols=["paper"]))
    assert len(page.ids) == len(set(page.ids))
    assert page.tags.count("figure") == 4 * len(names)


def test_the_papers_tables_are_linked_where_the_study_makes_them(page):
    assert "The paper's tables" not in page.text
    linked = Page(
        rendered(
            {"d": (["a"], True)}, sources=["cutpaste"], paper_tables={"table1": "Table 1 & more", "mvtec_prompts": "b"}
        )
    )
    files = [link for link in linked.links if not link.startswith(("data:", "#"))]
    endings = ("md", "csv", "tex")
    assert files == [
        *(f"tables/paper/{name}.{ending}" for name in ("table1", "mvtec_prompts") for ending in endings),
        "paper_figures/",
    ]
    assert linked.text.count("The paper's tables and figures") == 2 and "Table 1 & more" in linked.text


def test_fine_tuned_networks_are_shown_before_and_after():
    facts = {
        "dataset": "mine",
        "candidate": "mine",
        "backbone": "vit_l",
        "task": "regression",
        "source": "cutpaste",
        "setting": "one_vs_rest",
    }
    figures = {
        "before": 0.8,
        "before_low": 0.7,
        "before_high": 0.9,
        "after": 0.75,
        "after_low": np.nan,
        "after_high": np.nan,
    }
    figures |= {"difference": -0.05, "difference_low": -0.1, "difference_high": 0.01, "n_tasks": 4}
    told = rendered({"mine": (["bottle"], False)}, before_after=pd.DataFrame([facts | figures]))
    assert "0.800 (0.700 to 0.900)" in told and "<td>0.750</td>" in told and "-0.050 (-0.100 to 0.010)" in told
    assert "Before and after outlier exposure" not in rendered({"mine": (["bottle"], False)})
