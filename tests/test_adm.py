"""ADM checkpoints load parameter for parameter and compute what guided-diffusion computes; others are refused by name."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, UNet2DModel
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from swsa_core.diffusion import build_adm, load_adm
from swsa_core.diffusion.adm import adm_arguments, original_parameters
from swsa_core.diffusion.hspace import decode, encode
from swsa_core.errors import InputError

GOLDEN = Path(__file__).parents[1].parent / "shared" / "golden" / "adm"
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
    assert sorted(os.listdir(tmp_path)) == [path.name, kept.name]


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
}


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
    file = tmp_path / "lacks" / "unet" / "diffusion_pytorch_model.safetensors"
    diffusers_folder(tmp_path / "lacks")
    save_file({name: t for name, t in load_file(file).items() if name != "conv_in.bias"}, file, {"format": "pt"})
    with pytest.raises(InputError, match=r"missing keys: conv_in\.bias"):
        load_adm(tmp_path / "lacks")
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(InputError, match="cannot be loaded"):
        load_adm(tmp_path / "lacks")
    with pytest.raises(InputError, match=r"expected config\.json"):
        load_adm(tmp_path)
