"""The workflow as a user runs it: strange names, bad images, wrong input, a killed job, and scikit-learn's opinion."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from layouts import draw
from pages import Page
from PIL import Image
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from workflow import ROOT, environment, snakemake

from swsa_core.basics.names import unique_slugs
from swsa_core.config.config import validate
from swsa_core.config.study import study
from swsa_core.files import layout, store
from swsa_core.files.images import read_image
from swsa_core.files.text import read_json, read_table
from swsa_core.plan.costs import backbone_cost
from swsa_core.plan.jobs import jobs
from swsa_core.plan.sizes import size_on_disk

NASTY = ["plain", 'quote " and {brace}', "ünïcode [x] 'y' & <b>", "a b", "a-b"]


def config(**changes):
    return {
        "results": "results",
        "support": {"seeds": 4},
        "sources": {"cutpaste": {}, "procedural": {"pool": 20}},
        "candidates": ["descriptor:hog", "descriptor:color_histogram"],
        "knn": {"k": 2},
        "preparation": {"size": 32},
        "runtime": {"device": "cpu", "threads": 1},
        "evaluation": {"bootstrap": 100, "settings": ["one_vs_closest", "one_vs_rest", "one_vs_one"]},
    } | changes


def make_classes(root, names, train=6, test=4):
    for label, name in enumerate(names):
        for split, count in (("train", train), ("test", test)):
            for i in range(count):
                draw(root / split / name / f"{i} [{label}].png", seed=1000 * label + 10 * i + len(split))


def test_no_home_directory_is_needed_where_there_is_another_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/dev/null/nowhere")  # where not even root can make a directory
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    given = config(datasets={"digits": {"kind": "digits", "tasks": ["0", "1"]}})
    assert "embed_images" in snakemake(tmp_path, given, "--dry-run", "--quiet", "rules")
    monkeypatch.delenv("HOME")
    snakemake(tmp_path, given, "--dry-run", "--quiet")


@pytest.fixture(scope="module")
def nasty(tmp_path_factory):
    """A finished run on classes with names that break careless code, one of its candidates with patches."""
    directory = tmp_path_factory.mktemp("nasty")
    make_classes(directory / "my data", NASTY)
    given = config(
        datasets={"nasty": {"kind": "classes", "root": "my data"}},
        candidates=[
            "descriptor:hog",
            "descriptor:color_histogram",
            {"model": "mini:resnet_s", "heads": ["knn", "patch"]},
        ],
        patch={"grid": 8},
    )
    snakemake(directory, given)
    return directory / "results", given


def test_tables_hold_the_original_names(nasty):
    results, _ = nasty
    slugs = unique_slugs(NASTY)
    assert len(slugs) == 5
    for slug, name in slugs.items():
        assert read_json(results / "nasty" / "support" / f"{slug}.json")["task"] == name
    selection = read_table(results / "nasty" / "selection.csv", text=["task", "candidate"])
    assert set(selection.task) == set(NASTY)


def test_the_recommendation_is_what_the_tables_say(nasty):
    results, _ = nasty
    found = read_json(results / "nasty" / "recommendation.json")
    picks = read_table(results / "tables" / "picks.csv", text=["task", "candidate", "verdict"]).query("recommended")
    assert [one["task"] for one in found["tasks"]] == sorted(NASTY)
    for one, row in zip(found["tasks"], picks.itertuples(), strict=True):
        assert (one["task"], one["pick"], one["verdict"]) == (row.task, [row.candidate], row.verdict)
        assert {source["source"]: source["auroc"] for source in one["sources"]}[row.source] == row.synthetic_auroc
        last = one["support_curve"][-1]
        assert (last["n"], last["picks"]) == (one["normals"], {row.candidate: 1})
        assert last["auroc"] == pytest.approx(row.synthetic_auroc, abs=1e-3)
    text = (results / "nasty" / "recommendation.md").read_text()
    assert all(one["more_images"] in text for one in found["tasks"]) and "<b>" not in text


def test_report_is_one_page_with_escaped_names(nasty):
    page = (nasty[0] / "report.html").read_text()
    assert "ünïcode [x] &#39;y&#39; &amp; &lt;b&gt;" in page
    assert "& <b>" not in page
    assert all(name in Page(page).text for name in NASTY)
    assert "<script" not in page
    assert 'src="http' not in page


def independent_auroc(results, task, names, test_rows, index):
    """One-vs-rest and every pair of classes by scikit-learn, from the features alone."""
    support = read_json(results / "nasty" / "support" / f"{next(s for s, n in names.items() if n == task)}.json")
    with h5py.File(results / "nasty" / "embeddings" / "descriptor-hog" / "images.h5") as file:
        features = dict(zip(file["image_id"].asstr()[()], file["features"][()].astype(float), strict=True))
    bank = np.stack([features[i] for i in support["seed_ids"] + support["held_out_ids"]])
    queries = np.stack([features[i] for i in index.image_id[test_rows]])
    distances, _ = NearestNeighbors(n_neighbors=2).fit(bank).kneighbors(queries)
    scores, labels = (distances**2).sum(1), index["class"][test_rows].to_numpy()
    rest = roc_auc_score(labels != task, scores)
    pairs = [
        roc_auc_score(labels[m] != task, scores[m])
        for o in names.values()
        if o != task
        for m in [np.isin(labels, [o, task])]
    ]
    return {"one_vs_rest": rest, "one_vs_closest": min(pairs), "one_vs_one": np.mean(pairs)}


def test_real_auroc_is_that_of_scikit_learn(nasty):
    results, _ = nasty
    index = read_table(results / "nasty" / "images.csv", text=["image_id", "path", "class", "split", "group"])
    auroc = read_table(results / "nasty" / "auroc.csv", text=["task", "candidate", "validation", "setting"])
    real = auroc[(auroc.validation == "real") & (auroc.candidate == "descriptor:hog")]
    slugs = unique_slugs(NASTY)
    for task in NASTY:
        expected = independent_auroc(results, task, slugs, index.split == "test", index)
        found = dict(zip(real.setting[real.task == task], real.auroc[real.task == task], strict=True))
        assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.study
def test_same_numbers_with_other_threads_batches_and_order(nasty, tmp_path):
    """Parallelism, batch size and the order of jobs never change a result, but for a network's rounding errors.

    Those may turn round a pair of images with nearly equal scores: an AUROC moves by at most one of its pairs.
    """
    results, given = nasty
    make_classes(tmp_path / "my data", NASTY)
    other = given | {"runtime": {"device": "cpu", "threads": 2, "batch_size": 3}}
    snakemake(tmp_path, other, "--cores", "1")
    other_results = tmp_path / "results" / "nasty"
    assert (other_results / "images.csv").read_text() == (results / "nasty" / "images.csv").read_text()
    read = partial(read_table, text=["task", "candidate"])
    auroc, other_auroc = (read(path / "auroc.csv") for path in (results / "nasty", other_results))
    network = auroc.candidate.str.startswith("mini:resnet_s")
    pd.testing.assert_frame_equal(auroc[~network], other_auroc[~network], check_exact=True)
    one_pair = 1 / (auroc.n_normal * auroc.n_anomalous)
    assert ((auroc.auroc - other_auroc.auroc).abs() <= one_pair + 1e-12)[network].all()
    # P(best) is shared by all candidates, an interval is a candidate's own
    confidence, other_confidence = (
        read(path / "confidence.csv")
        .query("not candidate.str.startswith('mini:resnet_s')")
        .query("validation != 'all_sources'")
        .drop(columns=["p_best", "p_near"])
        for path in (results / "nasty", other_results)
    )
    pd.testing.assert_frame_equal(confidence, other_confidence, check_exact=True)


def test_the_plan_counts_the_bytes_of_patches(nasty, monkeypatch):
    results, given = nasty
    monkeypatch.chdir(results.parent)
    planned = study(validate(given))
    sizes = {name: size_on_disk(spec, planned.config["seed"], name) for name, spec in planned.datasets.items()}
    costs = {slug: backbone_cost(model, slug in planned.grids) for slug, model in planned.backbones.items()}
    of_stage = {"embed_images": "image", "embed_support": "support", "embed_anomalies": "anomaly", "embed_pool": "pool"}
    found = {
        job.stage: job
        for job in jobs(planned, sizes, costs, {})
        if job.stage in of_stage and "mini-resnet_s" in job.output
    }
    assert found.keys() == of_stage.keys()
    for stage, job in found.items():
        fields = layout.fields_of(f"{of_stage[stage]}_features", job.output)
        patches = layout.at("results", f"{of_stage[stage]}_patches", **fields, grid="grid_8")
        there = sum(Path(path).stat().st_size for path in (job.output, patches))
        assert job.disk < there < 1.2 * job.disk, stage  # beside the arrays there are names and settings


def test_snakemakes_own_report_works_offline(nasty):
    results, given = nasty
    snakemake(results.parent, given, "--report", "study.zip")
    with zipfile.ZipFile(results.parent / "study.zip") as archive:
        page = archive.read("study/report.html").decode()
        held = {name.split("/", 4)[-1] for name in archive.namelist()}
    assert 'src="http' not in page and 'href="http' not in page
    assert {"table1.csv", "picks.csv", "nasty/strategies.svg", "nasty/confidence.cutpaste.svg"} <= held
    categories = json.loads(re.search(r"var categories = ({.*?});", page)[1])
    assert set(categories["Figures"]) == {"nasty"}
    assert "Data set nasty: synthetic AUROC of each candidate on the cutpaste anomalies" in page


def break_image(path):
    path.write_bytes(path.read_bytes()[:60])


def test_bad_image_is_named_with_task_and_stage_or_skipped(tmp_path):
    make_classes(tmp_path / "images", ["red", "blue"], train=7)
    bad = [tmp_path / "images" / "train" / "red" / "0 [0].png", tmp_path / "images" / "test" / "blue" / "1 [1].png"]
    for path in bad:
        break_image(path)
    given = config(datasets={"mine": {"kind": "classes", "root": "images"}})
    output = snakemake(tmp_path, given, "--keep-going", check=False)
    assert "split_support: task 'red': image 'images/train/red/0 [0].png' cannot be read" in output
    assert "embed_images: class '" in output
    assert "Traceback" not in output
    given["datasets"]["mine"]["on_bad_image"] = "skip"
    snakemake(tmp_path, given)
    page = (tmp_path / "results" / "report.html").read_text()
    for path in bad:
        assert path.name in page
    support = read_json(tmp_path / "results" / "mine" / "support" / "red.json")
    assert [entry["image_id"] for entry in support["skipped"]] == ["train/red/0 [0].png"]
    assert len(support["seed_ids"] + support["held_out_ids"]) == 6


def test_a_camera_of_ten_bits_asks_for_its_depth_and_is_read_with_it(tmp_path):
    """A named pipe, a link to itself and a link to /dev/zero are bad images beside; no job hangs or shows its frames."""
    for split in ("train", "test"):
        for name in ("red", "blue"):
            for number in range(8):
                path = tmp_path / "images" / split / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = np.random.default_rng(number).integers(0, 1024, (32, 32), dtype=np.uint16)
                Image.fromarray(pixels).save(path)
    os.mkfifo(tmp_path / "images/train/red/pipe.png")
    (tmp_path / "images/train/red/loop.png").symlink_to("loop.png")
    (tmp_path / "images/train/red/zero.png").symlink_to("/dev/zero")
    (tmp_path / "images/train/red/a.heic").touch()
    given = config(datasets={"mine": {"kind": "classes", "root": "images", "on_bad_image": "skip"}})
    targets = ["results/mine/support/red.json", "results/mine/images.csv"]
    output = snakemake(tmp_path, given, *targets, check=False, timeout=120)
    assert "so they would be read as nearly black: set datasets.mine.bit_depth to" in output and "probably 10" in output
    assert "Traceback" not in output
    given["datasets"]["mine"]["bit_depth"] = 10
    output = snakemake(tmp_path, given, *targets, timeout=120)
    assert "mine: samples of 16 bits are read as 10 bits, divided by 4" in output
    assert "mine: files beside the images are not used: 1 .heic" in output
    support = read_json(tmp_path / targets[0])
    assert {image["image_id"][10:]: image["path"][17:] for image in support["skipped"]} == {
        name: name for name in ("loop.png", "pipe.png", "zero.png")
    }
    assert set(support["paths"].values()) == {f"read:bits=10:images/train/red/{number}.png" for number in range(8)}
    pixels = read_image("read:bits=10:" + str(tmp_path / "images/train/red/0.png"))
    assert np.array_equal(pixels[..., 0], np.random.default_rng(0).integers(0, 1024, (32, 32), dtype=np.uint16) >> 2)


def test_good_images_that_need_a_key_are_not_skipped_and_told_once(tmp_path):
    make_classes(tmp_path / "images", ["red"], train=0, test=4)
    (tmp_path / "images/train/red").mkdir(parents=True, exist_ok=True)
    for number in range(7):
        values = np.random.default_rng(number).random((32, 32), dtype=np.float32)
        Image.fromarray(values).save(tmp_path / f"images/train/red/{number}.tif")
    for on_bad_image in ("error", "skip"):
        given = config(datasets={"mine": {"kind": "classes", "root": "images", "on_bad_image": on_bad_image}})
        output = snakemake(tmp_path, given, "results/mine/support/red.json", check=False)
        assert "split_support: task 'red': image 'images/train/red/0.tif' cannot be read (its pixels" in output
        assert "set value_range" in output and "; 7 of its 7 images need a key of datasets.mine" in output
        assert "1.tif" not in output and "remove it" not in output and "Traceback" not in output


def test_test_images_of_ten_bits_ask_for_their_depth_and_have_the_features_of_eight(tmp_path):
    """Two data sets, alike but for the depth of their test images."""
    for root in ("ten", "eight"):
        for split in ("train", "test"):
            for number in range(7):
                path = tmp_path / root / split / "red" / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = np.random.default_rng(number).integers(0, 1024, (64, 64), dtype=np.uint16)
                eight = (root, split) != ("ten", "test")
                Image.fromarray((pixels >> 2).astype(np.uint8) if eight else pixels).save(path)
    given = config(datasets={root: {"kind": "classes", "root": root} for root in ("ten", "eight")})
    given["candidates"] = ["descriptor:hog"]
    listed = "\n".join([f"results/{root}/embeddings/descriptor-hog/images.h5" for root in ("ten", "eight")])
    output = snakemake(tmp_path, given, *listed.split(), "--keep-going", check=False)
    assert "set datasets.ten.bit_depth to" in output and "datasets.eight.bit_depth" not in output, output
    given["datasets"]["ten"]["bit_depth"] = 10
    snakemake(tmp_path, given, *listed.split())
    features = []
    for path in listed.split():
        with h5py.File(tmp_path / path) as file:
            features.append(file["features"][:])
    assert len(features[0]) == 14 and np.array_equal(*features)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"support": {"seeds": 8}},
            "task 'blue' of data set 'mine' has 6 normal training images, its support needs at least 8",
        ),
        ({"knn": {"k": 6}}, "knn.k is 6, but in task 'blue' of data set 'mine' only 5 of the 6 support images remain"),
        ({"datasets": {"mine": {"kind": "classes", "root": "images", "tasks": ["bleu"]}}}, "did you mean 'blue'?"),
        ({"datasets": {"mine": {"kind": "classes", "root": "imagse"}}}, "'imagse' is not a directory"),
        ({"candidates": ["descriptor:hogg"]}, "did you mean 'hog'?"),
        ({"candidates": ["mini:resnet_x"]}, "models/mini has no resnet_x.safetensors: did you mean 'resnet_s'"),
        (
            {"candidates": [{"model": "mini:resnet_s", "weights": "gone.safetensors"}]},
            "gone.safetensors",
        ),
    ],
)
def test_wrong_input_stops_before_any_job(tmp_path, changes, sentence):
    make_classes(tmp_path / "images", ["red", "blue"])
    given = config(datasets={"mine": {"kind": "classes", "root": "images"}}) | changes
    output = snakemake(tmp_path, given, "--dry-run", check=False)
    assert sentence in output
    assert "Traceback" not in output


def test_folder_without_labels(tmp_path):
    """A practitioner's folder: a recommendation, and no figure that would need labels."""
    for i in range(8):
        draw(tmp_path / "parts" / f"{i}.jpg", seed=i)
    snakemake(tmp_path, config(datasets={"mine": {"kind": "folder", "root": "parts"}}))
    picks = read_table(tmp_path / "results" / "tables" / "picks.csv", text=["task", "candidate"])
    assert picks.candidate[picks.recommended].isin(["descriptor:hog", "descriptor:color_histogram"]).all()
    assert picks.real_auroc.isna().all()
    text = Page((tmp_path / "results" / "report.html").read_text()).text
    assert "no labelled test set" in text
    assert not re.search(r"\bnan\b|\bNone\b", text)


