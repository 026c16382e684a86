"""The split of the support set, names and random numbers."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import layouts
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swsa_core import datasets
from swsa_core.anomalies.pool import sample_pool
from swsa_core.basics.errors import InputError
from swsa_core.basics.names import SLUG, slug, unique_slugs
from swsa_core.basics.seeding import rng
from swsa_core.datasets import cub
from swsa_core.datasets.support import check_bank, check_supports, split_support, without_copies
from swsa_core.detectors.score_knn import score_dataset
from swsa_core.detectors.scores import Anomalies, Features
from swsa_core.evaluation.protocols import compare
from swsa_core.files.copies import picture

IDS = [f"{i}.png" for i in range(30)]


def test_split_is_a_partition_in_order():
    seeds, held_out = split_support(IDS, 20, 0, "birds", "wren")
    assert len(seeds) == 20
    assert sorted(seeds + held_out) == sorted(IDS)
    assert seeds == [i for i in IDS if i in seeds]
    assert split_support(IDS, 20, 0, "birds", "wren") == (seeds, held_out)
    assert split_support(IDS, 20, 0, "birds", "robin") != (seeds, held_out)
    assert split_support(IDS, 20, 1, "birds", "wren") != (seeds, held_out)
    assert split_support(IDS, 30, 0, "birds", "wren") == (IDS, [])


def test_every_image_is_a_seed_equally_often():
    counts = np.zeros(30)
    for seed in range(600):
        counts[[IDS.index(i) for i in split_support(IDS, 10, seed, "d", "t")[0]]] += 1
    assert (np.abs(counts - 200) < 60).all(), "within five standard deviations"


def test_too_few_images_say_what_is_needed():
    with pytest.raises(InputError, match=r"'wren'.*'birds' has 3 normal training images.*at least 20.*support\.seeds"):
        split_support(IDS[:3], 20, 0, "birds", "wren")
    check_bank(5, 3, 2, "birds", "wren")
    with pytest.raises(InputError, match=r"knn\.k is 3, .* only 2 of the 4 support images remain"):
        check_bank(4, 3, 2, "birds", "wren")


def pictures_of(features):
    """A `Picture` per image, whose pixels stand for its features."""
    return {name: picture(np.frombuffer(row.tobytes(), np.uint8).reshape(8, -1, 3)) for name, row in features.items()}


def synthetic_auroc(features, ids, protocol, draws):
    """Of 100 anomalies from the normals' own law against the support that is made of `ids`, two parents each."""
    seeds, held_out = split_support(ids, 20, 0, "d", "t")
    supports = [{"task": "t", "seed_ids": seeds, "held_out_ids": held_out}]
    bank = Features(np.stack([features[image_id] for image_id in ids]), np.array(ids, dtype=object))
    parents = np.array([seeds[i] for i in draws.integers(0, len(seeds), 200)], dtype=object).reshape(100, 2)
    made = Anomalies(draws.normal(size=(100, bank.features.shape[1])), np.full(100, "t", dtype=object), parents)
    scores = score_dataset(supports, bank, [], bank, {"own": made})
    scores.attributes["k"] = 3
    return compare(scores, "t", "own", protocol).wins.mean()


@pytest.mark.parametrize("protocol", ["leave_one_out", "paired"])
def test_copies_leave_the_auroc_as_it_is_without_them(protocol):
    """Anomalies that are further normals have AUROC 0.5. A copy in the bank makes its normal look perfect."""
    biased, right, plain = [], [], []
    for repeat in range(30):
        draws = np.random.default_rng(repeat)
        alone = {f"{i:02d}": draws.normal(size=48) for i in range(30)}
        with_copies = alone | {f"{i:02d} copy": alone[f"{i:02d}"] for i in range(15)}
        kept, found = without_copies(pictures_of(with_copies), None)
        assert kept == list(alone)
        assert found == [{"image_id": f"{i:02d}", "copies": [f"{i:02d} copy"]} for i in range(15)]
        values = [
            synthetic_auroc(with_copies, ids, protocol, np.random.default_rng([repeat, 1]))
            for ids in (list(with_copies), kept, list(alone))
        ]
        for told, value in zip((biased, right, plain), values, strict=True):
            told.append(value)
    assert right == plain
    assert np.mean(right) == pytest.approx(0.5, abs=0.04) and np.mean(biased) > 0.6


