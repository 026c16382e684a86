"""The paper's figures: every point at its place, sources and candidates told apart, the same bytes in every run."""

from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from studies import CANDIDATES, PROTOCOLS, SETTINGS, image, study

from swsa_core.anomalies import SOURCES
from swsa_core.config.sections import Sources
from swsa_core.evaluation import tsne
from swsa_core.paper import figures as paper_figures
from swsa_core.report import style as figure_style
from swsa_core.report import tables

LONG = "ünïcode <b> & a very long name of a task that no panel can hold"


def ranking(datasets, **options):
    auroc = study(datasets, **options)["auroc"]
    return tables.ranking(auroc if "selection" in auroc else auroc.assign(selection="model"))


def pairs(dataset="cub", task="albatross", seeds=4, **limits):
    crossed = [(f"s{i}", f"c{j}") for i in range(seeds) for j in range(seeds)]
    limits = {"n_rows": 5, "n_columns": 3} | limits
    return paper_figures.collect(dataset, task, crossed, lambda name: name, lambda row: crossed[row], **limits)


def drawable(one):
    """Pairs with images in place of names."""
    return paper_figures.Pairs(
        one.dataset,
        one.task,
        [image(i) for i, _ in enumerate(one.styles)],
        [image(10 + i) for i, _ in enumerate(one.contents)],
        [[image(20 + i) for i, _ in enumerate(row)] for row in one.made],
    )


def projection(task="0", closest="6", groups=(tsne.REAL, tsne.PREPARED, tsne.NORMAL, "cutpaste", "diffusion")):
    places = np.random.default_rng(0).normal(size=(len(groups) * 5, 2))
    rows = [(task, closest, group, f"{group}/{i}") for group in groups for i in range(5)]
    return pd.DataFrame(rows, columns=tsne.TSNE.text).assign(x=places[:, 0], y=places[:, 1])[tsne.TSNE.columns]


def drawn(datasets, **options):
    table = ranking(datasets, **options)
    protocols = options.get("protocols", PROTOCOLS)
    return paper_figures.study(
        table, [drawable(pairs())], {"digits": projection()}, CANDIDATES, protocols, CANDIDATES[0]
    )


def text_of(svg):
    return " ".join(ElementTree.fromstring(svg).itertext())


def test_a_study_has_every_figure_whose_data_are_there():
    labelled = drawn({"digits": (["0", "1"], True), "mine": (["mine"], False)})
    assert set(labelled) == {
        "contact_sheets",
        "tsne",
        *(f"real_vs_synthetic.{protocol}" for protocol in PROTOCOLS),
        *(f"one_source.{source}.{protocol}" for source in ("cutpaste", "procedural") for protocol in PROTOCOLS),
    }
    assert set(drawn({"mine": (["mine"], False)})) == {"contact_sheets", "tsne"}
    nothing = paper_figures.study(ranking({"mine": (["mine"], False)}), [], {}, CANDIDATES, PROTOCOLS, CANDIDATES[0])
    assert nothing == {}


def test_prompts_are_not_among_the_models():
    table = ranking({"digits": (["0", "1"], True)})
    prompts = table.assign(selection="prompt", candidate="a photo of a {}")
    both = paper_figures.study(pd.concat([table, prompts]), [], {}, CANDIDATES, ["paper"], CANDIDATES[0])
    alone = paper_figures.study(table, [], {}, CANDIDATES, ["paper"], CANDIDATES[0])
    assert {name: figure_style.svg(one) for name, one in both.items()} == {
        name: figure_style.svg(one) for name, one in alone.items()
    }


