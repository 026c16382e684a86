"""ADM checkpoints load parameter for parameter and compute what guided-diffusion computes; others are refused by name."""

import json
import os
import pickle
import random
from functools import partial
from hashlib import sha256
from pathlib import Path

import diffusion as benchmark
import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, UNet2DModel
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from swsa_core.basics.errors import InputError
from swsa_core.diffusion import build_adm, load_adm
from swsa_core.diffusion import checkpoints as weights_files
from swsa_core.diffusion.adm import original_parameters
from swsa_core.diffusion.hspace import compile_network, decode, encode
from swsa_core.files import downloads
from swsa_core.files.diffusion_flags import adm_arguments, diffusers_weights, read_diffusers_config

GOLDEN = Path(__file__).parents[2].parent / "shared" / "golden" / "adm"
needs_golden = pytest.mark.skipif(not GOLDEN.exists(), reason="needs ../shared/golden, outputs of the original network")

SMALL = {
    "image_size": 16,
    "num_channels": 32,
    "num_res_blocks": 1,
    "channel_mult": "1,2",
    "num_head_channels": 16,
    "attention_resolutions": "8",
    "learn_sigma": True,
    "resblock_updown": True,
}
VARIANTS = {
    "as ImageNet 256": {},
    "convolutions between levels": {"resblock_updown": False},
    "attention everywhere, three levels": {"attention_resolutions": "16,8,4", "channel_mult": "1,1,2"},
    "new attention order": {"use_new_attention_order": True},
    "timestep added, not scaled": {"use_scale_shift_norm": False, "learn_sigma": False},
    "one head": {"num_head_channels": -1, "num_heads": 1, "attention_resolutions": "16,8"},
    "four heads at one width": {"num_head_channels": -1, "num_heads": 4, "num_res_blocks": 2},
}


# The six levels of the ImageNet 256 model, with attention at sides of 32, 16 and 8 (of 64-pixel images: 8, 4 and 2), at an
# eighth of its width.
SIX_LEVELS = {
    "image_size": 256,
    "num_channels": 32,
    "num_res_blocks": 2,
    "channel_mult": "1,1,2,2,4,4",
    "num_head_channels": 8,
    "attention_resolutions": "32,16,8",
    "learn_sigma": True,
    "resblock_updown": True,
}


