"""CutPaste's law: where patches come from, where they go, how large they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swsa_core.anomalies import cutpaste
from swsa_core.anomalies.cutpaste import CENTRAL, MIN_CHANGED, cutpaste_per_image
from swsa_core.errors import InputError
from swsa_core.seeding import rng


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(32, 32), (256, 256), (100, 300)]))
def test_law(seed, shape):
    image = noise(*shape)
    before = image.copy()
    anomaly, (w, h, x, y, to_x, to_y) = cutpaste(image, rng(seed))
    assert np.array_equal(image, before), "the input is not written to"
    assert anomaly.shape == image.shape
    assert anomaly.dtype == np.uint8
    assert (x, y) != (to_x, to_y)
    target = np.s_[to_y : to_y + h, to_x : to_x + w]
    assert np.array_equal(anomaly[target], image[y : y + h, x : x + w]), "the target holds the patch"
    outside = np.ones(shape, bool)
    outside[target] = False
    assert np.array_equal(anomaly[outside], image[outside]), "nothing else changed"
    top, left = (round(side * (1 - CENTRAL) / 2) for side in shape)
    central = (anomaly != image).any(-1)[top : shape[0] - top, left : shape[1] - left]
    assert central.mean() >= MIN_CHANGED


def test_area_and_aspect_are_as_drawn():
    boxes = np.array([cutpaste(noise(256, 256), rng(0, str(i)))[1] for i in range(300)])
    area, aspect = boxes[:, 0] * boxes[:, 1] / 256**2, boxes[:, 0] / boxes[:, 1]
    assert 0.018 < area.min() < 0.035 < 0.13 < area.max() < 0.155
    assert 0.28 < aspect.min() < 0.4 < 2.6 < aspect.max() < 3.5
    assert abs(np.median(np.log(aspect))) < 0.25, "log-uniform: as often tall as wide"
    assert abs(np.mean(area) - 0.085) < 0.01


def test_deterministic_by_names():
    image = noise(64, 64)
    again = [cutpaste(image, rng(3, "birds", "wren", "cutpaste"))[0] for _ in range(2)]
    assert np.array_equal(*again)
    assert not np.array_equal(again[0], cutpaste(image, rng(3, "birds", "robin", "cutpaste"))[0])


def test_counts_per_image_differ_by_at_most_one():
    images = {name: noise(32, 32, i) for i, name in enumerate("abcdefgh")}
    parents = [parent for parent, _, _ in cutpaste_per_image(images, 25, rng(0))]
    counts = [parents.count(name) for name in images]
    assert sum(counts) == 25
    assert max(counts) - min(counts) == 1


def test_image_of_one_colour_is_named():
    with pytest.raises(InputError, match=r"'plain\.png'.*nearly of one colour; remove it"):
        list(cutpaste_per_image({"plain.png": np.full((32, 32, 3), 7, np.uint8)}, 1, rng(0)))
