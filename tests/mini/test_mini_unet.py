"""The mini diffusion model: guided-diffusion's format, its training, and what the shipped weights can do."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.ndimage import gaussian_filter
from torch.utils.flop_counter import FlopCounterMode

from swsa_core.diffusion import build_adm, diffstyle, invert, load_adm, reconstruct
from swsa_core.diffusion.adm import adm_arguments, convert
from swsa_core.diffusion.ddim import ALPHA_BAR
from swsa_core.files import drawings as procedural
from swsa_core.mini.training import as_input
from swsa_core.mini.unet import (
    CONFIGS,
    RECIPES,
    batch,
    moving_average,
    noised,
    original_state,
    skips_times,
    stage,
    train,
    weighted_error,
    zero_outputs,
)

NAME = "adm_32"
WEIGHTS = Path(__file__).parents[2] / "models" / "mini" / f"{NAME}.safetensors"
GOLDEN = Path(__file__).parents[2].parent / "shared" / "golden" / "adm"
STAGES = [
    {"from": 0, "weights": [1.0, 30.0], "dropped_skips": 0.0},
    {"from": 3, "weights": [0.2, 300.0], "dropped_skips": 0.5},
]
TINY = {**RECIPES[NAME], "steps": 5, "batch_size": 2, "warmup_steps": 2, "stages": STAGES}


@pytest.fixture(scope="module")
def shipped():
    return load_adm(WEIGHTS, CONFIGS[NAME])


@pytest.fixture(scope="module")
def record():
    return json.loads(WEIGHTS.with_suffix(".json").read_text())


@pytest.fixture
def few_held_out(monkeypatch):
    monkeypatch.setattr("swsa_core.mini.unet.HELD_OUT", 2)


@pytest.mark.parametrize("seed", range(20))
def test_a_plain_image_is_a_light_letter_on_a_dark_ground(seed):
    image = procedural.draw_plain(np.random.default_rng(seed))
    assert image.shape == (32, 32, 3) and image.dtype == np.uint8
    np.testing.assert_array_equal(image, procedural.draw_plain(np.random.default_rng(seed)))
    border = np.concatenate([image[:, 0], image[:, -1]])
    assert np.median(border) <= 80  # the ground, of which the sides show most
    assert image.max() - np.median(border) > 60


def test_the_batch_of_a_step_covers_the_schedule_and_depends_on_the_step_alone():
    images, timesteps, noise = batch(0, 3, 8, plain_share=0.5)
    for again, first in zip(batch(0, 3, 8, plain_share=0.5), (images, timesteps, noise), strict=True):
        np.testing.assert_array_equal(again, first)
    assert (timesteps // 125).tolist() == list(range(8))
    assert noise.shape == (8, 3, 32, 32) and noise.dtype == np.float32
    assert not np.array_equal(images, batch(0, 4, 8, plain_share=0.5)[0])


def test_noised_images_run_from_the_image_to_the_noise():
    images, noise = batch(0, 0, 2, plain_share=0.5)[::2]
    x, *_ = noised(images, np.array([0, 999]), noise)
    assert (x[0] - as_input(images)[0]).abs().max() < 0.06
    assert (x[1] - torch.from_numpy(noise)[1]).abs().max() < 0.01


def test_a_moving_average_starts_at_the_weights_and_ends_slow():
    average = moving_average(0.998)
    old, new = torch.zeros(1), torch.ones(1)
    assert average(old, new, torch.tensor(0)).item() == pytest.approx(0.9)
    assert average(old, new, torch.tensor(100_000)).item() == pytest.approx(0.002, rel=1e-3)


def test_stages_follow_one_another():
    assert [stage(step, TINY) for step in (0, 2, 3, 100)] == [STAGES[0], STAGES[0], STAGES[1], STAGES[1]]


def test_an_image_without_skips_is_predicted_from_the_bottleneck_and_the_others_as_ever():
    unet, x = build_adm(CONFIGS[NAME]).eval(), torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        plain = unet(x, 5).sample
        with skips_times(unet, torch.tensor([1.0, 0.0])):
            dropped = unet(x, 5).sample
        assert torch.equal(unet(x, 5).sample, plain)
    assert torch.equal(dropped[0], plain[0]) and not torch.equal(dropped[1], plain[1])


def test_the_loss_weighs_an_error_by_its_effect_on_the_image_within_limits():
    noise = torch.ones(1, 3, 32, 32)
    unet = zero_outputs(build_adm(CONFIGS[NAME])).eval()  # predicts 0: an error of 1

    def loss(t):
        return weighted_error(unet, noise, torch.tensor([t]), noise, 0.2, 300.0).item()

    with torch.inference_mode():
        assert loss(0) == pytest.approx(0.2) and loss(999) == pytest.approx(300)
        assert loss(500) == pytest.approx((1 - ALPHA_BAR[500]) / ALPHA_BAR[500], rel=1e-4)


def test_a_network_with_zero_outputs_predicts_zero():
    unet = zero_outputs(build_adm(CONFIGS[NAME])).eval()
    with torch.inference_mode():
        assert not unet(torch.randn(1, 3, 32, 32), 500).sample.any()


def test_guided_diffusions_format_is_written_as_it_is_read():
    config, arguments = CONFIGS[NAME], adm_arguments(CONFIGS[NAME])
    unet = build_adm(config)
    again = convert(original_state(unet, config), unet, arguments)
    assert again.keys() == unet.state_dict().keys()
    assert all(torch.equal(value, again[name]) for name, value in unet.state_dict().items())


@pytest.mark.skipif(not GOLDEN.exists(), reason=f"no golden checkpoint in {GOLDEN}")
def test_the_format_is_that_of_the_original_network():
    config = json.loads((GOLDEN / "config.json").read_text())["args"]
    original = load_file(GOLDEN / "model_adm.safetensors")
    written = original_state(load_adm(GOLDEN / "model_adm.safetensors", config), config)
    assert written.keys() == original.keys()
    assert all(torch.equal(value, written[key]) for key, value in original.items())


def test_a_resumed_training_ends_with_the_same_bits_also_when_it_was_prolonged(tmp_path, few_held_out):
    def interrupt(done):
        if done == 4:
            raise KeyboardInterrupt

    state = torch.get_rng_state()
    train(NAME, tmp_path / "whole", recipe=TINY)
    with pytest.raises(KeyboardInterrupt):
        shorter = TINY | {"steps": 4}
        train(NAME, tmp_path / "resumed", recipe=shorter, checkpoint_every=3, progress=interrupt)
    steps, lines = [], []
    train(NAME, tmp_path / "resumed", recipe=TINY, progress=steps.append, log=lines.append)
    assert steps == [4, 5] and "going on after step 3" in lines[0]
    weights = [(tmp_path / run / f"{NAME}.safetensors").read_bytes() for run in ("whole", "resumed")]
    assert weights[0] == weights[1]
    reports = [json.loads((tmp_path / run / f"{NAME}.json").read_text()) for run in ("whole", "resumed")]
    assert all(reports[0][key] == reports[1][key] for key in ("recipe", "loss", "held_out_loss"))
    assert not list(tmp_path.glob("*/*.checkpoint"))
    assert torch.equal(torch.get_rng_state(), state)
    load_adm(tmp_path / "whole" / f"{NAME}.safetensors", CONFIGS[NAME])


def test_a_checkpoint_of_more_steps_is_discarded(tmp_path, few_held_out):
    def interrupt(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(NAME, tmp_path, recipe=TINY | {"steps": 2}, checkpoint_every=1, progress=interrupt)
    lines = []
    report = train(NAME, tmp_path, recipe=TINY | {"steps": 0}, log=lines.append)
    assert "discarded" in lines[0] and report["loss"] == []


def test_shipped_weights_are_finite_float16_small_and_documented(shipped, record):
    weights = load_file(WEIGHTS)
    assert {value.dtype for value in weights.values()} == {torch.float16}
    assert all(value.isfinite().all() for value in weights.values())
    assert WEIGHTS.stat().st_size <= 6 * 2**20
    assert record["model"] == NAME and record["config"] == CONFIGS[NAME] and record["recipe"] == RECIPES[NAME]
    assert record["n_parameters"] == sum(parameter.numel() for parameter in shipped.parameters())
    assert record["loss"][-1][0] == record["recipe"]["steps"]
    assert 0 < record["seconds"] <= 3600 and record["hardware"]


def test_a_pass_costs_at_most_one_gigaflop(shipped):
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        shipped(torch.zeros(1, 3, 32, 32), 500)
    assert counter.get_total_flops() <= 1e9


@pytest.mark.parametrize(("plain_share", "most"), [(0.0, 0.9), (1.0, 0.55)], ids=["dead leaves", "plain"])
@pytest.mark.parametrize("t", [100, 300, 500])
def test_shipped_weights_denoise_fresh_drawings_better_than_the_best_blur(shipped, plain_share, most, t):
    """Squared error of the predicted image: at most .9 (over leaves) or .55 (plain) of the best Gaussian blur's.

    The blur's width is the best of seven for these very images; the mean image is a guess too.
    """
    images, _, noise = batch(54321, 0, 16, plain_share)
    x, timesteps, _ = noised(images, np.full(16, t), noise)
    clean, a = as_input(images), ALPHA_BAR[t]
    with torch.inference_mode():
        predicted = (x - (1 - a) ** 0.5 * shipped(x, timesteps).sample) / a**0.5

    def error(guess):
        return float(((guess.clamp(-1, 1) - clean) ** 2).mean())

    scaled = (x / a**0.5).numpy()
    blurs = [gaussian_filter(scaled, sigma, axes=(2, 3)) for sigma in (0.5, 0.75, 1, 1.5, 2, 3, 4)]
    blurred = min(error(torch.from_numpy(guess)) for guess in blurs)
    assert error(predicted) <= most * min(blurred, error(clean.mean(0)))


def test_shipped_weights_find_an_image_again_from_its_inversion(shipped):
    images = as_input(batch(54321, 1, 4, plain_share=0.5)[0])
    again, _ = reconstruct(shipped, invert(shipped, images, 20).x_T, 20)
    assert (again - images).square().mean() < 0.1 * (images - images.mean((2, 3), keepdim=True)).square().mean()


def test_anomalies_of_the_shipped_weights_are_mixtures(shipped):
    """DiffStyle moves a letter at least a tenth of the way to its content, and leaves no other kind of image."""
    images = as_input(batch(54321, 2, 4, plain_share=1.0)[0])
    inversion = invert(shipped, images, 20)
    style, content = (inversion._replace(x_T=inversion.x_T[rows], h=inversion.h[:, rows]) for rows in ([0, 1], [2, 3]))
    mixed = diffstyle(shipped, style, content, gamma=0.7)  # (2, 2, 3, 32, 32)
    apart = images[None, 2:] - images[:2, None]  # (2, 2, 3, 32, 32) from style to content
    moved = ((mixed - images[:2, None]) * apart).sum((2, 3, 4)) / apart.square().sum((2, 3, 4))
    assert (moved > 0.1).all() and (moved < 1).all()
    assert mixed.abs().max() < 2
