"""CutPaste's law: where patches and scars come from, where they go, how large they are, how their colours change."""

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.v2 import functional

from swsa_core.anomalies import cutpaste
from swsa_core.anomalies.cutpaste import (
    CENTRAL,
    MIN_CHANGED,
    CutPaste,
    by_config,
    cutpaste_per_image,
    cutpaste_scar,
    jittered,
    make,
)
from swsa_core.anomalies.source import Task
from swsa_core.basics.errors import InputError
from swsa_core.basics.seeding import rng
from swsa_core.config.config import validate


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def changed_centrally(image, anomaly):
    """Which pixels of the central crop changed, (h, w) bool."""
    top, left = (round(side * (1 - CENTRAL) / 2) for side in image.shape[:2])
    return (anomaly != image).any(-1)[top : image.shape[0] - top, left : image.shape[1] - left]


def colours(pixels):
    return set(map(tuple, pixels.reshape(-1, 3).tolist()))


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
    assert changed_centrally(image, anomaly).mean() >= MIN_CHANGED


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


def test_default_images_stay_what_they_are():
    image = noise(64, 64)
    image[:, :32] = 0
    generator = rng(0, "birds")
    found = sha256(b"".join(cutpaste(image, generator)[0].tobytes() for _ in range(20)))
    assert found.hexdigest()[:16] == "fa1d0684c3132566"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(32, 32), (256, 256), (200, 300)]))
def test_law_of_scars(seed, shape):
    image = noise(*shape)
    before = image.copy()
    anomaly, (w, h, x, y, to_x, to_y, to_w, to_h) = cutpaste_scar(image, rng(seed))
    assert np.array_equal(image, before), "the input is not written to"
    assert (anomaly.shape, anomaly.dtype) == (image.shape, np.uint8)
    assert (x, y) != (to_x, to_y)
    target = np.s_[to_y : to_y + to_h, to_x : to_x + to_w]
    outside = np.ones(shape, bool)
    outside[target] = False
    assert np.array_equal(anomaly[outside], image[outside]), "nothing else changed"
    pasted = anomaly[target][(anomaly != image)[target].any(-1)]
    assert colours(pasted) <= colours(image[y : y + h, x : x + w]), "pixels of the patch, and none of a background"
    assert changed_centrally(image, anomaly).sum() >= len(pasted) / 2 > 0


def test_scars_have_the_paper_s_sizes_at_256_pixels_and_the_same_share_elsewhere():
    boxes = np.array([cutpaste_scar(noise(256, 256), rng(0, str(i)))[1] for i in range(400)])
    width, length = boxes[:, 0], boxes[:, 1]
    assert (width.min(), width.max(), length.min(), length.max()) == (2, 16, 10, 25)
    assert abs(width.mean() - 9) < 0.7 and abs(length.mean() - 17.5) < 0.8
    width, length = np.array([cutpaste_scar(noise(512, 700), rng(0, str(i)))[1][:2] for i in range(100)]).T
    assert width.min() >= 4 and 28 < width.max() <= 32 and length.min() >= 20 and 46 < length.max() <= 50
    assert max(cutpaste_scar(noise(32, 32), rng(0, str(i)))[1][1] for i in range(50)) == 3


def test_a_scar_is_the_rectangle_turned():
    image = noise(256, 256)
    anomaly, (w, h, x, y, to_x, to_y, to_w, to_h) = cutpaste_scar(image, rng(0), rotation=(0, 0))
    assert (to_w, to_h) == (w, h)
    assert np.array_equal(anomaly[to_y : to_y + h, to_x : to_x + w], image[y : y + h, x : x + w])
    box = cutpaste_scar(image, rng(1), width=(2, 2), length=(100, 100), rotation=(45, 45))[1]
    assert box[6:] == pytest.approx((102 * 0.5**0.5,) * 2, abs=2)
    slopes = []  # of long scars: both ways, and never beyond the limits
    for i in range(40):
        anomaly, box = cutpaste_scar(image, rng(i), width=(2, 2), length=(100, 100))
        rows, columns = np.nonzero((anomaly != image).any(-1))
        slopes.append(np.polyfit(rows, columns, 1)[0])
    assert -1.05 < min(slopes) < -0.5 and 0.5 < max(slopes) < 1.05


def test_jitter_is_that_of_torchvision():
    """Where its factors are drawn equal: all of one strength at both ends of the range."""
    patch = noise(40, 30)

    class Fixed:
        """Draws the identity as the order, and the upper end of each range."""

        def permutation(self, n):
            return np.arange(n)

        def uniform(self, low, high):
            return high

    picture = Image.fromarray(patch)
    for adjust, value in (("brightness", 1.1), ("contrast", 1.1), ("saturation", 1.1), ("hue", 0.1)):
        picture = getattr(functional, f"adjust_{adjust}")(picture, value)
    assert np.array_equal(jittered(patch, Fixed(), 0.1), np.array(picture))
    assert np.array_equal(jittered(patch, rng(0), 0), patch)