def random_checkpoint(config, seed=0):
    """A state dict under guided-diffusion's names in which every parameter matters."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, shape in original_parameters(build_adm(config), adm_arguments(config)).values():
        if len(shape) == 1:
            state[key] = 0.1 * torch.randn(shape, generator=generator) + (key.endswith(".weight"))
        else:
            state[key] = torch.randn(shape, generator=generator) / np.sqrt(np.prod(shape[1:]))
    return state


def same(h):
    return h


def halved(h):
    return F.avg_pool2d(h, 2)


def doubled(h):
    return F.interpolate(h, scale_factor=2)


def guided_diffusion(state, x, t, config):
    """Output of openai/guided-diffusion's UNetModel, written from its description, on a state dict with its names."""
    arguments = adm_arguments(config)
    levels, layers = len(arguments["channel_mult"]), arguments["num_res_blocks"]

    def parameters(name):
        return state[f"{name}.weight"], state[f"{name}.bias"]

    def norm(name, h):
        return F.group_norm(h, 32, *parameters(name), eps=1e-5)

    def resnet(name, h, resample):
        residual = resample(h)
        out = resample(F.silu(norm(f"{name}.in_layers.0", h)))
        out = F.conv2d(out, *parameters(f"{name}.in_layers.2"), padding=1)
        shift = F.linear(F.silu(embedding), *parameters(f"{name}.emb_layers.1"))[:, :, None, None]
        if arguments["use_scale_shift_norm"]:
            scale, shift = shift.chunk(2, dim=1)
            out = norm(f"{name}.out_layers.0", out) * (1 + scale) + shift
        else:
            out = norm(f"{name}.out_layers.0", out + shift)
        out = F.conv2d(F.silu(out), *parameters(f"{name}.out_layers.3"), padding=1)
        if f"{name}.skip_connection.weight" in state:
            residual = F.conv2d(residual, *parameters(f"{name}.skip_connection"))
        return residual + out

    def attention(name, h):
        n, channels = h.shape[:2]
        heads = channels // (arguments["head_channels"] or channels)
        qkv = F.conv1d(norm(f"{name}.norm", h.flatten(2)), *parameters(f"{name}.qkv"))  # (n, 3C, HW)
        if arguments["use_new_attention_order"]:
            q, k, v = qkv.reshape(n, 3, heads, channels // heads, -1).unbind(1)
        else:
            q, k, v = qkv.reshape(n, heads, 3, channels // heads, -1).unbind(2)
        weights = (q.mT @ k / np.sqrt(channels // heads)).softmax(dim=-1)  # (n, heads, HW, HW)
        out = (v @ weights.mT).reshape(n, channels, -1)
        return h + F.conv1d(out, *parameters(f"{name}.proj_out")).view_as(h)

    def block(name, h, resample):
        """The modules of a TimestepEmbedSequential; `resample` is that of its last residual block."""
        modules = sorted(
            {int(key.removeprefix(f"{name}.").split(".")[0]) for key in state if key.startswith(f"{name}.")}
        )
        for i in modules:
            module = f"{name}.{i}"
            if f"{module}.qkv.weight" in state:
                h = attention(module, h)
            elif f"{module}.in_layers.0.weight" in state:
                h = resnet(module, h, resample if i == modules[-1] else same)
            elif f"{module}.op.weight" in state:
                h = F.conv2d(h, *parameters(f"{module}.op"), stride=2, padding=1)
            elif f"{module}.conv.weight" in state:
                h = F.conv2d(doubled(h), *parameters(f"{module}.conv"), padding=1)
            else:
                h = F.conv2d(h, *parameters(module), padding=1)
        return h

    half = arguments["num_channels"] // 2
    angles = t[:, None].float() * torch.exp(-np.log(10000) * torch.arange(half) / half)
    embedding = torch.cat([angles.cos(), angles.sin()], dim=1)
    embedding = F.linear(F.silu(F.linear(embedding, *parameters("time_embed.0"))), *parameters("time_embed.2"))
    updown = arguments["resblock_updown"]
    h, skips, per_level = x, [], layers + 1
    for i in range(levels * per_level):
        h = block(f"input_blocks.{i}", h, halved if updown and i and i % per_level == 0 else same)
        skips.append(h)
    h = middle = block("middle_block", h, same)
    for i in range(levels * per_level):
        last = i % per_level == layers and i < levels * per_level - 1
        h = block(f"output_blocks.{i}", torch.cat([h, skips.pop()], dim=1), doubled if updown and last else same)
    return F.conv2d(F.silu(norm("out.0", h)), *parameters("out.2"), padding=1), middle


@pytest.mark.parametrize("change", VARIANTS.values(), ids=VARIANTS)
def test_a_loaded_checkpoint_computes_what_guided_diffusion_computes(change, tmp_path):
    config = SMALL | change
    state = random_checkpoint(config)
    save_file(state, tmp_path / "weights.safetensors")
    unet = load_adm(tmp_path / "weights.safetensors", config)
    x, t = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)), torch.tensor([3, 800])
    expected, _ = guided_diffusion(state, x, t, config)
    torch.testing.assert_close(unet(x, t).sample, expected, atol=2e-5, rtol=0)
    assert unet.num_parameters() == sum(tensor.numel() for tensor in state.values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_six_levels_compute_what_guided_diffusion_computes(dtype, tmp_path):
    """Whole, and cut at the mid block with both passes in one batch; in float16 up to its rounding."""
    state = random_checkpoint(SIX_LEVELS)
    save_file(state, tmp_path / "weights.safetensors")
    unet = load_adm(tmp_path / "weights.safetensors", SIX_LEVELS, dtype=dtype)
    here = ["Attn" in kind for kind in unet.config.down_block_types]
    assert here == [False, False, False, True, True, True] and len(unet.up_blocks) == 6
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, middle = guided_diffusion(state, x, torch.tensor([500]), SIX_LEVELS)
        h, skips, embedding = encode(unet, x, 500)
        twice = decode(unet, torch.cat([h, h]), skips, embedding)
    assert h.shape == middle.shape == (2, 128, 2, 2) and h.dtype == dtype
    tolerance = 5e-5 if dtype == torch.float32 else 2e-2
    assert (h.float() - middle).abs().max() < tolerance * middle.abs().max()
    assert (twice - expected[:, :3].repeat(2, 1, 1, 1)).abs().max() < tolerance * expected.abs().max()
    if dtype == torch.float32:
        assert (unet(x, 500).sample - expected).abs().max() < tolerance * expected.abs().max()


def test_the_six_levels_are_those_of_the_imagenet_model():
    small, large = adm_arguments(SIX_LEVELS), adm_arguments()
    same = ("channel_mult", "num_res_blocks", "attention", "learn_sigma", "resblock_updown", "use_scale_shift_norm")
    assert {key: small[key] for key in same} == {key: large[key] for key in same}
    with torch.device("meta"):
        names = [set(original_parameters(build_adm(config), adm_arguments(config))) for config in (SIX_LEVELS, None)]
    assert names[0] == names[1]


def test_encoder_and_decoder_make_the_whole_network(tmp_path):
    state = random_checkpoint(SMALL)
    save_file(state, tmp_path / "weights.safetensors")
    unet = load_adm(tmp_path / "weights.safetensors", SMALL)
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    expected, middle = guided_diffusion(state, x, torch.tensor([500]), SMALL)
    h, skips, embedding = encode(unet, x, 500)
    torch.testing.assert_close(h, middle, atol=2e-5, rtol=0)
    twice = decode(unet, torch.cat([h, h]), skips, embedding)
    torch.testing.assert_close(twice, expected[:, :3].repeat(2, 1, 1, 1), atol=2e-5, rtol=0)


@needs_golden
def test_golden_outputs_of_the_original_network():
    config = json.loads((GOLDEN / "config.json").read_text())
    unet = load_adm(GOLDEN / "model_adm.safetensors", config["args"])
    assert unet.num_parameters() == config["num_parameters"]
    golden = {name: torch.from_numpy(array) for name, array in np.load(GOLDEN / "unet_io.npz").items()}
    assert (unet(golden["x"], golden["t_mixed"]).sample - golden["out_mixed"]).abs().max() < 1e-5
    for t in golden["t_shared"].tolist():
        h, skips, embedding = encode(unet, golden["x"], t)
        assert (h - golden[f"h_t{t}"]).abs().max() < 5e-5
        assert (decode(unet, h, skips, embedding) - golden[f"out_t{t}"][:, :3]).abs().max() < 1e-5
    small = {name: torch.from_numpy(array) for name, array in np.load(GOLDEN / "unet_io_small.npz").items()}
    assert (unet(small["x"], small["t"]).sample - small["out"]).abs().max() < 1e-5
    hook = unet.mid_block.register_forward_hook(lambda *_: golden["h_replacement"])
    replaced = unet(golden["x"], golden["t_mixed"]).sample
    hook.remove()
    assert (replaced - golden["out_mixed_replaced_h"]).abs().max() < 1e-5


def test_the_imagenet_256_model_has_every_parameter_of_the_original():
    with torch.device("meta"):
        unet = build_adm()
    assert unet.num_parameters() == 552_814_086
    parameters = set(original_parameters(unet, adm_arguments()).values())
    assert len(parameters) == 566
    assert sum(int(np.prod(shape)) for _, shape in parameters) == 552_814_086
    assert ("middle_block.1.qkv.weight", (3072, 1024, 1)) in parameters


def test_guided_diffusions_published_flags_describe_the_default():
    flags = {"attention_resolutions": "32,16,8", "class_cond": False, "diffusion_steps": 1000, "image_size": 256}
    flags |= {"learn_sigma": True, "noise_schedule": "linear", "num_channels": 256, "num_head_channels": 64}
    flags |= {"num_res_blocks": 2, "resblock_updown": True, "use_fp16": True, "use_scale_shift_norm": True}
    assert adm_arguments(flags) == adm_arguments()


def test_converted_weights_are_kept_and_renewed_when_the_checkpoint_or_its_config_changes(tmp_path):
    path, kept = tmp_path / "weights.pt", tmp_path / "weights.pt.converted.safetensors"
    torch.save(random_checkpoint(SMALL), path)
    first = load_adm(path, SMALL).state_dict()
    inode = kept.stat().st_ino
    assert all(torch.equal(tensor, load_file(kept)[name]) for name, tensor in first.items())
    assert all(torch.equal(tensor, first[name]) for name, tensor in load_adm(path, SMALL).state_dict().items())
    assert kept.stat().st_ino == inode
    new_order = load_adm(path, SMALL | {"use_new_attention_order": True}).state_dict()
    name = "mid_block.attentions.0.to_q.weight"
    assert not torch.equal(new_order[name], first[name])
    torch.save(random_checkpoint(SMALL, seed=1), path)
    os.utime(path, ns=(1, 1))
    assert not torch.equal(load_adm(path, SMALL).state_dict()[name], first[name])
    kept.write_bytes(kept.read_bytes()[:1000])  # a damaged copy is made again
    load_adm(path, SMALL)
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-8] + bytes(8))  # of the right size and shapes
    load_adm(path, SMALL)
    assert kept.read_bytes() == whole
    stat = path.stat()
    torch.save(random_checkpoint(SMALL, seed=2), path)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    expected = load_adm(path, SMALL).state_dict()[name]
    kept.unlink()
    assert torch.equal(load_adm(path, SMALL).state_dict()[name], expected), "other weights of the same size and time"
    assert sorted(os.listdir(tmp_path)) == [path.name, kept.name]


def test_a_kept_file_that_is_not_ours_or_not_whole_is_made_again(tmp_path):
    path, kept = tmp_path / "weights.pt", tmp_path / "weights.pt.converted.safetensors"
    torch.save(random_checkpoint(SMALL), path)
    expected = load_adm(path, SMALL).state_dict()
    with weights_files.safe_open(kept, "pt") as file:
        origin = file.metadata()
    state = load_file(kept)
    lacking = {name: tensor for name, tensor in state.items() if name != "conv_in.bias"}
    other_shape = state | {"conv_in.bias": torch.zeros(3)}
    for content, metadata in ((lacking, origin), (other_shape, origin), (state, {"by": "somebody"}), (state, None)):
        save_file({name: torch.zeros_like(tensor) for name, tensor in content.items()}, kept, metadata)
        loaded = load_adm(path, SMALL).state_dict()
        assert all(torch.equal(tensor, loaded[name]) for name, tensor in expected.items())


def test_kept_weights_of_another_format_are_made_again(tmp_path, monkeypatch):
    path, kept = tmp_path / "weights.pt", tmp_path / "weights.pt.converted.safetensors"
    torch.save(random_checkpoint(SMALL), path)
    expected = load_adm(path, SMALL).state_dict()
    with weights_files.safe_open(kept, "pt") as file:
        origin = file.metadata()
    save_file({name: torch.zeros_like(tensor) for name, tensor in load_file(kept).items()}, kept, origin)
    monkeypatch.setattr(weights_files, "FORMAT", weights_files.FORMAT + 1)
    loaded = load_adm(path, SMALL).state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in expected.items())


