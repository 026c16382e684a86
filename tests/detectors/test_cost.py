"""What one image costs a backbone and its heads."""

from types import SimpleNamespace

import numpy as np
import pytest

from swsa_core.detectors import HEADS
from swsa_core.detectors.cost import WARM_UP, bank_bytes, frontier, measured, single_seconds

SETTINGS = {
    "knn": {"knn": {"k": 2, "distance": "squared_l2", "l2_normalize": False}},
    "cosine": {"k": 2},
    "mahalanobis": {},
    "patch": {"bank": 40, "seed": 0},
}
IMAGES = [np.full((8, 8, 3), value, np.uint8) for value in (10, 200)]


def backbone():
    """Of 5 features and 9 patches of 4 features."""
    return SimpleNamespace(
        device="",
        transform=lambda image: image.astype(np.float32),
        features=lambda batch: np.zeros((len(batch), 5), np.float32),
        with_patches=lambda batch: (np.zeros((len(batch), 5)), np.zeros((len(batch), 9, 4), np.float16)),
    )


def test_every_head_is_measured():
    assert set(SETTINGS) == set(HEADS)
    table = measured(backbone(), IMAGES, 10, SETTINGS).set_index("head")
    assert list(table.index) == list(SETTINGS)
    assert (table["head_ms"] > 0).all()
    assert (table["median_ms"] > table["head_ms"]).all()
    assert (table["p95_ms"] >= table["median_ms"]).all()
    assert table["bank_mb"].tolist() == pytest.approx([2e-4, 2e-4, 2e-4, 2 * 10 * 4 * 4 / 1e6])
    assert set(table["device"]) == {"cpu"}


def test_patches_are_asked_for_only_where_a_head_compares_them():
    without = backbone()
    without.with_patches = None
    assert measured(without, IMAGES, 10, {"knn": SETTINGS["knn"]})["head"].tolist() == ["knn"]


def test_the_first_images_do_not_count(monkeypatch):
    seen = []
    assert len(single_seconds(seen.append, IMAGES)) == len(seen) - WARM_UP
    monkeypatch.setattr("swsa_core.detectors.cost.MOST_SECONDS", 0)
    assert len(single_seconds(seen.append, IMAGES)) == 3


@pytest.mark.parametrize("head", SETTINGS)
def test_a_copy_of_the_bank_is_normal_and_a_distant_image_is_not(head):
    shape = (9, 4) if HEADS[head].patches else (4,)
    bank = np.random.default_rng(1).normal(1, 0.1, (8, *shape)).astype(np.float32)
    settings = SETTINGS[head] | ({"bank": 80} if head == "patch" else {})
    answer = HEADS[head].against(np.stack([bank[0], -bank[0]]), bank, **settings)
    assert answer.scores[0] < answer.scores[1]
    assert answer.nearest[0] == 0


def test_bank_bytes_keep_one_patch_of_each_image_at_least():
    assert bank_bytes(10, (9, 4), {"bank": 3}) == 2 * 10 * 4


def test_the_frontier_has_no_point_that_another_one_beats():
    assert frontier([1, 1, 2, 3], [0.5, 0.6, 0.6, 0.7]) == [1, 3]
    assert frontier([], []) == []
