"""The page of a detector: its numbers are those of the level, names are escaped, and a browser finds nothing to object to."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from pages import Page
from PIL import Image

from swsa_core.detect import Detector, fit
from swsa_core.detect.level import level_of, p_values, rank_of, ranks, realised, written
from swsa_core.report import detector_page
from swsa_core.report.detector_numbers import Evidence, axis_of, bars, ranks_of, steps, to_show, usual
from swsa_core.report.detector_page import IN_WORDS, Images, percent, render

N = 20
EVIL = "a 'b' \"c\" <img src=x onerror=alert(1)> & {{ 7 * 7 }}.png"
SOURCES = ("cutpaste", "defects")
KNN = {"knn": {"k": 2, "distance": "l2", "l2_normalize": False}}


@pytest.fixture(scope="module")
def evidence():
    rng = np.random.default_rng(0)
    return Evidence(rng.gamma(9, size=N), {source: rng.gamma(9, 2 + 3 * i, 80) for i, source in enumerate(SOURCES)})


@pytest.fixture(scope="module")
def made(tmp_path_factory, evidence):
    """(a detector of two tasks with hostile names, arguments of `render`)."""
    folder = tmp_path_factory.mktemp("page")
    rng = np.random.default_rng(1)
    photos = [folder / f"{i}{EVIL.replace('/', '')}" for i in range(N)]
    for path in photos:
        Image.fromarray(rng.integers(0, 255, (40, 30, 3), np.uint8)).save(path)
    plain = fit(photos, [({"name": EVIL, "model": "descriptor:lbp"}, "knn", KNN)])
    (one,) = plain.members.values()
    maps = {one.name: rng.random((N, 16)).astype(np.float16)}
    facts = {"verdict": "close call", "reason": EVIL, "sources": {name: {"auroc": 0.9} for name in SOURCES}}
    first = plain.part()
    parts = {
        name: replace(first, name=name, normals=evidence.normals, maps=some, facts=facts)
        for name, some in ((f"</script>{EVIL}", maps), ("plain", {}))
    }
    detector = Detector(plain.members, parts, plain.about | {"dataset": "mine", "strategy": "swsa"})
    images = {name: Images(image, of_sources(part.maps), part.maps) for name, part in parts.items()}
    costs = pd.DataFrame(
        {"candidate": [one.name], "network": ["a"], "median_ms": [12.0], "head_ms": [1.0], "bank_mb": [3.0]}
    ).assign(device="cpu", threads=1)
    return detector, {
        "evidence": dict.fromkeys(parts, evidence),
        "images": images,
        "costs": costs,
        "folder": folder / "detector",
    }


def image(source, row):
    return np.full((30, 40, 3), row, np.uint8)


def of_sources(maps):
    return {name: {source: np.ones((80, 16), np.float16) for source in SOURCES} for name in maps}


@pytest.fixture(scope="module")
def page(made):
    detector, arguments = made
    return render(detector, **arguments)


def numbers_of(text):
    """The numbers that the page's script reads."""
    return json.loads(re.search(r'id="numbers">(.*?)</script>', text, re.S)[1])


def test_each_step_is_what_its_level_promises_and_finds(evidence):
    found = steps(evidence.normals, evidence, axis_of(evidence))
    assert [step["rank"] for step in found] == ranks(N)
    for step in found:
        rate = step["rank"] / (N + 1)
        assert (step["low"], step["high"]) == realised(N, rate)
        assert step["level"] == level_of(evidence.normals, rate) == level_of(evidence.normals, float(step["written"]))
        for source, share in zip(SOURCES, step["found"], strict=True):
            assert share == (evidence.anomalies[source] > step["level"]).mean()
    assert found[usual(N)]["rank"] == rank_of(N, 0.05)
    assert [step["at"] for step in found] == sorted((step["at"] for step in found), reverse=True)


@pytest.mark.parametrize("n", [1, 2, 10, 19, 20, 99, 1000, 12345])
def test_a_share_is_written_so_that_the_command_takes_the_same_level(n):
    assert all(rank_of(n, float(written(n, rank))) == rank for rank in ranks(n))
    assert ranks(n)[usual(n)] <= max(1, rank_of(n, 0.05))


def test_an_anomaly_is_caught_from_its_rank_on(evidence):
    scores = evidence.anomalies["cutpaste"]
    needed = ranks_of(scores, evidence.normals)
    for rank in (1, 3, N):
        np.testing.assert_array_equal(needed <= rank, p_values(scores, evidence.normals) <= rank / (N + 1) + 1e-9)