def test_kept_weights_are_written_where_no_other_process_writes(tmp_path, monkeypatch):
    """Not even one of the same number on another machine."""
    paths = []

    def recorded(state, path, metadata):
        paths.append(path)
        save_file(state, path, metadata)

    monkeypatch.setattr(weights_files, "save_file", recorded)
    path, kept = tmp_path / "weights.pt", tmp_path / "weights.pt.converted.safetensors"
    torch.save(random_checkpoint(SMALL), path)
    for _ in range(2):
        load_adm(path, SMALL)
        kept.unlink()
    assert len(set(paths)) == 2
    assert os.listdir(tmp_path) == [path.name]


def test_where_nothing_can_be_written_the_weights_are_converted_each_time(tmp_path, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(weights_files, "save_file", full)
    torch.save(random_checkpoint(SMALL), tmp_path / "weights.pt")
    with pytest.warns(UserWarning, match=r"cannot be kept beside .*weights.pt \(No space left"):
        load_adm(tmp_path / "weights.pt", SMALL)
    assert os.listdir(tmp_path) == ["weights.pt"]


def test_at_the_place_of_a_published_file_only_that_file_is_converted(tmp_path, monkeypatch):
    path = tmp_path / downloads.PLACE.format(name="small")
    path.parent.mkdir(parents=True)
    torch.save(random_checkpoint(SMALL), path)
    digest = sha256(path.read_bytes()).hexdigest()
    published = downloads.Published("https://somewhere/small.pt", path.stat().st_size, digest)
    monkeypatch.setitem(downloads.PUBLISHED, "small", published)
    load_adm(path, SMALL)
    checks = []
    monkeypatch.setattr(weights_files, "check_file", lambda *args: checks.append(args))
    load_adm(path, SMALL)
    assert not checks, "the kept weights are those of a checked file"
    monkeypatch.undo()
    monkeypatch.setitem(downloads.PUBLISHED, "small", published)
    torch.save(random_checkpoint(SMALL, seed=1), path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(InputError, match=rf"not the file of https://somewhere/small\.pt.*{digest}: delete it"):
        load_adm(path, SMALL)


def test_precision_of_the_network(tmp_path):
    save_file({k: v.half() for k, v in random_checkpoint(SMALL).items()}, tmp_path / "half.safetensors")
    assert load_adm(tmp_path / "half.safetensors", SMALL).dtype == torch.float32
    unet = load_adm(tmp_path / "half.safetensors", SMALL, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in unet.parameters()} == {torch.bfloat16}


BAD_STATES = {
    "missing": (lambda s: s.pop("middle_block.1.qkv.bias"), r"lacks 1 .*middle_block\.1\.qkv\.bias"),
    "unexpected": (lambda s: s.update(extra=torch.zeros(1)), r"unexpected 1 .*extra"),
    "shape": (lambda s: s.update({"out.0.bias": torch.zeros(7)}), r"out\.0\.bias is \(7,\), expected \(32,\)"),
    "class-conditional": (lambda s: s.update({"label_emb.weight": torch.zeros(10, 128)}), "class-conditional"),
    "name": (lambda s: s.update({5: torch.zeros(1)}), "unexpected 1 .*5"),
    "nan": (lambda s: s["out.2.bias"].fill_(torch.nan), r"out\.2\.bias holds NaN or infinite"),
    "integers": (lambda s: s.update({"out.2.bias": torch.zeros(6).long()}), r"out\.2\.bias is strided int64"),
    "sparse": (lambda s: s.update({"out.2.bias": torch.ones(6).to_sparse()}), r"out\.2\.bias is sparse_coo"),
    "no data": (lambda s: s.update({"out.2.bias": torch.ones(6, device="meta")}), r"out\.2\.bias is without data"),
}


@pytest.mark.filterwarnings("ignore:Validating sparse tensor invariants")
@pytest.mark.parametrize("change, message", BAD_STATES.values(), ids=BAD_STATES)
def test_a_checkpoint_that_differs_from_its_config_is_refused_by_name(change, message, tmp_path):
    state = random_checkpoint(SMALL)
    change(state)
    torch.save(state, tmp_path / "weights.pt")
    with pytest.raises(InputError, match=f"weights.pt.*{message}"):
        load_adm(tmp_path / "weights.pt", SMALL)
    assert os.listdir(tmp_path) == ["weights.pt"]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"class_cond": True}, "class_cond=True"),
        ({"noise_schedule": "cosine"}, "noise_schedule='cosine'"),
        ({"channel_mult": "2,4"}, r"channel_mult \(2, 4\).*must be 1"),
        ({"image_size": 512, "channel_mult": ""}, "channel_mult.*0.5.*must be 1"),
        ({"channel_mult": ""}, "channel_mult is empty"),
        ({"channel_mult": "1,x"}, "whole numbers"),
        ({"num_channels": 48}, "multiple of 32"),
        ({"num_head_channels": -1, "attention_resolutions": "16,8"}, r"4\] attention heads at widths \[32, 64\]"),
        ({"num_head_channels": -1, "num_heads_upsample": 2}, r"\[2, 4\] attention heads"),
        ({"num_chanels": 32}, "did you mean 'num_channels'"),
        ({"image_size": "32"}, "image_size .* expected a whole number.*'32'"),
        ({"image_size": 17}, "image_size 17 cannot be halved"),
        ({"num_channels": 32.0}, "num_channels .*whole number"),
        ({"num_res_blocks": "1"}, "num_res_blocks .*whole number"),
        ({"num_res_blocks": True}, "num_res_blocks .*whole number"),
        ({"num_head_channels": 0}, "num_head_channels .*at least 1, or -1"),
        ({"num_head_channels": 48}, "num_head_channels 48 does not divide the 64"),
        ({"num_head_channels": -1, "num_heads": 3}, "num_heads 3 does not divide the 64"),
        ({"num_head_channels": -1, "num_heads": -1}, "num_heads .*at least 1, received -1"),
        ({"attention_resolutions": "0"}, "attention_resolutions .*whole numbers.*'0'"),
        ({"attention_resolutions": 0.5}, "attention_resolutions .*whole numbers"),
        ({"channel_mult": "0.5,1"}, "channel_mult .*whole numbers"),
        ({"dropout": "x"}, "dropout .*a number from 0 to 1.*'x'"),
        ({"learn_sigma": "False"}, "learn_sigma .*true or false.*'False'"),
        ({"resblock_updown": 1}, "resblock_updown .*true or false"),
        ({"class_cond": "False"}, "class_cond='False'"),
    ],
)
def test_a_config_that_cannot_be_represented_is_refused_by_name(change, message):
    with pytest.raises(InputError, match=message):
        build_adm(SMALL | change)


