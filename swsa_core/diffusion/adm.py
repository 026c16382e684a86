"""ADM (Dhariwal & Nichol 2021): guided-diffusion checkpoints as diffusers `UNet2DModel`s, parameter for parameter."""

from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DModel

from swsa_core.basics.errors import InputError
from swsa_core.diffusion.checkpoints import check_tensors, first_names, kept_beside, read_diffusers, read_state
from swsa_core.diffusion.hspace import GroupNorm, UNet
from swsa_core.files.diffusion_flags import adm_arguments

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
# Parts of a UNet2DModel that stay float32 in a float16 network, as under guided-diffusion's `use_fp16`: float16 ends at 65504,
# which sums of squares pass. The norms, the layers of the timestep, and the convolution that makes the output.
FLOAT32_PARTS = ("norm", "time_emb", "conv_out")
ATTENTION = {"group_norm": "norm", "to_q": "qkv", "to_k": "qkv", "to_v": "qkv", "to_out.0": "proj_out"}


def load_adm(
    weights: Path | str, config: dict[str, Any] | None = None, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> UNet:
    """A pretrained unconditional pixel diffusion model as a diffusers `UNet2DModel` for inference.

    weights: a guided-diffusion checkpoint (torch file, or safetensors with the original keys), or the directory of a
    diffusers `UNet2DModel` or pipeline.
    config: the checkpoint's flags under guided-diffusion's names, absent ones at guided-diffusion's defaults;
    None: the unconditional ImageNet 256 model. A diffusers directory brings its own.
    dtype: of the network; a float16 one keeps `FLOAT32_PARTS` in float32.
    The converted weights of a torch file are kept beside it as safetensors, which later calls memory-map. At the place of
    a published file its size and digest are checked before.
    Raises InputError for a checkpoint that is damaged, holds code, differs from the config or cannot be represented.
    """
    weights = Path(weights)
    if not weights.exists():
        raise InputError(f"{weights}: no such diffusion weights, expected a checkpoint file or a diffusers directory")
    if weights.is_dir():
        unet = read_diffusers(weights)
    else:
        arguments = adm_arguments(config)
        with torch.device("meta"):
            unet = build_adm(config)
        shapes = {name: tensor.shape for name, tensor in unet.state_dict().items()}
        state = kept_beside(weights, arguments, shapes, lambda: convert(read_state(weights), unet, arguments, weights))
        state = {name: tensor.to(device, part_dtype(name, dtype)) for name, tensor in state.items()}
        unet.load_state_dict(state, strict=True, assign=True)
    # On a GPU channels-last pays where GroupNorm keeps it, as in PyTorch 2.15 (pytorch#191945); older ones copy at each norm.
    # On a CPU, PyTorch's channels-last GroupNorm takes E[x^2] - E[x]^2 for the variance: cancellation costs digits.
    layout = torch.contiguous_format if torch.device(device).type == "cpu" else torch.channels_last
    unet = in_precision(unet, dtype, device)
    return unet.to(memory_format=layout).requires_grad_(False).eval()


def in_precision(unet: UNet, dtype: torch.dtype, device: str | None = None) -> UNet:
    """`unet` itself, on `device` where one is given, in `dtype`; in float16 but for `FLOAT32_PARTS`."""
    unet = torch.nn.Module.to(unet, device)  # diffusers' own `to` would warn
    for name, parameter in unet.named_parameters():
        parameter.data = parameter.data.to(part_dtype(name, dtype))
    if dtype == torch.float16:
        for module in unet.modules():
            if isinstance(module, torch.nn.GroupNorm):
                module.__class__ = GroupNorm  # takes float16 with its own float32
    return unet


def part_dtype(name: str, dtype: torch.dtype) -> torch.dtype:
    """dtype of the parameter `name` of a network in `dtype`."""
    kept = dtype == torch.float16 and any(part in name for part in FLOAT32_PARTS)
    return torch.float32 if kept else dtype


def build_adm(config: dict[str, Any] | None = None) -> UNet:
    """The `UNet2DModel` of a guided-diffusion config (as in `load_adm`), random weights, on torch's default device."""
    arguments = adm_arguments(config)
    resnet, attention = arguments["resblock_updown"], arguments["attention"]
    down, up = ("ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D") if resnet else ("DownBlock2D", "UpBlock2D")
    return UNet2DModel(
        sample_size=arguments["image_size"],
        in_channels=3,
        out_channels=6 if arguments["learn_sigma"] else 3,
        block_out_channels=[arguments["num_channels"] * multiplier for multiplier in arguments["channel_mult"]],
        layers_per_block=arguments["num_res_blocks"],
        down_block_types=["AttnDownBlock2D" if here else down for here in attention],
        up_block_types=["AttnUpBlock2D" if here else up for here in reversed(attention)],
        downsample_type="resnet" if resnet else "conv",
        upsample_type="resnet" if resnet else "conv",
        dropout=arguments["dropout"],
        attention_head_dim=arguments["head_channels"],
        resnet_time_scale_shift="scale_shift" if arguments["use_scale_shift_norm"] else "default",
        attn_norm_num_groups=32,  # None would drop the norm of the mid attention where scale_shift is used
    )


def original_names(arguments: dict[str, Any]) -> dict[str, str]:
    """{module of the UNet2DModel: module of guided-diffusion's UNetModel}, for a completed config."""
    names = {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2"}
    names |= {"conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}

    def add(parts, ours, original):
        names.update({f"{ours}.{part}": f"{original}.{theirs}" for part, theirs in parts.items()})

    layers, updown = arguments["num_res_blocks"], RESNET if arguments["resblock_updown"] else None
    block = 1
    for level, attended in enumerate(arguments["attention"]):
        for layer in range(layers):
            add(RESNET, f"down_blocks.{level}.resnets.{layer}", f"input_blocks.{block}.0")
            if attended:
                add(ATTENTION, f"down_blocks.{level}.attentions.{layer}", f"input_blocks.{block}.1")
            block += 1
        add(updown or {"conv": "op"}, f"down_blocks.{level}.downsamplers.0", f"input_blocks.{block}.0")
        block += 1
    add(RESNET, "mid_block.resnets.0", "middle_block.0")
    add(ATTENTION, "mid_block.attentions.0", "middle_block.1")
    add(RESNET, "mid_block.resnets.1", "middle_block.2")
    block = 0
    for level, attended in enumerate(reversed(arguments["attention"])):
        for layer in range(layers + 1):
            add(RESNET, f"up_blocks.{level}.resnets.{layer}", f"output_blocks.{block}.0")
            if attended:
                add(ATTENTION, f"up_blocks.{level}.attentions.{layer}", f"output_blocks.{block}.1")
            block += 1
        original = f"output_blocks.{block - 1}.{2 if attended else 1}"
        add(updown or {"conv": "conv"}, f"up_blocks.{level}.upsamplers.0", original)
    return names


def convert(
    state: dict[str, torch.Tensor], unet: UNet, arguments: dict[str, Any], source: Path | str = "the checkpoint"
) -> dict[str, torch.Tensor]:
    """State dict of `unet` (on any device, meta too) from guided-diffusion's `state`; strict in names and shapes.

    Raises InputError that names missing, unexpected and misshapen keys of `source`, and what is not a finite number.
    """
    wanted = original_parameters(unet, arguments)
    shapes = dict(wanted.values())
    if "label_emb.weight" in state:
        raise InputError(f"{source} is class-conditional (it holds label_emb.weight), expected an unconditional model")
    for problem, keys in (("lacks", shapes.keys() - state.keys()), ("has unexpected", state.keys() - shapes.keys())):
        if keys:
            raise InputError(
                f"{source} {problem} {len(keys)} of its parameters for this config ({first_names(keys)}): "
                "check the checkpoint's flags"
            )
    if wrong := [key for key, shape in shapes.items() if tuple(state[key].shape) != shape]:
        first = min(wrong)
        raise InputError(
            f"{source} has {len(wrong)} parameters of another shape than its config says ({first_names(wrong)}; "
            f"{first} is {tuple(state[first].shape)}, expected {shapes[first]}): check the checkpoint's flags"
        )
    check_tensors(state, source)
    modules = dict(unet.named_modules())
    converted = {}
    for name, (key, _) in wanted.items():
        tensor = state[key]
        module, _, _ = name.rpartition(".")
        parent, _, part = module.rpartition(".")
        if part in (qkv := ("to_q", "to_k", "to_v")):
            # Rows are grouped [head][q, k, v][channel], in the new order [q, k, v][head][channel].
            heads = 1 if arguments["use_new_attention_order"] else modules[parent].heads
            tensor = tensor.unflatten(0, (heads, 3, -1))[:, qkv.index(part)].flatten(0, 1)
        converted[name] = tensor.squeeze(-1) if key.endswith((".qkv.weight", ".proj_out.weight")) else tensor
    return converted


def original_parameters(unet: UNet, arguments: dict[str, Any]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """{parameter of the UNet2DModel: (key, shape) in guided-diffusion's state dict}; q, k and v share one key."""
    modules, parameters = original_names(arguments), {}
    for name, tensor in unet.state_dict().items():
        module, _, leaf = name.rpartition(".")
        key, shape = f"{modules[module]}.{leaf}", tuple(tensor.shape)
        if ".qkv." in key:
            shape = (3 * shape[0], *shape[1:])
        if key.endswith((".qkv.weight", ".proj_out.weight")):
            shape = (*shape, 1)  # the original's attention has Conv1d
        parameters[name] = (key, shape)
    return parameters