def test_too_few_images_without_copies_name_them():
    copies = [{"image_id": "0.png", "copies": ["1.png", "2.png", "3.png"]}, {"image_id": "7.png", "copies": ["8.png"]}]
    told = r"without 4 copies \('1\.png' of '0\.png', '2\.png' of '0\.png', '3\.png' of '0\.png' and 1 other\)"
    with pytest.raises(
        InputError, match=rf"'birds' has 3 normal training images {told}, its support needs at least 20"
    ):
        split_support(IDS[:3], 20, 0, "birds", "wren", copies)
    with pytest.raises(InputError, match=rf"knn\.k is 3, but .* only 2 of the 4 .* are left out {told}: lower"):
        check_bank(4, 3, 2, "birds", "wren", copies)


def config(spec, k=3, protocols=("paper", "leave_one_out"), sources=("cutpaste",)):
    evaluation = {"protocols": list(protocols)}
    return {
        "seed": 0,
        "datasets": {"mine": spec},
        "sources": dict.fromkeys(sources),
        "knn": {"k": k},
        "evaluation": evaluation,
    }


def test_a_bank_for_the_protocol_paper_alone_lacks_nothing(tmp_path):
    spec = layouts.spec("classes", layouts.classes(tmp_path, make=layouts.touch))  # 6 train images a class
    check_supports(config(spec, k=5))
    check_supports(config(spec, k=6, protocols=["paper"]))
    for too_many, protocols in [(6, ["paper", "paired"]), (6, ["leave_one_out"]), (7, ["paper"])]:
        with pytest.raises(InputError, match=rf"knn\.k is {too_many}, but .*\b6 support images"):
            check_supports(config(spec, k=too_many, protocols=protocols))
    with pytest.raises(InputError, match=r"'blue' of data set 'mine' has 6 normal training images.*at least 9"):
        check_supports(config({**spec, "support": {"seeds": 9}}))


def test_supports_are_checked_with_one_listing_for_all_tasks(tmp_path, monkeypatch):
    calls = []
    rows = cub.rows
    monkeypatch.setattr(cub, "rows", lambda *args: calls.append(args) or rows(*args))
    monkeypatch.setitem(datasets.KINDS, "cub", replace(cub.KIND, rows=cub.rows))
    for n_classes in (2, 20):
        names = [f"{i:03d}.Bird" for i in range(n_classes)]
        check_supports(config(layouts.spec("cub", layouts.cub(tmp_path / f"{n_classes}", names, make=layouts.touch))))
        assert len(calls) <= 2
        calls.clear()


def test_reading_the_demo_config_imports_nothing_heavy():
    code = (
        "import sys, yaml; from swsa_core.config.config import validate; from swsa_core.datasets.support import check_supports;"
        "check_supports(validate(yaml.safe_load(open('config.yaml'))));"
        "print(*{'torch', 'sklearn', 'pandas'} & sys.modules.keys())"
    )
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert run.stdout.split() == []


def test_pool_rows_differ_within_a_task():
    rows = sample_pool(60, 25, ["a", "b"], 0, "birds", "tiny_imagenet")
    assert rows.groupby("task").row.nunique().tolist() == [25, 25]
    assert rows.row.between(0, 59).all()
    alone = sample_pool(60, 25, ["b"], 0, "birds", "tiny_imagenet")
    assert rows[rows.task == "b"].row.tolist() == alone.row.tolist(), "a task's rows do not depend on the others"
    with pytest.raises(InputError, match=r"holds 20 images.*samples 25"):
        sample_pool(20, 25, ["a"], 0, "birds", "tiny_imagenet")


@given(st.lists(st.text(), unique=True, max_size=8))
def test_slugs_are_safe_and_unique(names):
    import re

    slugs = unique_slugs(names)
    assert list(slugs.values()) == names
    assert len({s.lower() for s in slugs}) == len(names), "also where file names ignore case"
    assert all(re.fullmatch(SLUG, s) and not s.startswith(".") for s in slugs)


def test_slugs_do_not_depend_on_the_order():
    names = ["a b", "a/b", "c"]
    assert unique_slugs(names)["c"] == "c"
    assert dict(unique_slugs(names)) == dict(unique_slugs(names[::-1]))
    assert slug("hard-leaved [pocket] 'orchid'") == "hard-leaved-pocket-orchid-"


def test_random_numbers_depend_on_each_name():
    draws = {
        rng(seed, *names).integers(2**60) for seed in (0, 1) for names in ((), ("a",), ("b",), ("a", "b"), ("ab",))
    }
    assert len(draws) == 10
