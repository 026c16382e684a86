"""The sources whose anomalies are images that are there: of other tasks, and of a pool those nearest to the support set."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swsa_core.anomalies.hard_pool import nearest_rows
from swsa_core.anomalies.other_tasks import others
from swsa_core.basics.errors import InputError
from swsa_core.config.config import validate


def support(task, ids):
    return {"dataset": "d", "task": task, "seed_ids": ids[:2], "held_out_ids": ids[2:], "paths": {}, "skipped": []}


def supports(**sizes):
    return [support(task, [f"{task}{i}" for i in range(n)]) for task, n in sizes.items()]


@given(st.lists(st.integers(3, 9), min_size=2, max_size=5), st.integers(1, 40), st.integers(0, 9))
def test_images_of_other_tasks_are_seeded_different_and_evenly_spread(sizes, n, seed):
    every = supports(**{f"t{i}_": size for i, size in enumerate(sizes)})
    chosen = others(every, n, seed)
    assert chosen.equals(others(every, n, seed))
    for one in every:
        rows = chosen[chosen.task == one["task"]]
        available = {
            other["task"]: len(other["seed_ids"] + other["held_out_ids"]) for other in every if other is not one
        }
        assert len(rows) == min(n, sum(available.values())) == rows.image_id.nunique()
        assert all(image_id.startswith(other) for image_id, other in zip(rows.image_id, rows.other, strict=True))
        counts = {other: (rows.other == other).sum() for other in available}
        unused = [counts[other] for other in available if counts[other] < available[other]]
        assert (
            not unused or max(counts.values()) - min(unused) <= 1
        )  # a task with images left gives as many as any other


def test_an_image_of_the_task_itself_is_no_anomaly_and_none_comes_twice():
    shared = [support("a", ["1", "2", "3"]), support("b", ["3", "4", "5"]), support("c", ["4", "5", "6"])]
    chosen = others(shared, 9, 0)
    assert set(chosen.image_id[chosen.task == "a"]) == {"4", "5", "6"} and (chosen.task == "a").sum() == 3
    assert not {"3", "4", "5"} & set(chosen.image_id[chosen.task == "b"])
    assert others(shared[:1], 9, 0).empty


def test_another_seed_takes_other_images():
    one, two = (others(supports(a=5, b=5, c=5), 4, seed) for seed in (0, 1))
    assert not one.equals(two)


def test_nearest_rows_agree_with_a_loop_far_from_the_origin():
    rng = np.random.default_rng(0)
    bank, pool = rng.normal(1e3, 1, (6, 4)).astype(np.float32), rng.normal(1e3, 1, (20, 4)).astype(np.float32)
    distances = [min(np.linalg.norm(image.astype(float) - one.astype(float)) for one in bank) for image in pool]
    np.testing.assert_array_equal(nearest_rows(bank, pool, 7), np.argsort(distances)[:7])


@pytest.mark.parametrize("sources", [{"hard_pool": {"of": "procedural"}}, {"hard_pool": {"of": "mix"}, "mix": {}}])
def test_a_hard_pool_needs_its_pool(sources):
    config = {"datasets": {"digits": {"kind": "digits"}}, "sources": sources, "candidates": ["descriptor:hog"]}
    with pytest.raises(
        InputError, match=r"sources\.hard_pool\.of: received '(procedural|mix)'.*add .*procedural.* to `sources`"
    ):
        validate(config)
