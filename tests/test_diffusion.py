"""Inversion, reconstruction, DiffStyle and Asyrp: the golden arrays of the original network, and what holds for any network."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from swsa_core.diffusion import Inversion, asyrp, build_adm, diffstyle, invert, load_adm, reconstruct, timesteps
from swsa_core.diffusion import with_reconstruction as reconstruction_of
from swsa_core.diffusion.batches import in_batches
from swsa_core.diffusion.ddim import ALPHA_BAR
from swsa_core.diffusion.diffstyle import slerp
from swsa_core.diffusion.hspace import compile_network

GOLDEN = Path(__file__).parents[1].parent / "shared" / "golden" / "adm"
needs_golden = pytest.mark.skipif(not GOLDEN.exists(), reason="needs ../shared/golden, outputs of the original network")
STEPS = 5


def pick(inversion, rows):
    return Inversion(inversion.x_T[rows], inversion.h[:, rows], inversion.timesteps)


def spread(array):
    return float(array.max() - array.min())


def copy_of(unet):
    copy = type(unet).from_config(unet.config).requires_grad_(False).eval()
    copy.load_state_dict(unet.state_dict())
    return copy


@pytest.fixture(scope="module")
def golden():
    arrays = {}
    for name in ("inversion_recon", "diffstyle", "asyrp"):
        arrays |= dict(np.load(GOLDEN / f"{name}.npz"))
    return {name: torch.from_numpy(array) for name, array in arrays.items() if array.ndim}


@pytest.fixture(scope="module")
def golden_unet():
    return load_adm(GOLDEN / "model_adm.safetensors", json.loads((GOLDEN / "config.json").read_text())["args"])


@pytest.fixture(scope="module")
def golden_inversion(golden_unet, golden):
    return invert(golden_unet, golden["x0"], 10)


@pytest.fixture(scope="module")
def unet():
    """A small network of the ADM pattern with random weights whose trajectories stay tame."""
    config = {"image_size": 16, "num_channels": 32, "num_res_blocks": 1, "channel_mult": "1,2", "learn_sigma": True}
    config |= {"num_head_channels": 16, "attention_resolutions": "8", "resblock_updown": True}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet = build_adm(config).requires_grad_(False).eval()
    unet.conv_out.weight.mul_(0.1)
    return unet


@pytest.fixture(scope="module")
def inversion(unet):
    return invert(unet, torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1, STEPS)


@pytest.fixture(scope="module")
def grid(unet, inversion):
    return diffstyle(unet, pick(inversion, slice(0, 2)), pick(inversion, slice(2, 5)))


@pytest.fixture
def passes(unet):
    """Images that went through the encoder and through the decoder."""
    counts = {"encoder": 0, "decoder": 0}

    def counter(part):
        return lambda module, inputs: counts.update({part: counts[part] + len(inputs[0])})

    hooks = [unet.conv_in.register_forward_pre_hook(counter("encoder"))]
    hooks += [unet.conv_out.register_forward_pre_hook(counter("decoder"))]
    yield counts
    for hook in hooks:
        hook.remove()


@needs_golden
def test_golden_inversion_and_reconstruction(golden_unet, golden, golden_inversion):
    assert golden_inversion.timesteps == golden["seq"].tolist()
    assert (golden_inversion.x_T - golden["xT"]).abs().max() < 2e-5
    assert (golden_inversion.h - golden["inv_h"]).abs().max() < 5e-5
    images, h = reconstruct(golden_unet, golden_inversion.x_T, 10)
    assert (images - golden["rec"]).abs().max() < 5e-3
    assert (h - golden["rec_h"]).abs().max() < 5e-5 * spread(golden["rec_h"])
    np.testing.assert_allclose([ALPHA_BAR[t] for t in golden["seq"]], golden["abar"], rtol=1e-12)


GOLDEN_VARIANTS = {
    "gen_lerp_rec": {"content_h": "reconstruction"},
    "gen_slerp_inv_tedit500": {"interpolation": "slerp", "t_edit": 500},
    "gen_slerp03_inv_tedit400_dtl": {"interpolation": "slerp", "gamma": 0.3, "t_edit": 400, "dt_lambda": 0.9985},
}


@needs_golden
@pytest.mark.parametrize("name", GOLDEN_VARIANTS)
def test_golden_variants_of_diffstyle(name, golden_unet, golden, golden_inversion):
    style, content = pick(golden_inversion, slice(0, 2)), pick(golden_inversion, slice(2, 4))
    images = diffstyle(golden_unet, style, content, **GOLDEN_VARIANTS[name])
    assert (images.flatten(0, 1) - golden[name]).abs().max() < 5e-3


@needs_golden
@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_golden_diffstyle_at_any_batch_size(batch_size, golden_unet, golden, golden_inversion):
    style, content = pick(golden_inversion, slice(0, 2)), pick(golden_inversion, slice(2, 4))
    images = diffstyle(golden_unet, style, content, batch_size=batch_size)
    assert (images.flatten(0, 1) - golden["gen_lerp_inv"]).abs().max() < 5e-3


@needs_golden
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_golden_asyrp(alpha, golden_unet, golden, golden_inversion):
    images = asyrp(golden_unet, golden_inversion.x_T, golden["delta_h"], alpha, 10)
    assert (images - golden[f"asyrp_a{alpha}"]).abs().max() < 5e-3


def test_timesteps_truncate_and_include_both_ends():
    assert timesteps(50)[:5] == [0, 20, 40, 61, 81] and timesteps(50)[-2:] == [978, 999]
    assert timesteps(1000) == list(range(1000))
    with pytest.raises(ValueError, match="at least 2"):
        timesteps(1)


def test_generation_follows_the_published_formulas(unet, inversion):
    """Two steps of Eq. 2 written out with hooked calls of the whole network."""
    style, content = inversion.x_T[:1], inversion.h[0, 1:2]
    sequence, a = timesteps(2), np.append(np.cumprod(1 - np.linspace(1e-4, 0.02, 1000)), 1.0)
    x = style
    for t, t_next in ((999, 0), (0, -1)):
        eps = unet(x, t).sample[:, :3]
        hook = unet.mid_block.register_forward_hook(lambda module, inputs, h: (1 - 0.7) * h + 0.7 * content)
        eps_edited = unet(x, t).sample[:, :3]
        hook.remove()
        predicted = (x - np.sqrt(1 - a[t]) * eps_edited) / np.sqrt(a[t])
        x = np.sqrt(a[t_next]) * predicted + np.sqrt(1 - a[t_next]) * eps
    result = diffstyle(unet, Inversion(style, content[None], sequence), Inversion(style, content[None], sequence))
    assert (result[0] - x).abs().max() < 1e-5 * spread(x)


def test_reconstruction_undoes_inversion_where_the_prediction_is_constant(unet):
    """The image counts as x at timestep 0, so that the noise of that one step is taken off it."""
    constant = copy_of(unet)
    constant.conv_out.weight.zero_()
    eps = constant.conv_out.bias[:3].view(1, 3, 1, 1)
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    result, _ = reconstruct(constant, invert(constant, images, STEPS).x_T, STEPS)
    expected = (images - np.sqrt(1 - ALPHA_BAR[0]) * eps) / np.sqrt(ALPHA_BAR[0])
    torch.testing.assert_close(result, expected, atol=1e-3, rtol=0)


def test_without_content_a_pair_is_the_style_reconstructed(unet, inversion):
    images, _ = reconstruct(unet, inversion.x_T, STEPS)
    for choice in ({"gamma": 0.0}, {"gamma": 0.0, "interpolation": "slerp"}, {"t_edit": 1000}):
        pairs = diffstyle(unet, pick(inversion, slice(0, 2)), pick(inversion, slice(2, 5)), **choice)
        assert pairs.shape == (2, 3, 3, 16, 16)
        for style in range(2):
            assert (pairs[style] - images[style]).abs().max() < 1e-4 * spread(images)
    unmoved = asyrp(unet, inversion.x_T, torch.zeros_like(inversion.h[0]), 1.0, STEPS)
    assert (unmoved - images).abs().max() < 1e-4 * spread(images)


def test_a_content_changes_the_image_more_with_gamma(unet, inversion):
    style, content = pick(inversion, slice(0, 1)), pick(inversion, slice(1, 2))
    plain, some, more = (diffstyle(unet, style, content, gamma=gamma) for gamma in (0.0, 0.3, 0.9))
    assert 0 < (some - plain).abs().mean() < (more - plain).abs().mean()


def test_a_pair_depends_on_its_own_images_alone(unet, inversion, grid):
    tolerance = 1e-4 * spread(grid)
    order = torch.tensor([4, 2, 3])
    permuted = diffstyle(unet, pick(inversion, torch.tensor([1, 0])), pick(inversion, order))
    assert (permuted - grid[[1, 0]][:, order - 2]).abs().max() < tolerance
    single = diffstyle(unet, pick(inversion, slice(1, 2)), pick(inversion, slice(3, 4)))
    assert (single[0, 0] - grid[1, 1]).abs().max() < tolerance
    for batch_size in (1, 3, 16):
        again = diffstyle(unet, pick(inversion, slice(0, 2)), pick(inversion, slice(2, 5)), batch_size=batch_size)
        assert (again - grid).abs().max() < tolerance


def test_identical_style_and_content_stay_finite(unet, inversion):
    for interpolation in ("linear", "slerp"):
        images = diffstyle(
            unet, pick(inversion, slice(0, 2)), pick(inversion, slice(0, 2)), interpolation=interpolation
        )
        assert images.isfinite().all()
    h = inversion.h[0]
    torch.testing.assert_close(slerp(h, h, 0.7), h)
    torch.testing.assert_close(slerp(h, 3 * h, 0.7), h)  # content is scaled to h's norm
    assert slerp(h, -h, 0.7).isfinite().all() and slerp(h, 0 * h, 0.7).isfinite().all()


def test_slerp_keeps_the_norm_and_its_ends():
    generator = torch.Generator().manual_seed(0)
    h, content = torch.randn(2, 3, 4, 2, 2, generator=generator)
    for gamma in (0.0, 0.3, 1.0):
        torch.testing.assert_close(slerp(h, content, gamma).flatten(1).norm(dim=1), h.flatten(1).norm(dim=1))
    torch.testing.assert_close(slerp(h, content, 0.0), h)
    torch.testing.assert_close(slerp(h[:1], content, 0.4)[2], slerp(h[:1], content[2:], 0.4)[0])


def test_content_h_of_the_reconstruction_can_be_computed_once(unet, inversion):
    style, content = pick(inversion, slice(0, 1)), pick(inversion, slice(1, 3))
    images = diffstyle(unet, style, content, content_h="reconstruction")
    once = reconstruction_of(unet, content)
    assert len(once.h) == STEPS
    assert torch.equal(images, diffstyle(unet, style, once, content_h="reconstruction"))
    assert (images - diffstyle(unet, style, content)).abs().max() > 1e-3


def test_asyrp_takes_a_tensor_for_all_or_each_image_or_a_function(unet, inversion):
    delta = torch.randn(5, *inversion.h.shape[2:], generator=torch.Generator().manual_seed(0))
    seen = []

    def constant(h, t):
        seen.append(t)
        return delta[:1].expand_as(h)

    shared = asyrp(unet, inversion.x_T, delta[:1], 0.5, STEPS)
    assert torch.equal(shared, asyrp(unet, inversion.x_T, constant, 0.5, STEPS))
    assert seen == timesteps(STEPS)[::-1]
    each = asyrp(unet, inversion.x_T, delta, 0.5, STEPS, batch_size=2)
    tolerance = 1e-4 * spread(each)
    assert (each[:1] - shared[:1]).abs().max() < tolerance
    assert (each[4:] - asyrp(unet, inversion.x_T[4:], delta[4:], 0.5, STEPS)).abs().max() < tolerance


def test_work_is_done_once(unet, inversion, passes):
    n, m, later = 2, 3, STEPS - 1
    style, content = pick(inversion, slice(0, n)), pick(inversion, slice(2, 2 + m))
    diffstyle(unet, style, content)
    # The first step's encoder and plain decoder run once a style; the last step has no plain decoder pass.
    assert passes == {"encoder": n + n * m * later, "decoder": n + n * m + n * m * (2 * later - 1)}
    passes.update(encoder=0, decoder=0)
    diffstyle(unet, style, content, t_edit=500)  # t = 999, 749 are edited; 499, 249, 0 are plain
    assert passes == {"encoder": n + n * m * later, "decoder": n + n * m + n * m * (2 + 3)}
    passes.update(encoder=0, decoder=0)
    invert(unet, torch.zeros(3, 3, 16, 16), STEPS)
    assert passes == {"encoder": 3 * later, "decoder": 3 * later}


def test_progress_counts_finished_images(unet, inversion):
    done = []
    diffstyle(unet, pick(inversion, slice(0, 2)), pick(inversion, slice(2, 5)), batch_size=4, progress=done.append)
    assert done == [3, 6]


def test_the_batch_is_halved_when_memory_runs_out(unet, inversion, grid):
    def limited(module, inputs):
        if len(inputs[0]) > 4:
            raise torch.OutOfMemoryError

    hook = unet.conv_out.register_forward_pre_hook(limited)
    try:
        images = diffstyle(unet, pick(inversion, slice(0, 2)), pick(inversion, slice(2, 5)))
    finally:
        hook.remove()
    assert (images - grid).abs().max() < 1e-4 * spread(grid)

    def never(rows):
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        list(in_batches(never, unet, inversion.x_T))


def test_batches_are_even_and_cover_all_rows(unet):
    rows = list(in_batches(lambda rows: (rows.start, rows.stop), unet, torch.zeros(10, 3, 16, 16), batch_size=4))
    assert rows == [(0, 4), (4, 7), (7, 10)]


@pytest.mark.parametrize("dtype, tolerance", [(torch.bfloat16, 0.06), (torch.float16, 0.01)])
def test_a_network_of_16_bits_stays_near_float32(dtype, tolerance, unet, inversion):
    """x_t stays float32, so that only the network's own rounding enters. float16 keeps eight times more of it than bfloat16."""
    half = copy_of(unet).to(dtype)
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected, result = (invert(network, images, STEPS) for network in (unet, half))
    assert result.x_T.dtype == result.h.dtype == torch.float32
    assert 0 < (result.x_T - expected.x_T).norm() < tolerance * expected.x_T.norm()
    style, content = pick(inversion, slice(0, 1)), pick(inversion, slice(1, 3))
    expected, result = (diffstyle(network, style, content) for network in (unet, half))
    assert result.dtype == torch.float32
    assert 0 < (result - expected).norm() < tolerance * expected.norm()


def test_wrong_inputs_are_refused(unet, inversion):
    with pytest.raises(ValueError, match="uint8"):
        invert(unet, torch.zeros(1, 3, 16, 16, dtype=torch.uint8), STEPS)
    with pytest.raises(ValueError, match=r"\(3, 16, 16\)"):
        invert(unet, torch.zeros(3, 16, 16), STEPS)
    with pytest.raises(ValueError, match="cubic"):
        diffstyle(unet, inversion, inversion, interpolation="cubic")
    with pytest.raises(ValueError, match="5 steps and content in 4"):
        diffstyle(unet, inversion, inversion._replace(timesteps=timesteps(4)))
    overflow = inversion._replace(x_T=inversion.x_T * torch.inf)
    with pytest.raises(FloatingPointError, match="float32"):
        diffstyle(unet, overflow, inversion)


@pytest.mark.slow
def test_compiled_blocks_compute_the_same(unet, inversion, grid):
    compiled = compile_network(copy_of(unet))
    images = diffstyle(compiled, pick(inversion, slice(0, 2)), pick(inversion, slice(2, 5)))
    assert (images - grid).abs().max() < 1e-4 * spread(grid)
