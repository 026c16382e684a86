"""Contact sheets: the right images, exactly as they are, with outlines beside and never on what matters."""

import base64
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from studies import image, sheet_of

from swsa_core.report import contact_sheets, figures
from swsa_core.report import style as figure_style


@pytest.mark.parametrize("side", [8, 32, 96, 256])
def test_an_outline_leaves_the_patch_itself_as_it_is(side):
    picture = image(0, side)
    x, y, width, height = side // 4, side // 8, side // 4, side // 2
    marked = contact_sheets.outlined(picture, (x, y, width, height))
    factor = len(marked) // side
    inside = np.s_[y * factor : (y + height) * factor, x * factor : (x + width) * factor]
    assert np.array_equal(marked[inside], contact_sheets.enlarged(picture, 96)[inside])
    assert (marked != contact_sheets.enlarged(picture, 96)).any(axis=2).sum() > 2 * factor * (width + height)


def test_an_outline_at_the_border_and_one_around_everything():
    picture = image(1, 32)
    assert contact_sheets.outlined(picture, (0, 0, 10, 4)).shape == (96, 96, 3)
    assert np.array_equal(contact_sheets.outlined(picture, (0, 0, 32, 32)), contact_sheets.enlarged(picture, 96))


@pytest.mark.parametrize(
    ("box", "pasted"), [((6, 5, 4, 3, 20, 18), (20, 18, 6, 5)), ((2, 9, 4, 3, 20, 18, 7, 8), (20, 18, 7, 8))]
)
def test_outlines_show_what_was_taken_and_where_it_went(box, pasted):
    """A scar is of another size where it went than where it was taken: boxes of eight numbers."""
    pick = pd.DataFrame([["d", "t", "cutpaste", "hog"]], columns=["dataset", "task", "source", "candidate"]).iloc[0]
    sheet = contact_sheets.collect(
        pick, ["a"], lambda name: image(0, 32), np.zeros(1), lambda row: image(1, 32), [["a"]], np.array([box])
    )
    taken, anomaly = contact_sheets.pictures(sheet, 0)
    assert np.array_equal(taken, contact_sheets.outlined(image(0, 32), (box[2], box[3], box[0], box[1])))
    assert np.array_equal(anomaly, contact_sheets.outlined(image(1, 32), pasted))


@pytest.mark.parametrize("shape", [(8, 8), (32, 20), (300, 200), (160, 160)])
def test_thumbnails_are_square(shape):
    thumbnail = contact_sheets.thumbnail(np.zeros((*shape, 3), np.uint8), 160)
    assert thumbnail.shape[0] == thumbnail.shape[1] >= 160 and thumbnail.dtype == np.uint8


def test_the_hardest_anomalies_are_those_with_the_lowest_scores():
    scores = np.array([3.0, 1, 2, 1])
    pick = pd.DataFrame([["d", "t", "cutpaste", "hog"]], columns=["dataset", "task", "source", "candidate"]).iloc[0]
    parents = [["a", "b"], ["c", "c"], ["a", "a"], ["b", "c"]]
    sheet = contact_sheets.collect(
        pick, ["a", "b", "c"], lambda name: name, scores, lambda row: row, parents, n_seeds=2, n_hardest=3
    )
    assert sheet.anomalies == [1, 3, 2] and sheet.n_anomalies == 4
    assert sheet.parents == [["c", "c"], ["b", "c"], ["a", "a"]] and sheet.boxes is None
    assert sheet.seeds == ["a", "b"] and sheet.n_seeds == 3


def test_pairs_stand_below_each_other_ten_in_a_row():
    seeds = {str(i): np.full((4, 4, 3), i, np.uint8) for i in range(12)}
    images, parents = [np.full((4, 4, 3), 100 + i, np.uint8) for i in range(12)], np.array(list(seeds))[:, None]
    sheet = contact_sheets.sheet_of_pairs(seeds, images, parents)
    first = [[sheet[top, 4 + 8 * i, 0] for i in range(10)] for top in (4, 8, 9)]
    assert first == [list(range(10)), [255] * 10, list(range(100, 110))]
    assert sheet[17, 4, 0] == 10 and sheet[22, 12, 0] == 111 and sheet[17, 20, 0] == 255


def test_small_images_stay_exact_and_large_ones_small():
    def decoded(uri):
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))

    small = image(0, 32)
    assert np.array_equal(decoded(contact_sheets.data_uri(small))[::5, ::5], small)
    assert decoded(contact_sheets.data_uri(image(0, 400))).shape == (160, 160, 3)
    assert len(contact_sheets.data_uri(image(0, 400))) < 20_000
    sheet = np.concatenate([small, small[:9]])  # (41, 32, 3)
    assert np.array_equal(decoded(contact_sheets.cross_uri(sheet))[::15, ::15], sheet)
    assert decoded(contact_sheets.cross_uri(np.zeros((800, 2000, 3), np.uint8))).shape == (384, 960, 3)


def test_contact_sheet_figures_for_any_number_of_parents():
    pick = pd.DataFrame([["d", "$t$", "cutpaste", "hog"]], columns=["dataset", "task", "source", "candidate"]).iloc[0]
    for n_parents, labels in enumerate(([], ["made from"], ["style", "content"])):
        figure = figures.contact_sheet(sheet_of(pick, boxes=n_parents == 1, n_parents=n_parents))
        assert [text.get_text() for ax in figure.axes for text in ax.texts] == ["seeds", *labels, "hardest"]
        assert len(figure.axes) == (2 + n_parents) * contact_sheets.N_SEEDS
        assert "$t$: CutPaste" in figure_style.svg(figure)