def test_missed_and_caught_ones_are_shown_where_there_are_any():
    scores = np.array([5.0, np.nan, 1.0, 3.0, 4.0, 2.0])
    assert to_show(scores, scores > 3, 2) == [2, 3, 4, 0]
    assert to_show(scores, scores > 9, 2) == [2, 0]


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(5),
        np.array([-3.0, 2.0, 40.0]),
        np.array([0.0, 1e-9, 1.0, 1e6]),
        np.full(4, 7.0),
    ],
)
def test_any_scores_have_places_on_the_axis(values):
    axis = axis_of(Evidence(values, {"cutpaste": values * 2}))
    places = axis.at(values)
    assert ((places >= 0) & (places <= 1)).all()
    assert (np.diff(places[np.argsort(values)]) >= 0).all()
    assert bars(values, axis).count("M") >= 1


def test_shares_are_never_rounded_to_certainty():
    assert percent(0.9999) == "99.9 %" and percent(0.0001) == "0.1 %"


def test_the_page_says_what_a_user_must_know(page, made):
    text = Page(without_code(page)).text
    assert IN_WORDS["close call"] in text
    assert "With 20 normal images no level can promise fewer than 1 false alarm in 21." in text
    assert "That is few" in text and "1 in 21" in text
    assert "--false-alarms 0.05" in text and "-m swsa_core.detect" in text and "--task plain" in text
    assert "12 ms" in text and "no weights" in text and "caught" in text and "missed" in text


def test_a_detector_that_misses_most_is_not_to_be_relied_on(made):
    told = "misses most of the synthetic defects of every kind"
    detector, arguments = made
    assert told not in render(detector, **arguments)
    blind = Evidence(np.arange(float(N)), dict.fromkeys(SOURCES, np.linspace(0, N, 80)))
    found = render(detector, **arguments | {"evidence": dict.fromkeys(detector.parts, blind)})
    assert found.count(told) == 2


def test_names_are_text_and_nothing_is_loaded(page):
    shown = Page(without_code(page))  # which fails on elements that names would have made
    assert EVIL in shown.text
    assert "onerror=alert(1)>" not in page
    assert all(link.startswith(("data:image/", "..")) for link in shown.links)
    assert len(set(shown.ids)) == len(shown.ids)
    assert "default-src 'none'" in page and page.count("<script") == 2


def test_links_lead_to_the_normal_images(page, made):
    folder = made[1]["folder"]
    folder.mkdir(exist_ok=True)
    links = {link for link in Page(without_code(page)).links if link.startswith("..")}
    assert links and all((folder / unquote(link)).is_file() for link in links)


def test_heatmaps_stand_where_patches_are_compared(page):
    first, second = re.findall(r"<section.*?</section>", page, re.S)
    assert "each beside what the detector sees" in first and "each beside what the detector sees" not in second
    assert first.count("<img") == 2 * second.count("<img") > 0


def test_further_tasks_have_their_numbers_without_pictures(made, monkeypatch):
    monkeypatch.setattr(detector_page, "PICTURED", 1)
    page = render(made[0], **made[1])
    first, second = re.findall(r"<section.*?</section>", page, re.S)
    assert "<img" in first and "<img" not in second and "first 1 task" in second
    both = numbers_of(page)
    assert len(both) == 2 and both[0] == both[1], "of the same evidence"
    assert [step["rank"] for step in both[0]["steps"]] == ranks(N)


def without_code(text):
    """A page without its two scripts, which must be ours."""
    return re.sub(r"<script.*?</script>", "", text, flags=re.S)


@pytest.mark.study
def test_a_browser_has_nothing_to_object_to(page, made, tmp_path):
    """axe-core, the slider by keyboard, and no sideways scrolling, in Chromium at 1280 and 400 px, light and dark."""
    modules = Path(__file__).parents[2] / "node_modules"
    if not (shutil.which("node") and shutil.which("chromium") and (modules / "axe-core").is_dir()):
        pytest.skip("needs node, Chromium, and `npm install --no-save axe-core playwright-core`")
    path = tmp_path / "page.html"
    path.write_text(page)
    script = Path(__file__).with_name("detector_page.mjs")
    environment = os.environ | {"CHROMIUM": shutil.which("chromium")}
    done = subprocess.run(["node", script, path], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
