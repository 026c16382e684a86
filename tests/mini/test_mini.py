"""The mini models: procedural images, architectures, training, and the weights in models/mini."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from swsa_core.basics.errors import InputError
from swsa_core.files import drawings as procedural
from swsa_core.mini import CLASSIFIERS
from swsa_core.mini.architectures import MODELS, build, count_parameters
from swsa_core.mini.classifiers import RECIPES, accuracy, train
from swsa_core.mini.training import as_input, downsampled, learning_rate

WEIGHTS = Path(__file__).parents[2] / "models" / "mini"
TINY = {**RECIPES["vit_s"], "steps": 5, "batch_size": 4, "warmup_steps": 2}


@pytest.fixture(scope="module")
def fresh():
    """Drawings that no training has seen: images (200, 32, 32, 3), labels (200,)."""
    return procedural.batch(seed=12345, step=0, n=200)


@pytest.fixture
def few_held_out(monkeypatch):
    monkeypatch.setattr("swsa_core.mini.classifiers.HELD_OUT", 10)


def shipped(name):
    """The network with the weights of models/mini, and its json."""
    model = build(name)
    model.load_state_dict(load_file(WEIGHTS / f"{name}.safetensors"), strict=True)
    return model.eval(), json.loads((WEIGHTS / f"{name}.json").read_text())


def test_an_image_is_a_function_of_its_generator():
    drawn = [procedural.draw(np.random.default_rng(7)) for _ in range(2)]
    np.testing.assert_array_equal(drawn[0][0], drawn[1][0])
    assert drawn[0][1] == drawn[1][1]
    assert drawn[0][0].shape == (32, 32, 3) and drawn[0][0].dtype == np.uint8
    assert not np.array_equal(drawn[0][0], procedural.draw(np.random.default_rng(8))[0])


def test_every_class_is_drawn_and_seen_in_every_font():
    images = [procedural.draw(np.random.default_rng(0), label)[0] for label in range(len(procedural.CLASSES))]
    assert len({image.tobytes() for image in images}) == len(procedural.CLASSES) == 47
    for font in procedural.FONTS:
        glyphs = [np.asarray(procedural._glyph(font, character, 0)) for character in procedural.CLASSES]
        assert all((glyph > 127).sum() > 50 for glyph in glyphs), font
        assert len({glyph.tobytes() for glyph in glyphs}) == len(glyphs), font


def test_a_letter_stands_out_from_its_background():
    rng = np.random.default_rng(0)
    grey = np.array([0.299, 0.587, 0.114])
    for _ in range(200):
        colour, other = rng.uniform(0, 255, (2, 3))
        moved = procedural.contrasting(rng, colour, other)
        assert abs((moved - other) @ grey) >= 70 - 1e-6
        assert moved.min() >= -1e-6 and moved.max() <= 255 + 1e-6


def test_a_pool_image_does_not_depend_on_the_others():
    forward = [procedural.pool_image(3, row) for row in range(4)]
    backward = [procedural.pool_image(3, row) for row in reversed(range(4))][::-1]
    np.testing.assert_array_equal(forward, backward)
    assert len({image.tobytes() for image in forward}) == 4
    assert not np.array_equal(forward[0], procedural.pool_image(4, 0))


@pytest.mark.parametrize("name", MODELS)
def test_features_are_what_the_head_receives(name):
    torch.manual_seed(0)
    model = build(name).eval()
    images = as_input(np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8))
    with torch.inference_mode():
        features = model.features(images)
        assert features.shape == (3, model.feature_size)
        torch.testing.assert_close(model.head(features), model(images))
        torch.testing.assert_close(model.features(images[1:2]), features[1:2], rtol=1e-4, atol=1e-5)
    assert model(images).shape == (3, len(procedural.CLASSES))
    head = sum(parameter.numel() for parameter in model.head.parameters())
    assert count_parameters(model) == sum(parameter.numel() for parameter in model.parameters()) - head


def test_an_unknown_model_names_the_near_match():
    with pytest.raises(InputError, match=r"'resnet_l'.*resnet_s"):
        build("resnet_l")


def test_pixels_span_the_range_the_networks_take():
    ends = as_input(np.array([0, 255], np.uint8).repeat(32 * 32 * 3).reshape(2, 32, 32, 3))
    assert ends[0].unique().tolist() == [-1.0] and ends[1].unique().tolist() == [1.0]


def test_the_learning_rate_rises_and_falls_to_zero():
    rates = [learning_rate(step, RECIPES["vit_s"]) for step in range(RECIPES["vit_s"]["steps"] + 1)]
    top = int(np.argmax(rates))
    assert rates[top] == RECIPES["vit_s"]["learning_rate"]
    assert (np.diff(rates[:top]) > 0).all() and (np.diff(rates[top + 1 :]) < 0).all()
    assert rates[-1] == pytest.approx(0)


def test_the_loss_curve_keeps_the_mean():
    losses = np.random.default_rng(0).random(100).tolist()
    curve = downsampled(losses, points=10)
    assert [end for end, _ in curve] == list(range(10, 101, 10))
    assert np.mean([loss for _, loss in curve]) == pytest.approx(np.mean(losses), abs=1e-4)
    assert downsampled([1.0, 2.0], points=10) == [[1, 1.0], [2, 2.0]]


@pytest.mark.parametrize("name", ["resnet_s", "vit_s"])
def test_a_resumed_training_ends_with_the_same_bits(name, tmp_path, few_held_out):
    def interrupt(done):
        if done == 4:
            raise KeyboardInterrupt

    options = {"recipe": TINY, "checkpoint_every": 3}
    train(name, tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        train(name, tmp_path / "resumed", progress=interrupt, **options)
    assert not (tmp_path / "resumed" / f"{name}.safetensors").exists()
    steps, lines = [], []
    train(name, tmp_path / "resumed", progress=steps.append, log=lines.append, **options)
    assert steps == [4, 5]
    assert "going on after step 3" in lines[0]
    weights = [(tmp_path / run / f"{name}.safetensors").read_bytes() for run in ("whole", "resumed")]
    assert weights[0] == weights[1]
    curves = [json.loads((tmp_path / run / f"{name}.json").read_text())["loss"] for run in ("whole", "resumed")]
    assert curves[0] == curves[1]
    assert not list(tmp_path.glob("*/*.checkpoint"))


def test_a_checkpoint_of_another_seed_is_discarded(tmp_path):
    def interrupt(done):
        raise KeyboardInterrupt

    for seed in (0, 1):
        lines = []
        with pytest.raises(KeyboardInterrupt):
            train(
                "resnet_s", tmp_path, seed=seed, recipe=TINY, checkpoint_every=1, progress=interrupt, log=lines.append
            )
    assert "discarded" in lines[0] and "step 1 of 5" in lines[1]


def test_training_lowers_the_loss_and_leaves_no_global_state(tmp_path, few_held_out):
    recipe = {**TINY, "steps": 40, "batch_size": 8, "learning_rate": 4e-3}
    drawn = procedural.batch(0, 0, 8)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    # One batch again and again: any network learns it by heart.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("swsa_core.mini.classifiers.batch", lambda seed, step, n: drawn)
        report = train("resnet_s", tmp_path, recipe=recipe, log=lambda line: None)
    assert report["loss"][-1][1] < report["loss"][0][1] - 1
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path):
    with pytest.raises(FloatingPointError, match=r"resnet_s: the loss is nan at step \d+; lower its learning_rate"):
        train("resnet_s", tmp_path, recipe={**TINY, "learning_rate": float("inf")})


@pytest.mark.parametrize("name", MODELS)
def test_shipped_weights_are_finite_float16_and_documented(name):
    weights = load_file(WEIGHTS / f"{name}.safetensors")
    floats = [value for value in weights.values() if value.is_floating_point()]
    assert {value.dtype for value in floats} == {torch.float16}
    assert all(value.isfinite().all() for value in floats)
    model, record = shipped(name)
    assert record["model"] == name
    assert record["n_parameters"] == count_parameters(model)
    assert record["recipe"] == RECIPES[name]
    assert record["loss"][-1][0] == record["recipe"]["steps"]
    assert 0 < record["seconds"] <= 3600 and record["hardware"]


@pytest.mark.parametrize("name", MODELS)
def test_shipped_weights_read_fresh_drawings_as_well_as_recorded(name, fresh):
    model, record = shipped(name)
    share = record["accuracy"]
    three_sigma = 3 * np.sqrt(share * (1 - share) / 200) + 0.01
    assert accuracy(model, *fresh) == pytest.approx(share, abs=three_sigma)
    assert share > 0.5  # chance is 1 / 47


def test_classifiers_are_listed_largest_first():
    sizes = {name: count_parameters(build(name)) for name in MODELS}
    assert list(CLASSIFIERS) == sorted(sizes, key=sizes.get, reverse=True)


def test_all_classifiers_together_are_small():
    assert sum((WEIGHTS / f"{name}.safetensors").stat().st_size for name in MODELS) <= 4 * 2**20