@pytest.mark.parametrize("sources", [["cutpaste", "diffusion", "tiny_imagenet"], ["tiny_imagenet"]])
def test_every_candidate_stands_at_its_place(sources):
    datasets = {"cub": (["a", "b"], True), "visa": (["pcb1"], True)}
    table = ranking(datasets, sources=sources, protocols=["paper"])
    all_of = table[table["n_anomalies"] == "all"]
    figure = paper_figures.real_vs_synthetic(all_of, CANDIDATES)
    assert len(figure.axes) == len(datasets) * len(SETTINGS)
    looks = figure_style.looks(CANDIDATES)
    for at, ax in enumerate(figure.axes):  # settings down, data sets across
        setting, dataset = SETTINGS[at // 2], list(datasets)[at % 2]
        mine = all_of[all_of["dataset"] == dataset].set_index(["validation", "setting", "candidate"])["auroc"]
        points = {
            (to_hex(line.get_color()).upper(), line.get_marker()): line.get_xydata()[0]
            for line in ax.lines
            if line.get_marker() in figure_style.MARKERS
        }
        assert len(points) == len(sources) * len(CANDIDATES)
        for source in sources:
            for name, (colour, marker) in looks.items():
                colour = colour if len(sources) == 1 else SOURCES[source].look.colour
                expected = mine[source, "", name], mine["real", setting, name]
                assert points[colour.upper(), marker] == pytest.approx(expected)


def test_a_setting_that_a_data_set_lacks_leaves_a_gap():
    table = ranking({"cub": (["a", "b"], True), "visa": (["pcb1"], True)}, sources=["cutpaste"], protocols=["paper"])
    table = table[
        (table["n_anomalies"] == "all") & ((table["dataset"] != "visa") | (table["setting"] != "one_vs_closest"))
    ]
    figure = paper_figures.real_vs_synthetic(table, CANDIDATES)
    assert [ax.axison for ax in figure.axes] == [True, False, True, True]
    assert figure.axes[1].get_title(loc="left") == "visa"


def test_every_source_has_a_look_of_its_own():
    groups = [tsne.NORMAL, tsne.PREPARED, tsne.REAL, *Sources.model_fields]
    looks = {tuple(paper_figures._group_look(group).items()) for group in groups}
    assert len(looks) == len(groups)


def test_pairs_lie_in_the_row_of_their_content_and_the_column_of_their_style():
    one = pairs(seeds=6)
    assert (one.styles, one.contents) == (["s0", "s1", "s2"], ["c0", "c1", "c2", "c3", "c4"])
    assert one.made == [[(style, content) for style in one.styles] for content in one.contents]
    few = pairs(seeds=1, n_rows=2)
    assert (few.styles, few.contents, few.made) == (["s0"], ["c0"], [[("s0", "c0")]])


def test_a_contact_sheet_holds_each_image_once():
    figure = paper_figures.contact_sheets([drawable(pairs(seeds=6)), drawable(pairs(seeds=2)), drawable(pairs())])
    counts = [len(ax.images) for ax in figure.axes]
    assert counts == [3 + 5 + 15, 2 + 2 + 4, 3 + 4 + 12, 0]


def test_tsne_shows_every_image_and_names_task_and_class():
    table = projection()
    figure = paper_figures.tsne({"digits": table, "mine": projection("mine", "", (tsne.NORMAL, "cutpaste"))}, "vit")
    shown = np.concatenate([line.get_xydata() for line in figure.axes[0].lines])
    assert sorted(map(tuple, shown)) == sorted(map(tuple, table[["x", "y"]].to_numpy()))
    svg = text_of(figure_style.svg(figure))
    assert all(
        text in svg for text in ("closest: 6", "t-SNE of the features of vit", "normal, as prepared", "CutPaste")
    )


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("n", [1, 5])
def test_no_text_is_cut_off_or_hides_another(n):
    """Whatever the number of data sets and the length of names, text has room."""
    names = ["torchvision:a_very_long_name_of_a_candidate_" + name for name in CANDIDATES]
    datasets = {f"data_set_number_{i}": ([LONG, "b"], True) for i in range(n)}
    auroc = study(datasets, names, protocols=["paper"])["auroc"]
    table = tables.ranking(auroc if "selection" in auroc else auroc.assign(selection="model"))
    sheets = [drawable(pairs(name, LONG, seeds)) for name, seeds in zip(datasets, (6, 2, 4, 4, 4), strict=False)]
    projections = {name: projection(LONG, LONG) for name in datasets}
    for name, figure in paper_figures.study(table, sheets, projections, names, ["paper"], names[0]).items():
        figure_style.svg(figure)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer, (width, height) = canvas.get_renderer(), figure.bbox.size
        texts = [text for ax in figure.axes if ax.get_visible() for text in (*ax.texts, ax._left_title)]
        texts += [text for legend in figure.legends for text in legend.get_texts()]
        boxes = {text: text.get_window_extent(renderer) for text in texts if text.get_text()}
        for text, box in boxes.items():
            assert min(box.x0, box.y0) >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1, (name, text)
        for (one, box), (other, other_box) in combinations(boxes.items(), 2):
            assert not box.overlaps(other_box), (name, one, other)


def test_files_are_the_same_in_every_run_with_text_as_text(tmp_path):
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        made = drawn({"digits": (["0", "1"], True)}, protocols=["paper"], sources=["cutpaste"])
        for name in ("contact_sheets", "real_vs_synthetic.paper", "tsne"):
            figure_style.save(made[name], tmp_path / run / name)
            paper_figures.save_pdf(made[name], tmp_path / run / name)
    files = sorted(path.name for path in (tmp_path / "a").glob("[!.]*"))
    assert len(files) == 3 * 3
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    svg = (tmp_path / "a" / "real_vs_synthetic.paper.svg").read_text(encoding="utf-8")
    assert all(name in text_of(svg) for name in [*CANDIDATES, "synthetic AUROC", "real AUROC"])
    assert b"/Type0" in (tmp_path / "a" / "tsne.pdf").read_bytes()  # an embedded TrueType font, not drawn outlines
