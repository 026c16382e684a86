"""The sources that change seed images: defects, Perlin textures and mixtures are seeded, visible, and never everything."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swsa_core.anomalies import SOURCES, defects, mix, perlin
from swsa_core.anomalies.source import Task
from swsa_core.anomalies.visible import MOST, first_visible, turns, visible_share
from swsa_core.basics.errors import InputError
from swsa_core.config.config import validate
from swsa_core.files.drawings import pool_image

NAMES = ["defects", "perlin", "mix"]
KINDS = ["scratch", "stain", "hole", "crack", "blur", "light"]


def task(shape=(64, 64), n=4):
    """A task whose seed images are drawn, of any (H, W)."""
    images = [pool_image(0, i) for i in range(n)]
    height, width = shape
    return Task("d", "t", {f"{i}": np.resize(image, (height, width, 3)) for i, image in enumerate(images)}, {}, 0)


def section(name, **given):
    return SOURCES[name].section(**given).model_dump()


def make(name, shape=(64, 64), seed=0, **given):
    return SOURCES[name].make(task(shape), section(name, **given), np.random.default_rng(seed))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(64, 64), (40, 96)])
def test_anomalies_are_seeded_visible_and_of_their_parent_s_size(name, shape):
    made, again, other = (make(name, shape, seed, n=12) for seed in (0, 0, 1))
    seeds = task(shape).seeds
    assert len(made.images) == 12 and made.parents.shape == (12, SOURCES[name].parents)
    assert (
        set(made.columns)
        == {
            "defects": {"kinds", "strengths"},
            "perlin": {"areas", "opacities"},
            "mix": {"areas"},
        }[name]
    )
    for image, parents in zip(made.images, made.parents, strict=True):
        assert image.shape == (*shape, 3) and image.dtype == np.uint8
        assert 0 < visible_share(seeds[parents[0]], image) <= MOST
        assert len(set(parents)) == len(parents)
    assert all(np.array_equal(one, two) for one, two in zip(made.images, again.images, strict=True))
    assert not all(np.array_equal(one, two) for one, two in zip(made.images, other.images, strict=True))


@pytest.mark.parametrize("name", ["cutpaste", *NAMES])
def test_n_is_the_number_of_anomalies_and_no_leaf_of_studies_without_it(name):
    assert len(make(name, n=3).images) == 3 and len(make(name).images) == 4

    def validated(given):
        config = {
            "datasets": {"digits": {"kind": "digits"}},
            "sources": {name: given},
            "candidates": ["descriptor:hog"],
        }
        return validate(config)["sources"][name]

    assert "n" not in validated({}) and validated({"n": 7})["n"] == 7
    with pytest.raises(InputError, match=rf"sources\.{name}\.n"):
        validated({"n": 0})


def test_kinds_can_be_struck_out_and_come_equally_often():
    assert set(make("defects", n=10, kinds=["crack", "hole"]).columns["kinds"]) == {"crack", "hole"}
    counts = np.unique(turns(KINDS, 20, np.random.default_rng(0)), return_counts=True)[1]
    assert counts.sum() == 20 and counts.max() - counts.min() == 1
    with pytest.raises(ValueError, match="scratch"):
        section("defects", kinds=["scrach"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_stronger_defect_changes_more(kind):
    image = next(iter(task((96, 96)).seeds.values())).astype(np.float32)
    place = defects.Place(96, 96, 48, 48, 40)
    weak, strong = (defects.KINDS[kind].draw(image, place, s, np.random.default_rng(3)) for s in (0.3, 1.0))
    assert np.abs(weak - image).sum() < np.abs(strong - image).sum()


def test_where_no_defect_shows_the_sentence_says_what_to_do():
    plain = Task("d", "t", {"white.png": np.full((32, 32, 3), 255, np.uint8)} | task((32, 32)).seeds, {}, 0)
    with pytest.raises(InputError, match=r"'white.png'.*blur.*can be seen"):
        SOURCES["defects"].make(plain, section("defects", kinds=["blur"]), np.random.default_rng(0))
    images = SOURCES["defects"].make(plain, section("defects", kinds=["blur", "hole"], n=10), np.random.default_rng(0))
    assert set(images.columns["kinds"][images.parents[:, 0] == "white.png"]) == {"hole"}
    same = Task("d", "t", {f"{i}": np.full((32, 32, 3), 255, np.uint8) for i in range(2)}, {}, 0)
    for name in ("perlin", "mix"):
        try:
            SOURCES[name].make(same, section(name), np.random.default_rng(0))
        except InputError as error:
            assert f"sources.{name}" in str(error)
        else:
            assert name == "perlin"  # a texture of another brightness


def test_nothing_visible_is_none():
    image = np.zeros((8, 8, 3), np.uint8)
    assert first_visible(image, lambda: (image,)) is None
    assert first_visible(image, lambda: (image + 255,)) is None  # the whole image


@settings(max_examples=20, deadline=None)
@given(st.integers(16, 80), st.integers(16, 80), st.floats(0.05, 0.4), st.floats(1, 12), st.integers(0, 99))
def test_a_perlin_mask_covers_the_area_that_was_asked_for(height, width, area, cells, seed):
    mask = perlin.perlin_mask((height, width), area, (cells, cells), np.random.default_rng(seed))
    assert mask.shape == (height, width) and mask.min() >= 0 and mask.max() <= 1
    assert abs(mask.mean() - area) < 0.06


def test_perlin_noise_is_zero_at_the_corners_of_its_cells_and_smooth():
    noise = perlin.perlin_noise((64, 64), (4, 4), 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(noise[::16, ::16], 0, atol=1e-12)
    assert np.abs(noise).max() <= 1 + 1e-9 and np.abs(np.diff(noise, axis=0)).max() < 0.2


@pytest.mark.parametrize("shape", [(3, 3), (5, 9), (16, 12)])
def test_blending_solves_the_poisson_equation(shape):
    rng = np.random.default_rng(0)
    region, patch = (rng.uniform(0, 255, (*shape, 3)) for _ in range(2))
    found = mix.blended(region, patch)

    def laplacian(image):
        return image[:-2, 1:-1] + image[2:, 1:-1] + image[1:-1, :-2] + image[1:-1, 2:] - 4 * image[1:-1, 1:-1]

    np.testing.assert_allclose(laplacian(found), laplacian(patch), atol=1e-8)
    border = np.ones(shape, bool)
    border[1:-1, 1:-1] = False
    np.testing.assert_array_equal(found[border], region[border])
    np.testing.assert_allclose(mix.blended(patch + 30, patch), patch + 30)  # only the gradients are taken over


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("defects", {"strength": [0, 1]}),
        ("defects", {"size": [0.5, 0.2]}),
        ("defects", {"kinds": []}),
        ("perlin", {"area": [0.1, 0.9]}),
        ("perlin", {"cells": [0.5, 2]}),
        ("mix", {"area": [0, 0.1]}),
        ("mix", {"aspect": [2, 0.5]}),
        ("mix", {"regions": 0}),
    ],
)
def test_ranges_that_make_no_sense_are_refused(name, given):
    with pytest.raises(ValueError, match=next(iter(given))):
        section(name, **given)


@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if source.strength and source.make])
def test_strengths_are_recorded_and_differ_as_the_section_asks(name):
    source = SOURCES[name]
    strengths = make(name, n=12).columns[source.strength]
    assert strengths.shape == (12,) and 0 < strengths.min() < strengths.max() <= 1
    low, high = source.grades(section(name))
    assert low < high


def test_cutpaste_records_the_share_of_what_was_pasted():
    made = make("cutpaste", (40, 96), n=12)
    np.testing.assert_allclose(made.columns["areas"], made.columns["boxes"][:, :2].prod(axis=1) / (40 * 96))