class Code:
    def __reduce__(self):
        return os.mkdir, ("was_run",)


def test_a_checkpoint_with_code_is_refused_and_the_code_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Code()}, "zipped.pt")
    Path("plain.pt").write_bytes(pickle.dumps(Code(), protocol=2))
    for path in ("zipped.pt", "plain.pt"):
        with pytest.raises(InputError, match=f"{path} is refused, it holds code"):
            load_adm(path, SMALL)
    assert not Path("was_run").exists()


def test_a_single_number_stands_for_a_list_of_one():
    assert adm_arguments(SMALL | {"attention_resolutions": 8}) == adm_arguments(SMALL) | {"attention_resolutions": 8}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_whatever_bytes_a_file_has_it_is_read_or_refused(tmp_path):
    rng, path, refused = random.Random(0), tmp_path / "bytes.pt", 0
    torch.save({"weight": torch.zeros(3), "bias": torch.zeros(2)}, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    for _ in range(500):
        changed = bytearray(whole)
        for _ in range(4):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        path.write_bytes(changed)
        try:
            weights_files.read_state(path)
        except InputError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 100


def test_damaged_and_foreign_files_are_refused(tmp_path):
    torch.save(random_checkpoint(SMALL), tmp_path / "whole.pt")
    save_file(random_checkpoint(SMALL), tmp_path / "whole.safetensors")
    for suffix in ("pt", "safetensors"):
        whole = (tmp_path / f"whole.{suffix}").read_bytes()
        for size in (len(whole) - 100, len(whole) // 2, 3, 0):
            (tmp_path / f"cut.{suffix}").write_bytes(whole[:size])
            with pytest.raises(InputError, match=f"cut.{suffix} is damaged"):
                load_adm(tmp_path / f"cut.{suffix}", SMALL)
    torch.save({"state_dict": {}, "epoch": torch.tensor(3)}, tmp_path / "training.pt")
    with pytest.raises(InputError, match=r"training.pt holds a dict with epoch, state_dict"):
        load_adm(tmp_path / "training.pt", SMALL)
    with pytest.raises(InputError, match="no such diffusion weights"):
        load_adm(tmp_path / "absent.pt", SMALL)


def diffusers_folder(path, old_names=False, **change):
    arguments = {"sample_size": 16, "block_out_channels": (32, 32), "layers_per_block": 1, "norm_num_groups": 32}
    arguments |= {
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    }
    unet = UNet2DModel(**arguments | change)
    unet.save_pretrained(path / "unet")
    if old_names:  # as in the first models on the hub
        file = path / "unet" / "diffusion_pytorch_model.safetensors"
        renamed = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
        state = load_file(file)
        for new, old in renamed.items():
            state = {name.replace(f".{new}.", f".{old}."): tensor for name, tensor in state.items()}
        save_file(state, file, {"format": "pt"})
    return unet


@pytest.mark.parametrize("old_names", [False, True])
def test_diffusers_folders_load(tmp_path, old_names):
    expected = diffusers_folder(tmp_path, old_names).eval()
    DDPMScheduler().save_pretrained(tmp_path / "scheduler")
    x = torch.randn(1, 3, 16, 16)
    for folder in (tmp_path, tmp_path / "unet"):
        unet = load_adm(folder)
        torch.testing.assert_close(unet(x, 5).sample, expected(x, 5).sample, atol=2e-6, rtol=0)
    assert load_adm(tmp_path, dtype=torch.bfloat16).dtype == torch.bfloat16


def test_the_files_of_weights_are_those_that_diffusers_loads(tmp_path):
    """Of a folder with everything that hubs hold: what is not named can be damaged, and what is named cannot."""
    unet, root = diffusers_folder(tmp_path), tmp_path / "unet"
    single = root / "diffusion_pytorch_model.safetensors"
    unet.save_pretrained(root, max_shard_size="1MB")  # removes the single file
    shards = sorted(root.glob("*-of-*.safetensors"))
    unet.save_pretrained(tmp_path / "again", max_shard_size="1MB", safe_serialization=False)
    pickled = sorted((tmp_path / "again").glob("diffusion*"))
    for path in pickled:
        path.rename(root / path.name)
    torch.save(unet.state_dict(), root / "diffusion_pytorch_model.bin")
    save_file(unet.state_dict(), single, {"format": "pt"})
    for name in ("model.fp16.safetensors", "model.fp16.bin", "model.msgpack", "model.safetensors.old"):
        (root / f"diffusion_pytorch_{name}").write_text("of no use")
    index = root / f"{single.name}.index.json"
    bin_index = root / "diffusion_pytorch_model.bin.index.json"
    bins = sorted(root.glob("*-of-*.bin"))
    assert len(shards) > 1 and len(bins) > 1
    for expected in ([index, *shards], [single], [bin_index, *bins], [root / "diffusion_pytorch_model.bin"]):
        assert diffusers_weights(root) == expected
        loaded = load_adm(tmp_path).state_dict()
        assert all(torch.equal(tensor, loaded[name]) for name, tensor in unet.state_dict().items())
        for path in expected:
            whole = path.read_bytes()
            path.write_bytes(whole[:-8])
            with pytest.raises(InputError, match=r"cannot be loaded|is not JSON"):
                load_adm(tmp_path)
            path.write_bytes(whole)
        expected[0].unlink()
    with pytest.raises(InputError, match=r"holds no weights: expected diffusion_pytorch_model\.safetensors"):
        read_diffusers_config(tmp_path)


def test_an_index_of_weights_that_are_not_there_is_refused_before_any_job(tmp_path):
    diffusers_folder(tmp_path)
    index = tmp_path / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    for weight_map in (None, {}, [], {"a": 1}, {"a": "../a.safetensors"}):
        index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
        with pytest.raises(InputError, match=r"index\.json is no index of weights: expected"):
            read_diffusers_config(tmp_path)
    index.write_text(json.dumps({"metadata": {}, "weight_map": {"a": "absent.safetensors"}}))
    with pytest.raises(InputError, match=r"index\.json names absent\.safetensors, which is not beside it"):
        read_diffusers_config(tmp_path)


def test_values_of_a_wrong_type_are_refused_before_any_job(tmp_path):
    diffusers_folder(tmp_path)
    path = tmp_path / "unet" / "config.json"
    config = json.loads(path.read_text())
    cases = {name: (None, "DownBlock2D", 3, [], {}, [None], [["x"]]) for name in ("down_block_types", "up_block_types")}
    cases |= {"block_out_channels": (None, "x", 32, [], [32.5, 32], ["32", "32"])}
    cases |= {"layers_per_block": (None, "1", 0, 1.5, True, [1]), "norm_num_groups": (None, "32", 0, [32])}
    cases |= {name: ("8", 0, [8]) for name in ("attention_head_dim", "attn_norm_num_groups", "time_embedding_dim")}
    for name, values in cases.items():
        for value in values:
            path.write_text(json.dumps(config | {name: value}))
            with pytest.raises(InputError, match=rf"config\.json has {name}=.*not supported: expected a "):
                read_diffusers_config(tmp_path)


def test_unsuitable_diffusers_folders_are_refused_by_name(tmp_path):
    diffusers_folder(tmp_path / "latent", in_channels=4)
    diffusers_folder(tmp_path / "classes", num_class_embeds=10)
    for scheduler in ({"beta_schedule": "squaredcos_cap_v2"}, {"prediction_type": "v_prediction"}):
        folder = tmp_path / next(iter(scheduler))
        diffusers_folder(folder)
        DDPMScheduler(**scheduler).save_pretrained(folder / "scheduler")
    cases = {"latent": "in_channels=4", "classes": "num_class_embeds=10", "beta_schedule": "beta_schedule='squaredcos"}
    cases |= {"prediction_type": "prediction_type='v_pred"}
    for name, message in cases.items():
        with pytest.raises(InputError, match=message):
            load_adm(tmp_path / name)
    with pytest.raises(InputError, match=r"expected config\.json"):
        load_adm(tmp_path)


SUPPORTED = {
    "residual blocks between levels": {"downsample_type": "resnet", "upsample_type": "resnet"},
    "blocks of residual sampling": {
        "down_block_types": ("ResnetDownsampleBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "ResnetUpsampleBlock2D"),
    },
    "timestep scaled": {"resnet_time_scale_shift": "scale_shift"},
    "fewer groups": {"norm_num_groups": 8, "attn_norm_num_groups": 16},
    "as google/ddpm-cat-256": {"downsample_padding": 0, "flip_sin_to_cos": False, "freq_shift": 1, "norm_eps": 1e-6},
    "own width of the timestep": {"time_embedding_dim": 48},
    "variances, dropout, swish": {"out_channels": 6, "dropout": 0.3, "act_fn": "swish"},
    "uneven levels": {"block_out_channels": (32, 96), "layers_per_block": 2},
}
UNSUPPORTED = {
    "act_fn='gelu'": {"act_fn": "gelu"},
    "act_fn='relu'": {"act_fn": "relu"},
    "act_fn='mish'": {"act_fn": "mish"},
    "mid_block_scale_factor=1.4": {"mid_block_scale_factor": 2**0.5},
    "mid_block_type=None": {"mid_block_type": None},
    "add_attention=False": {"add_attention": False},
    "center_input_sample=True": {"center_input_sample": True},
    "time_embedding_type='fourier'": {"time_embedding_type": "fourier"},
    "down_block_types='AttnSkipDownBlock2D'": {
        "down_block_types": ("DownBlock2D", "AttnSkipDownBlock2D"),
        "up_block_types": ("AttnSkipUpBlock2D", "UpBlock2D"),
    },
    "down_block_types='KDownBlock2D'": {"down_block_types": ("KDownBlock2D", "AttnDownBlock2D")},
    "up_block_types='SkipUpBlock2D'": {"up_block_types": ("AttnUpBlock2D", "SkipUpBlock2D")},
    "num_train_timesteps=500": {"num_train_timesteps": 500},
}


@pytest.mark.parametrize("change", SUPPORTED.values(), ids=SUPPORTED)
def test_a_supported_diffusers_model_cut_in_two_computes_what_it_does_whole(change, tmp_path):
    whole = diffusers_folder(tmp_path, **change).eval()
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, unet = whole(x, 300).sample[:, :3], load_adm(tmp_path)
        torch.testing.assert_close(decode(unet, *encode(unet, x, 300)), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("message", "change"), UNSUPPORTED.items(), ids=UNSUPPORTED)
def test_an_unsupported_diffusers_model_is_refused_by_name(message, change, tmp_path):
    diffusers_folder(tmp_path, **change)
    with pytest.raises(InputError, match=rf"config\.json has {message}.*not supported: expected"):
        load_adm(tmp_path)


def test_a_diffusers_model_that_would_be_computed_wrongly_is_refused(tmp_path, monkeypatch):
    """Whatever the names say: as if the next diffusers had another default."""
    diffusers_folder(tmp_path)
    monkeypatch.setattr(weights_files, "decode", lambda *args: 1.01 * decode(*args))
    with pytest.raises(InputError, match="cut at its mid block it computes something else"):
        load_adm(tmp_path)


DAMAGED_FOLDERS = {
    "missing": (lambda s: s.pop("conv_in.bias"), r"lacks 1 \(conv_in\.bias\)"),
    "unexpected": (lambda s: s.update(extra=torch.zeros(1)), r"has, unexpected, 1 \(extra\)"),
    "shape": (
        lambda s: s.update({"conv_out.bias": torch.zeros(7)}),
        r"in another shape 1 \(conv_out\.bias \(7,\) instead of \(3,\)\)",
    ),
    "nan": (lambda s: s["conv_in.bias"].fill_(torch.nan), r"conv_in\.bias holds NaN"),
}


@pytest.mark.parametrize("change, message", DAMAGED_FOLDERS.values(), ids=DAMAGED_FOLDERS)
def test_weights_of_a_diffusers_folder_that_do_not_fit_are_told_by_name(change, message, tmp_path):
    diffusers_folder(tmp_path)
    file = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    state = load_file(file)
    change(state)
    save_file(state, file, {"format": "pt"})
    with pytest.raises(InputError, match=message):
        load_adm(tmp_path)


def test_damaged_diffusers_folders_are_refused(tmp_path):
    diffusers_folder(tmp_path)
    config, file = (tmp_path / "unet" / name for name in ("config.json", "diffusion_pytorch_model.safetensors"))
    whole, description = file.read_bytes(), config.read_text()
    file.write_bytes(whole[:-8])
    with pytest.raises(InputError, match="cannot be loaded"):
        load_adm(tmp_path)
    file.unlink()
    with pytest.raises(InputError, match=r"holds no weights: expected diffusion_pytorch_model\.safetensors"):
        load_adm(tmp_path)
    file.write_bytes(whole)
    config.write_text(description.replace('"norm_num_groups": 32', '"norm_num_groups": 7'))
    with pytest.raises(InputError, match=r"cannot be loaded .*divisible by num_groups"):
        load_adm(tmp_path)
    for content, message in (("{", "is not JSON"), ("[1]", r"holds \[1\]"), ("{}", "is of a None")):
        config.write_text(content)
        with pytest.raises(InputError, match=rf"config\.json {message}"):
            load_adm(tmp_path)


def test_the_benchmark_counts_the_passes_of_compiled_networks(monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    plain, compiled = (build_adm(SMALL).eval().requires_grad_(False) for _ in range(2))
    compile_network(compiled)
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for way in (benchmark.plain_way, benchmark.original_way):
        expected = benchmark.measured(way, plain, images[:1], images[1:], 3)
        for _ in range(2):  # while it is compiled, and after
            run = benchmark.measured(way, compiled, images[:1], images[1:], 3)
            assert (run.encoder, run.decoder) == (expected.encoder, expected.decoder)
        assert run.encoder > 0 and run.decoder > 0
