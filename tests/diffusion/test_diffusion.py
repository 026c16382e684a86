"""Inversion, reconstruction, DiffStyle and Asyrp: the golden arrays of the original network, and what holds for any network."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers.models.upsampling import Upsample2D
from golden import VARIANTS, load_golden, needs_golden, read_golden
from networks import tame_adm
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from swsa_core.basics.errors import InputError
from swsa_core.diffusion import Inversion, asyrp, build_adm, diffstyle, hspace, invert, reconstruct, timesteps
from swsa_core.diffusion import with_reconstruction as reconstruction_of
from swsa_core.diffusion.adm import in_precision
from swsa_core.diffusion.batches import INDEXED, BatchSize, automatic_batch_size, decided, in_batches, most_rows
from swsa_core.diffusion.ddim import ALPHA_BAR, inversion_on_device
from swsa_core.diffusion.diffstyle import slerp
from swsa_core.diffusion.generate import gammas_of, generate, invert_halves, made_by, style_groups
from swsa_core.diffusion.hspace import compile_network, decode, encode, largest_map

STEPS = 5


def spread(array):
    return float(array.max() - array.min())


def copy_of(unet):
    copy = type(unet).from_config(unet.config).requires_grad_(False).eval()
    copy.load_state_dict(unet.state_dict())
    return copy


@pytest.fixture(scope="module")
def golden():
    return read_golden()


@pytest.fixture(scope="module")
def golden_unet():
    return load_golden()


@pytest.fixture(scope="module")
def golden_inversion(golden_unet, golden):
    return invert(golden_unet, golden["x0"], 10)


@pytest.fixture(scope="module")
def unet():
    return tame_adm()


@pytest.fixture(scope="module")
def inversion(unet):
    return invert(unet, torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1, STEPS)


@pytest.fixture(scope="module")
def grid(unet, inversion):
    return diffstyle(unet, inversion.pick(slice(0, 2)), inversion.pick(slice(2, 5)))


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


@needs_golden
@pytest.mark.parametrize("name", VARIANTS)
def test_golden_variants_of_diffstyle(name, golden_unet, golden, golden_inversion):
    style, content = golden_inversion.pick(slice(0, 2)), golden_inversion.pick(slice(2, 4))
    images = diffstyle(golden_unet, style, content, **VARIANTS[name])
    assert (images.flatten(0, 1) - golden[name]).abs().max() < 5e-3


@needs_golden
@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_golden_diffstyle_at_any_batch_size(batch_size, golden_unet, golden, golden_inversion):
    style, content = golden_inversion.pick(slice(0, 2)), golden_inversion.pick(slice(2, 4))
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
        pairs = diffstyle(unet, inversion.pick(slice(0, 2)), inversion.pick(slice(2, 5)), **choice)
        assert pairs.shape == (2, 3, 3, 16, 16)
        for style in range(2):
            assert (pairs[style] - images[style]).abs().max() < 1e-4 * spread(images)
    unmoved = asyrp(unet, inversion.x_T, torch.zeros_like(inversion.h[0]), 1.0, STEPS)
    assert (unmoved - images).abs().max() < 1e-4 * spread(images)


def test_a_content_changes_the_image_more_with_gamma(unet, inversion):
    style, content = inversion.pick(slice(0, 1)), inversion.pick(slice(1, 2))
    plain, some, more = (diffstyle(unet, style, content, gamma=gamma) for gamma in (0.0, 0.3, 0.9))
    assert 0 < (some - plain).abs().mean() < (more - plain).abs().mean()


@pytest.mark.parametrize("interpolation", ["linear", "slerp"])
def test_pairs_may_have_a_gamma_of_their_own(unet, inversion, interpolation):
    style, content = inversion.pick(slice(0, 2)), inversion.pick(slice(2, 4))
    several = gammas_of({"gammas": [0.3, 0.9]}, 2, 2)
    assert several.tolist() == [[0.3, 0.9], [0.9, 0.3]] and gammas_of({}, 2, 2) is None
    mixed = diffstyle(unet, style, content, gamma=several, interpolation=interpolation)
    weak, strong = (diffstyle(unet, style, content, gamma=gamma, interpolation=interpolation) for gamma in (0.3, 0.9))
    expected = torch.where((several == 0.3)[..., None, None, None], weak, strong)
    assert (mixed - expected).abs().max() < 1e-4 * spread(expected)


def test_a_pair_depends_on_its_own_images_alone(unet, inversion, grid):
    tolerance = 1e-4 * spread(grid)
    order = torch.tensor([4, 2, 3])
    permuted = diffstyle(unet, inversion.pick(torch.tensor([1, 0])), inversion.pick(order))
    assert (permuted - grid[[1, 0]][:, order - 2]).abs().max() < tolerance
    single = diffstyle(unet, inversion.pick(slice(1, 2)), inversion.pick(slice(3, 4)))
    assert (single[0, 0] - grid[1, 1]).abs().max() < tolerance
    for batch_size in (1, 3, 16):
        again = diffstyle(unet, inversion.pick(slice(0, 2)), inversion.pick(slice(2, 5)), batch_size=batch_size)
        assert (again - grid).abs().max() < tolerance


def test_identical_style_and_content_stay_finite(unet, inversion):
    for interpolation in ("linear", "slerp"):
        images = diffstyle(unet, inversion.pick(slice(0, 2)), inversion.pick(slice(0, 2)), interpolation=interpolation)
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
    style, content = inversion.pick(slice(0, 1)), inversion.pick(slice(1, 3))
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


@pytest.mark.parametrize("batch_size", [None, 1, 2])
def test_work_is_done_once(batch_size, unet, inversion, passes):
    n, m, later = 2, 3, STEPS - 1
    style, content = inversion.pick(slice(0, n)), inversion.pick(slice(2, 2 + m))
    diffstyle(unet, style, content, batch_size=batch_size)
    # The first step's encoder and plain decoder run once a style; the last step has no plain decoder pass.
    assert passes == {"encoder": n + n * m * later, "decoder": n + n * m + n * m * (2 * later - 1)}
    passes.update(encoder=0, decoder=0)
    diffstyle(unet, style, content, t_edit=500, batch_size=batch_size)  # t = 999, 749 are edited; 499, 249, 0 are plain
    assert passes == {"encoder": n + n * m * later, "decoder": n + n * m + n * m * (2 + 3)}
    passes.update(encoder=0, decoder=0)
    invert(unet, torch.zeros(3, 3, 16, 16), STEPS, batch_size)
    assert passes == {"encoder": 3 * later, "decoder": 3 * later}


def test_progress_counts_images_and_shares_of_them(unet, inversion):
    style, content = inversion.pick(slice(0, 2)), inversion.pick(slice(2, 5))
    for function, images in (
        (lambda progress: diffstyle(unet, style, content, batch_size=4, progress=progress), 6),
        (lambda progress: invert(unet, torch.zeros(3, 3, 16, 16), STEPS, 2, progress), 3),
        (lambda progress: reconstruct(unet, inversion.x_T, STEPS, 2, progress), 5),
    ):
        done = []
        function(done.append)
        assert 0 < done[0] < 1 and done == sorted(done) and done[-1] == images


def test_a_task_is_generated_style_by_style_and_goes_on_where_it_stopped(unet):
    images = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    source = {"steps": STEPS, "gamma": 0.7, "interpolation": "linear", "t_edit": 0, "dt_lambda": 1.0}
    for content_h in ("inversion", "reconstruction"):
        source["content_h"], inverting, generating = content_h, [], []
        style, content = invert_halves(unet, images, 2, source, progress=lambda *at, to=inverting: to.append(at))
        assert (len(style.x_T), len(content.x_T)) == (2, 3)
        assert inverting[-1] == ((5, 5) if content_h == "inversion" else (8, 8))
        pairs = list(generate(unet, style, content, source, progress=lambda *at, to=generating: to.append(at)))
        assert [len(images) for images in pairs] == [3, 3]
        assert generating[0] == (0, 6) and generating[-1] == (6, 6) and generating == sorted(generating)
        both = diffstyle(unet, style, content, content_h=content_h)
        assert (torch.cat(pairs) - both.flatten(0, 1)).abs().max() < 1e-4 * spread(both)
        [rest] = generate(unet, style, content, source, done=1)
        assert torch.equal(rest, pairs[1])


def test_style_groups_are_even_and_have_fixed_ends():
    assert style_groups(10, 6) == [slice(0, 5), slice(5, 10)]
    assert style_groups(10, 4) == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert style_groups(10, 4, done=5) == [slice(5, 8), slice(8, 10)]
    assert style_groups(5, 100) == [slice(0, 5)]
    assert style_groups(3, 1) == [slice(0, 1), slice(1, 2), slice(2, 3)]
    assert style_groups(3, 1, done=3) == style_groups(10, 4, done=10) == []


def test_files_say_which_network_made_them(tmp_path):
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"abc")
    made = made_by("w", [str(weights), str(weights.with_suffix(".json"))], torch.bfloat16)
    assert made["precision"] == "bfloat16" and made["model"] == "w"
    assert made["weights_sha256"].startswith("ba7816bf")
    assert "torch " in made["versions"] and "diffusers " in made["versions"]
    assert made_by("adm_imagenet_256", ["absent.pt"], torch.float32)["weights_sha256"].startswith("a37c32ff")


def test_float32_means_float32_and_runs_are_repeatable(unet, inversion):
    """On a GPU convolutions would be TF32 by default. The switches are there without a GPU."""
    seen = set()
    cudnn = torch.backends.cudnn
    hook = unet.conv_in.register_forward_pre_hook(
        lambda *_: seen.add((cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark, torch.is_grad_enabled()))
    )
    before = cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark
    try:
        for run in (
            lambda: invert(unet, torch.zeros(1, 3, 16, 16), STEPS),
            lambda: reconstruct(unet, inversion.x_T, STEPS),
            lambda: diffstyle(unet, inversion, inversion),
            lambda: asyrp(unet, inversion.x_T, inversion.h[0], 0.5, STEPS),
        ):
            seen.clear()
            run()
            assert seen == {(False, True, False, False)}
    finally:
        hook.remove()
    assert before == (cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark)


def test_inversions_follow_the_network_to_its_device(inversion):
    elsewhere = SimpleNamespace(conv_in=SimpleNamespace(weight=torch.empty(1, device="meta")))
    moved = inversion_on_device(elsewhere, inversion)
    assert moved.x_T.device.type == moved.h.device.type == "meta"
    assert moved.h.shape == inversion.h.shape and moved.timesteps == inversion.timesteps


def test_memory_that_pytorch_holds_unused_counts_as_free(unet, monkeypatch):
    weight = SimpleNamespace(device=torch.device("cuda:0"), element_size=lambda: 2)
    weight = type("Weight", (SimpleNamespace,), {"__len__": lambda self: 256})(**vars(weight))
    part = SimpleNamespace(weight=weight)
    network = SimpleNamespace(conv_in=part, conv_norm_out=part)  # ADM-256 in bfloat16
    x = torch.empty(1, 3, 256, 256, device="meta")
    memory = {"mem_get_info": (2**30, 2**35), "memory_reserved": 2**34, "memory_allocated": 0}
    for name in memory:
        monkeypatch.setattr(torch.cuda, name, lambda device, name=name: memory[name])
    rows = automatic_batch_size(network, x)
    assert 20 < rows < 64
    memory["memory_allocated"] = 2**34  # all that is held is in use
    assert automatic_batch_size(network, x) == 1
    memory["mem_get_info"] = (2**34 + 2**30, 2**35)
    assert automatic_batch_size(network, x) == rows
    network.conv_norm_out = SimpleNamespace(
        weight=SimpleNamespace(element_size=lambda: 4)
    )  # float16 with float32 norms
    assert automatic_batch_size(network, x) == rows // 2


class Largest(TorchDispatchMode):
    """Elements of the largest tensor that an operation made."""

    elements = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        self.elements = max([self.elements, *sizes])
        return result


def elements_of_two_passes(unet, rows, side):
    """Elements of the largest tensor that a step of `rows` images makes; on the meta device, nothing is computed."""
    with Largest() as largest:
        h, skips, embedding = encode(unet, torch.empty(rows, 3, side, side, device="meta"), 500)
        decode(unet, torch.cat([h, h]), skips, embedding)
    return largest.elements


def test_no_feature_map_of_the_imagenet_model_has_more_elements_than_32_bits_count():
    """Two passes of 64 pairs through 256 channels of 256 x 256 pixels are 2^31 elements, one more than an int32 reaches."""
    with torch.device("meta"):
        unet = build_adm().requires_grad_(False).eval()
    assert largest_map(unet, 256, 256) == 2 * 256 * 256 * 256
    assert elements_of_two_passes(unet, 64, 256) == 64 * largest_map(unet, 256, 256) == 2**31
    assert most_rows(unet, 256, 256) == 63
    assert elements_of_two_passes(unet, 63, 256) <= INDEXED == 2**31 - 1
    images = torch.empty(100, 3, 256, 256, device="meta")
    assert decided(64, unet, images).rows == decided(BatchSize(100), unet, images).rows == 63
    assert decided(16, unet, images).rows == 16
    tried = []
    list(in_batches(lambda rows: tried.append(rows.stop - rows.start) or 0, unet, images, 64))
    assert tried == [50, 50]


LARGEST = {
    "as ImageNet 256": {},
    "groups that straddle the joint": {"num_channels": 96, "channel_mult": "1,2", "num_head_channels": 32},
    "no residual resampling": {"resblock_updown": False},
    "wide at the bottom": {"channel_mult": "1,8"},
}


@pytest.mark.parametrize("change", LARGEST.values(), ids=LARGEST)
def test_the_largest_feature_map_is_known_beforehand(change):
    config = {"image_size": 16, "num_channels": 32, "num_res_blocks": 1, "channel_mult": "1,2", "learn_sigma": True}
    config |= {"num_head_channels": 16, "attention_resolutions": "8", "resblock_updown": True}
    with torch.device("meta"):
        unet = build_adm(config | change).requires_grad_(False).eval()
    weights = max(parameter.numel() for parameter in unet.parameters())
    rows = 1 + weights // largest_map(unet, 16, 16)  # so many that no weight is larger
    assert elements_of_two_passes(unet, rows, 16) == rows * largest_map(unet, 16, 16)


@pytest.mark.parametrize(
    "message",
    [
        "cuDNN Frontend error: [cudnn_frontend] Error: No valid execution plans built.",
        "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if you passed in a non-contiguous input.",
        "CUDA error: invalid configuration argument",
    ],
)
def test_a_batch_that_the_libraries_refuse_is_halved(message, unet):
    def run(rows):
        if rows.stop - rows.start > 2:
            raise RuntimeError(message)
        return rows.stop - rows.start

    assert list(in_batches(run, unet, torch.zeros(8, 3, 16, 16), 8)) == [2, 2, 2, 2]


def test_upsampling_of_many_rows_keeps_their_order_in_memory_and_their_bits():
    x = torch.randn(64, 32, 4, 4, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
    for convolved in (False, True):
        sampler = Upsample2D(32, use_conv=convolved).to(memory_format=torch.channels_last).requires_grad_(False)
        result = hspace._resample(sampler, x)
        copied = sampler(x)
        assert torch.equal(result, copied) if not convolved else torch.allclose(result, copied, atol=1e-5)
        assert result.is_contiguous(memory_format=torch.channels_last)
    assert not Upsample2D(32)(x).is_contiguous(memory_format=torch.channels_last), "diffusers' own copies"


def test_the_batch_is_halved_when_memory_runs_out(unet, inversion, grid):
    def limited(module, inputs):
        if len(inputs[0]) > 4:
            raise torch.OutOfMemoryError

    hook = unet.conv_out.register_forward_pre_hook(limited)
    try:
        images = diffstyle(unet, inversion.pick(slice(0, 2)), inversion.pick(slice(2, 5)))
    finally:
        hook.remove()
    assert (images - grid).abs().max() < 1e-4 * spread(grid)

    def never(rows):
        raise torch.OutOfMemoryError

    with pytest.raises(InputError, match="memory is too small for one image"):
        list(in_batches(never, unet, inversion.x_T))


def test_later_calls_take_the_batch_size_that_was_found(unet):
    tried = []

    def run(rows):
        tried.append(rows.stop - rows.start)
        if tried[-1] > 3:
            raise torch.OutOfMemoryError
        return rows

    size = BatchSize()
    list(in_batches(run, unet, torch.zeros(6, 3, 16, 16), size))
    assert tried == [6, 3, 3] and size.rows == 3
    list(in_batches(run, unet, torch.zeros(6, 3, 16, 16), size))
    assert tried == [6, 3, 3, 3, 3]


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
    style, content = inversion.pick(slice(0, 1)), inversion.pick(slice(1, 3))
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


def test_values_that_overflow_are_refused_at_once(unet, inversion):
    overflow = inversion._replace(x_T=inversion.x_T * torch.inf)
    with pytest.raises(FloatingPointError, match="float32"):
        diffstyle(unet, overflow, inversion)
    with pytest.raises(FloatingPointError, match="float32"):
        reconstruct(unet, overflow.x_T, STEPS)
    loud = in_precision(copy_of(unet), torch.float16)
    loud.conv_in.weight.mul_(1e6)  # beyond the 65504 of float16
    with pytest.raises(FloatingPointError, match=r"overflow in torch\.float16"):
        invert(loud, torch.ones(1, 3, 16, 16), STEPS)


def test_norms_of_a_float16_network_are_float32(unet, tmp_path, monkeypatch):
    """As under guided-diffusion's `use_fp16`, from the checkpoint's own numbers."""
    half = in_precision(copy_of(unet), torch.float16)
    kept = {name for name, parameter in half.named_parameters() if parameter.dtype == torch.float32}
    wanted = ("norm1", "norm2", "group_norm", "conv_norm_out", "time_emb_proj", "time_embedding", "conv_out")
    assert {part for part in wanted if any(part in name for name in kept)} == set(wanted)
    assert all(torch.equal(half.get_parameter(name), unet.get_parameter(name)) for name in kept)
    others = {parameter.dtype for name, parameter in half.named_parameters() if name not in kept}
    assert others == {torch.float16}
    seen, original = [], torch.nn.functional.group_norm

    def recorded(x, *arguments, **options):
        result = original(x, *arguments, **options)
        seen.append((x.dtype, result.dtype))
        return result

    monkeypatch.setattr(torch.nn.functional, "group_norm", recorded)
    h, skips, embedding = encode(half, torch.zeros(1, 3, 16, 16), 500)
    eps = decode(half, torch.cat([h, h]), skips, embedding)
    assert {*seen} == {(torch.float32, torch.float32)} and len(seen) > 20
    assert h.dtype == torch.float16 and {skip.dtype for skip in skips} == {torch.float16} and eps.dtype == torch.float32


def test_float32_norms_bring_float16_nearer_to_float32(unet):
    plain, kept = copy_of(unet).to(torch.float16), in_precision(copy_of(unet), torch.float16)
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected, *others = (invert(network, images, STEPS).x_T for network in (unet, plain, kept))
    errors = [float((other - expected).norm() / expected.norm()) for other in others]
    assert 0 < errors[1] < errors[0]


def test_other_precisions_are_those_of_the_whole_network(unet):
    for dtype in (torch.float32, torch.bfloat16):
        ours, whole = in_precision(copy_of(unet), dtype), torch.nn.Module.to(copy_of(unet), dtype)
        assert all(torch.equal(ours.state_dict()[name], tensor) for name, tensor in whole.state_dict().items())
        assert {type(module) for module in ours.modules()} == {type(module) for module in whole.modules()}


def test_shapes_beyond_the_limit_of_torch_are_compiled_too(monkeypatch):
    shapes = []

    def count(graph, inputs):
        shapes.append(inputs)
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=count))
    monkeypatch.setattr(hspace, "_encoder", lambda unet, x, embedding: (2 * x, []))
    network = compile_network(SimpleNamespace())
    for n in range(1, 13):
        network.compiled[0](None, torch.zeros(n), None)
    assert len(shapes) == 12


@pytest.mark.study
@pytest.mark.slow
def test_compiled_blocks_compute_the_same(unet, inversion, grid):
    compiled = compile_network(copy_of(unet))
    images = diffstyle(compiled, inversion.pick(slice(0, 2)), inversion.pick(slice(2, 5)))
    assert (images - grid).abs().max() < 1e-4 * spread(grid)
