"""Figures: the same bytes in every run, every candidate told apart, any name shown as it is."""

import doctest
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from studies import CANDIDATES, PROTOCOLS, SETTINGS, study

from swsa_core.detectors.cost import of_candidates
from swsa_core.report import figures, tables
from swsa_core.report import style as figure_style
from swsa_core.report.costs import cost_figure

MANY = [f"torchvision:a_long_name_{i}" for i in range(12)]


def drawn(datasets, candidates=CANDIDATES, **options):
    made = study(datasets, candidates, **options)
    picks = tables.picks(made["selection"], made["auroc"], made["protocols"], made["strategies"])
    return figures.study(
        made["auroc"],
        tables.ranking(made["auroc"]),
        made["confidence"],
        tables.table1(made["selection"]),
        picks,
        candidates,
        made["protocols"],
    )


def text_of(svg):
    return " ".join(ElementTree.fromstring(svg).itertext())


def test_examples_in_docstrings():
    assert doctest.testmod(figures).failed == 0


def test_a_data_set_without_labels_has_only_what_is_known():
    made = drawn({"digits": (["0", "1"], True), "mine": (["mine"], False)})
    assert set(made) == {
        ("digits", "strategies"),
        ("digits", "reliability"),
        *(("digits", f"real_vs_synthetic.{protocol}") for protocol in PROTOCOLS),
        *((name, f"confidence.{source}") for name in ("digits", "mine") for source in ("cutpaste", "procedural")),
    }


def test_svg_is_the_same_in_every_run_and_self_contained(tmp_path):
    options = {"protocols": ["leave_one_out"], "sources": ["cutpaste"]}
    first, second = (drawn({"digits": (["0", "1"], True)}, **options) for _ in range(2))
    for name, figure in first.items():
        svg = figure_style.svg(figure)
        assert svg == figure_style.svg(second[name])
        assert "<script" not in svg and "@import" not in svg
        links = [value for node in ElementTree.fromstring(svg).iter() for key, value in node.items() if "href" in key]
        assert all(link.startswith(("#", "data:")) for link in links)
    figure_style.save(first["digits", "strategies"], tmp_path / "a.b")
    assert (tmp_path / "a.b.svg").read_text(encoding="utf-8") == figure_style.svg(first["digits", "strategies"])
    assert {path.name for path in tmp_path.glob("[!.]*")} == {"a.b.svg", "a.b.png"}
    Image.open(tmp_path / "a.b.png").verify()


def test_candidates_are_told_apart_and_keep_their_look():
    looks = figure_style.looks([f"c{i}" for i in range(132)])
    assert len(set(looks.values())) == 132
    assert len({marker for _, marker in list(looks.values())[:12]}) == 12
    assert figure_style.looks(["c0", "c1"])["c1"] == looks["c1"]
    assert all(figure_style.swatch(*look).count("<path") == 1 for look in looks.values())


GROUPS = {
    f"net{i} {head}".removesuffix(" knn"): (f"net{i}", head) for i in range(9) for head in ("knn", "cosine", "patch")
}


def test_candidates_of_heads_share_colours_by_backbone_and_markers_by_head():
    looks = figure_style.looks(GROUPS, GROUPS)
    assert len(set(looks.values())) == len(GROUPS) == 27
    assert looks["net0"].colour == looks["net0 patch"].colour != looks["net1"].colour
    assert looks["net0 patch"].marker == looks["net8 patch"].marker != looks["net8"].marker
    assert [name for name, _ in figure_style.legend_entries(list(GROUPS), GROUPS)] == [
        *(f"net{i}" for i in range(9)),
        *(f"head {head}" for head in ("knn", "cosine", "patch")),
    ]
    many = {f"{i} {head}": (str(i), head) for i in range(30) for head in ("knn", "cosine", "patch", "mahalanobis")}
    assert len(set(figure_style.looks(many, many).values())) == 120


def test_of_one_head_each_candidate_has_its_own_marker():
    groups = {name: (name, "knn") for name in CANDIDATES}
    assert figure_style.looks(CANDIDATES, groups) == figure_style.looks(CANDIDATES)
    assert figure_style.looks(["a prompt"], GROUPS) == figure_style.looks(["a prompt"])


