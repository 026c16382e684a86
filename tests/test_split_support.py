"""The split of the support set, names and random numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swsa_core.anomalies.pool import sample_pool
from swsa_core.errors import InputError
from swsa_core.names import SLUG, slug, unique_slugs
from swsa_core.seeding import rng
from swsa_core.split_support import check_bank, split_support

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
    with pytest.raises(InputError, match=r"knn\.k: 3 .*bank of 4 support images, 2 without"):
        check_bank(4, 3, 2, "birds", "wren")


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