@pytest.mark.study
def test_grey_images_of_any_size_stay_original(tmp_path):
    for i in range(8):
        (tmp_path / "parts").mkdir(exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (40 + i, 50 - i), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "parts" / f"{i}.png")
    given = config(datasets={"mine": {"kind": "folder", "root": "parts"}}, preparation="original")
    snakemake(tmp_path, given)
    with h5py.File(tmp_path / "results" / "mine" / "anomalies" / "cutpaste" / "parts.h5") as file:
        assert len(set(map(tuple, file["sizes"][()]))) > 1


def test_killed_embedding_goes_on_with_the_same_bits(tmp_path):
    given = config(
        datasets={"digits": {"kind": "digits", "tasks": ["3"]}},
        candidates=[{"model": "descriptor:hog", "resize": 256, "crop": 256}],
    )
    target = "results/digits/embeddings/descriptor-hog/images.h5"
    snakemake(tmp_path / "whole", given, target)
    partial = tmp_path / "killed" / f"{target}.partial"
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "c.json").write_text(json.dumps(given))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1", target]
    running = subprocess.Popen(
        [*command, "--directory", str(tmp_path / "killed"), "--configfile", str(tmp_path / "killed" / "c.json")],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while not rows_done(partial):
            assert running.poll() is None, "the job ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    before = rows_done(partial)
    assert 0 < before < 1527
    output = snakemake(tmp_path / "killed", given, "--nolock", target)
    assert f"going on after {before} of" in output
    whole, killed = (store.read(tmp_path / name / target)[0] for name in ("whole", "killed"))
    assert np.array_equal(whole["features"], killed["features"])
    assert list(whole["image_id"]) == list(killed["image_id"])


def rows_done(partial):
    try:
        with h5py.File(partial, "r", locking=False) as file:
            return int(file.attrs["done"])
    except (OSError, KeyError):
        return 0