def test_jitter_changes_colours_and_no_place():
    image = (noise(128, 128) // 4 + 90).astype(np.uint8)
    plain, coloured = rng(0), rng(0)
    differences = []
    for _ in range(20):
        one, box = cutpaste(image, plain)
        other, other_box = cutpaste(image, coloured, jitter=0.1)
        assert box == other_box
        w, h, _, _, to_x, to_y = box
        outside = np.ones(image.shape[:2], bool)
        outside[to_y : to_y + h, to_x : to_x + w] = False
        assert np.array_equal(one[outside], other[outside])
        differences.append((other.astype(int) - one)[~outside].mean(axis=0))
    assert 1 < np.abs(differences).mean() < 30
    assert (np.array(differences).min(axis=0) < 0).all() and (np.array(differences).max(axis=0) > 0).all()
    again = [cutpaste_scar(image, rng(7, "birds"), jitter=0.1)[0] for _ in range(2)]
    assert np.array_equal(*again)


@pytest.mark.parametrize("make", [cutpaste, cutpaste_scar])
def test_jitter_changes_no_place_where_draws_are_rejected(make):
    image = np.full((64, 64, 3), 120, np.uint8)
    image[:16] = noise(16, 64)
    plain, coloured = rng(0), rng(0)
    boxes = [(make(image, plain)[1], make(image, coloured, jitter=0.1)[1]) for _ in range(30)]
    assert all(box == other for box, other in boxes)


def test_a_config_names_its_form():
    image = noise(128, 128)
    default = CutPaste().model_dump()
    assert np.array_equal(by_config(default)(image, rng(0))[0], cutpaste(image, rng(0))[0])
    scar = CutPaste(form="scar", scar_width=[5, 6], jitter=0.1).model_dump()
    expected = cutpaste_scar(image, rng(0), width=(5, 6), jitter=0.1)
    found = list(cutpaste_per_image({"a": image}, 1, rng(0), by_config(scar)))
    assert found[0][0] == "a" and np.array_equal(found[0][1], expected[0]) and found[0][2] == expected[1]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"form": "scars"}, r"form: received 'scars'; expected 'patch' or 'scar'"),
        ({"scar_width": [2, 4]}, r"scar_width is about scars: add `form: scar`, or remove it"),
        (
            {"form": "scar", "scar_length": [10, 300]},
            r"scar_length: received \[10, 300\]; expected 0 < low <= high <= 128",
        ),
        ({"form": "scar", "scar_rotation": [45, -45]}, r"scar_rotation: .*expected -180 <= low <= high <= 180"),
        ({"jitter": 0.6}, r"jitter: received 0.6; expected"),
    ],
)
def test_settings_without_meaning_are_refused(section, message):
    with pytest.raises(InputError, match=message):
        validate(
            {"datasets": {"d": {"kind": "digits"}}, "sources": {"cutpaste": section}, "candidates": ["descriptor:hog"]}
        )


@pytest.mark.parametrize("jitter", [0, 0.1])
@pytest.mark.parametrize("make", [cutpaste, cutpaste_scar])
def test_an_image_of_one_colour_is_refused(make, jitter):
    with pytest.raises(InputError, match=r"none of 100 CutPaste draws changed .* of a 32 x 32 image"):
        make(np.full((32, 32, 3), 120, np.uint8), rng(0), jitter=jitter)


def test_image_of_one_colour_is_named():
    with pytest.raises(InputError, match=r"'plain\.png'.*nearly of one colour .*; remove it"):
        list(cutpaste_per_image({"plain.png": np.full((32, 32, 3), 7, np.uint8)}, 1, rng(0)))


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        ({}, r"nearly of one colour \(it has one colour\), and with so few it may be a mask"),
        ({(0, 0): 255}, r"it has 2 colours, the commonest on 99\.9% of its pixels\), and with so few it may be a mask"),
    ],
)
def test_the_message_says_what_the_image_looks_like(pixels, said):
    image = np.zeros((32, 32, 3), np.uint8)
    for place, value in pixels.items():
        image[place] = value
    with pytest.raises(InputError, match=said):
        cutpaste(image, rng(0))


def test_a_noisy_wall_is_not_taken_for_a_mask():
    image = np.full((100, 100, 3), 90, np.uint8)
    image[0, :60, 0] = np.arange(60)
    with pytest.raises(InputError, match=r"it has 61 colours, the commonest on 99\.4% of its pixels\); remove it"):
        cutpaste(image, rng(0))


@pytest.mark.parametrize("form", ["patch", "scar"])
@pytest.mark.parametrize(
    ("preparation", "seen"), [({"size": 64, "fit": "squash"}, 1), ({"size": 64}, CENTRAL), ("original", CENTRAL)]
)
def test_what_counts_as_visible_follows_the_preparation(form, preparation, seen):
    seeds = {"a": noise(64, 64), "b": noise(64, 48, 1)}
    section = CutPaste(form=form).model_dump()
    task = Task("set", "task", seeds, preparation, 0)
    made = make(task, section, rng(1))
    expected = list(cutpaste_per_image(seeds, 1, rng(1), by_config(section, seen)))
    assert np.array_equal(made.images[0], expected[0][1])


@pytest.mark.parametrize(("seen", "outside"), [(CENTRAL, False), (1.0, True)])
def test_a_patch_outside_of_the_centre_counts_only_where_all_is_seen(seen, outside):
    image, thin = noise(64, 64), {"area": (0.02, 0.03), "aspect": (15, 16)}
    made = [cutpaste(image, rng(i), **thin, seen=seen)[0] for i in range(200)]
    assert any(not changed_centrally(image, anomaly).any() for anomaly in made) == outside