def test_cost_figure_names_those_that_none_beats():
    ms = {name: 1.0 + i for i, name in enumerate(GROUPS)}
    costs = pd.DataFrame({"backbone": [b for b, _ in GROUPS.values()], "head": [h for _, h in GROUPS.values()]})
    costs = of_candidates(costs.assign(median_ms=list(ms.values())), GROUPS)
    scores = pd.Series({name: 0.5 + 0.01 * (i % 5) + 0.001 * i for i, name in enumerate(GROUPS)})
    figure = cost_figure(scores.drop("net3"), costs, list(GROUPS), GROUPS)
    named = [text.get_text() for text in figure.axes[0].texts]
    assert named and set(named) <= {list(GROUPS)[i] for i in (0, 1, 2, 3, 4, 14, 19, 24)}
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


def test_the_scatter_holds_every_candidate_at_its_place():
    made = study({"digits": (["0", "1"], True)}, sources=["cutpaste"])
    ranking = tables.ranking(made["auroc"])
    figure = figures.real_vs_synthetic(ranking, CANDIDATES, "paired")
    ranking = ranking[ranking["n_anomalies"] == "all"]
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["CutPaste, one-vs-closest", "CutPaste, one-vs-rest"]
    for ax, setting in zip(figure.axes, SETTINGS, strict=True):
        points = {
            line.get_marker(): line.get_xydata()[0] for line in ax.lines if line.get_marker() in figure_style.MARKERS
        }
        for name, (_, marker) in figure_style.looks(CANDIDATES).items():
            mine = ranking[ranking["candidate"] == name]
            real = mine.loc[mine["setting"] == setting, "auroc"].item()
            synthetic = mine.query("validation == 'cutpaste' and protocol == 'paired'")["auroc"].item()
            assert points[marker] == pytest.approx([synthetic, real])


@pytest.mark.filterwarnings("ignore:Glyph")
def test_names_are_shown_as_they_are():
    names = ["_hidden", "a $x^2$ b", '<b>"q"&'] + CANDIDATES[3:]
    datasets = {"mine": (["rätsel & <i>"], False), "more": (["1", "2"], True)}
    made = drawn(datasets, names, protocols=["paper"], sources=["cutpaste"])
    for key in (("mine", "confidence.cutpaste"), ("more", "real_vs_synthetic.paper")):
        shown = text_of(figure_style.svg(made[key]))
        assert all(name in shown for name in names)
    assert "rätsel & <i>" in text_of(figure_style.svg(made["mine", "confidence.cutpaste"]))


def test_many_tasks_are_summarised():
    tasks = [f"{i:03}.Black_footed_Albatross" for i in range(60)]
    options = {"protocols": ["leave_one_out"], "sources": ["cutpaste"]}
    figure = drawn({"cub": (tasks, True)}, MANY, **options)["cub", "confidence.cutpaste"]
    assert len(figure.axes) == 2
    assert "tasks won, of 60" in text_of(figure_style.svg(figure))
    few = drawn({"cub": (tasks[: tables.MOST_TASKS], True)}, MANY, **options)["cub", "confidence.cutpaste"]
    assert sum(ax.get_visible() for ax in few.axes) == tables.MOST_TASKS


def test_missing_values_leave_gaps_and_no_error():
    made = study({"digits": (["0", "1"], True)}, sources=["cutpaste"], protocols=["paired"])
    for table, column in (("auroc", "auroc"), ("confidence", "low"), ("selection", "p_best")):
        made[table].loc[made[table]["candidate"] == CANDIDATES[0], column] = np.nan
    picks = tables.picks(made["selection"], made["auroc"], ["paired"], made["strategies"])
    args = made["auroc"], tables.ranking(made["auroc"]), made["confidence"], tables.table1(made["selection"]), picks
    for figure in figures.study(*args, CANDIDATES, ["paired"]).values():
        assert ">nan<" not in figure_style.svg(figure)
