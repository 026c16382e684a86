"""The report: one self-contained page that says what is known, and nothing that is not."""

import doctest
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from studies import CANDIDATES, WARNING, sheet_of, study

from swsa_core import contact_sheets, figures, report, tables

EVIL = "<script>alert(\"x\")</script> & 'täsk' {{ 7 * 7 }}"
BENCHMARKS = pd.DataFrame(
    {"stage": ["cutpaste", "cutpaste", "select"], "s": [75.0, 5, 0.2], "max_rss": [120.0, 90, "-"]}
)


VOID = {"meta", "img", "br", "wbr", "link", "input", "hr"}
INLINE = {"wbr", "b", "i", "span", "small", "a"}


class Page(HTMLParser):
    """The elements, the text that is seen and the ids of a page; fails on tags that do not close each other."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.ids, self.words, self.open = [], [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.words.append(" " * (tag not in INLINE))
        self.ids += [value for key, value in attributes if key == "id"]
        self.links += [value for key, value in attributes if key in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.words))


def rendered(datasets, candidates=CANDIDATES, skipped=(), boxes=True, change=None, draw=False, **options):
    made = study(datasets, candidates, **options)
    if change is not None:
        change(made)
    picks = tables.picks(made["selection"], made["auroc"], made["protocols"], made["strategies"])
    table1 = tables.table1(made["selection"])
    args = made["auroc"], tables.ranking(made["auroc"]), made["confidence"], table1, picks
    drawn = figures.study(*args, candidates, made["protocols"]) if draw else {}
    return report.render(
        config={
            "datasets": {name: {} for name in datasets},
            "evaluation": {"protocols": made["protocols"]},
            "é": "<&>",
        },
        picks=picks,
        table1=table1,
        pick_counts=tables.pick_counts(made["selection"]),
        candidates=made["candidates"],
        sheets=[sheet_of(pick, boxes) for pick in contact_sheets.shown(picks).itertuples()],
        svgs={stem: figures.svg(figure) for stem, figure in drawn.items()},
        skipped=list(skipped),
        costs=tables.stage_costs(BENCHMARKS),
        versions={"torch": "2.15.0"},
    )


@pytest.fixture(scope="module")
def page():
    datasets = {"digits": (["0", "1", "2"], True), "mine": (["bottle"], False)}
    return Page(rendered(datasets, draw=True, sources=["cutpaste"], protocols=["leave_one_out", "paper"]))


@pytest.fixture(scope="module")
def practitioner():
    return Page(rendered({"mine": (["mine"], False)}, draw=True, sources=["cutpaste"], protocols=["leave_one_out"]))


def test_examples_in_docstrings():
    assert doctest.testmod(report).failed == 0


def test_the_page_is_self_contained(page):
    assert "script" not in page.tags and "link" not in page.tags
    inside = set(page.ids)
    assert all(link.startswith("data:image/") or link[1:] in inside for link in page.links)
    assert len(page.ids) == len(inside), "an id occurs twice"


def test_the_picks_come_first_and_say_how_sure_they_are(page):
    order = [
        "Recommendations",
        "For 0 deploy",
        "How good such picks are",
        "The images behind",
        "Time and memory",
        "Versions",
    ]
    places = [page.text.rindex(words) for words in order]
    assert places == sorted(places)
    assert re.search(
        r"For 0 deploy \w+ P\(best\) [\d.<> ]+ Synthetic AUROC 0\.\d{3} \[0\.\d{3}, [01]\.\d{3}\]", page.text
    )
    assert "Decided by 100 cutpaste anomalies against 20 normal images of each task" in page.text
    assert "it is about the synthetic AUROC, not the real one" in page.text


def test_every_thing_shown_has_its_terms_explained(page):
    for term in ("P(best)", "Synthetic AUROC", "Pick rate", "Protocol", "Setting", "Ties"):
        assert term in page.text


def test_a_folder_without_labels_reads_well(practitioner):
    text = practitioner.text
    assert "For mine deploy" in text and "This data set has no labelled anomalies" in text
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
    assert f"Warned: 1 of 4 tasks {WARNING} d: b" in section
    assert "Saturated: 1 of 4 tasks" in section and "Tied: 1 of 4 tasks" in section
    assert "Skipped images: 1" in section and "d: x y.png" in section
    assert "Saturated: 3 candidates reach 1." in text and "Tie of 2 candidates." in text


def test_many_tasks_are_summarised_above_a_table_that_scrolls():
    tasks = [f"{i:03}.Bird" for i in range(40)]
    html = rendered({"cub": (tasks, True)}, sources=["cutpaste"], protocols=["leave_one_out"], boxes=False)
    page = Page(html)
    assert 'class="scroll tall"' in html and "40 tasks" in page.text and "For 000.Bird deploy" not in page.text
    assert all(page.text.count(task) >= 1 for task in tasks)
    assert f"Shown: {contact_sheets.MOST_SHEETS} of 40 tasks." in page.text
    assert page.tags.count("img") == contact_sheets.MOST_SHEETS * (contact_sheets.N_SEEDS + contact_sheets.N_HARDEST)


def test_costs_of_jobs_too_short_to_measure(page):
    assert "cutpaste 2 1 min 20 s 1 min 15 s 120 MB" in page.text
    assert "not measured" in page.text
