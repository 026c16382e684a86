"""What diffusion models say about themselves, read and checked without torch: guided-diffusion's flags, diffusers' config."""

import json
from pathlib import Path
from typing import Any

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean

# guided-diffusion's own defaults (model_and_diffusion_defaults), for arguments that a given config leaves out.
DEFAULTS: dict[str, Any] = {
    "image_size": 64,
    "num_channels": 128,
    "num_res_blocks": 2,
    "channel_mult": "",
    "num_heads": 4,
    "num_head_channels": -1,
    "num_heads_upsample": -1,
    "attention_resolutions": "16,8",
    "dropout": 0.0,
    "learn_sigma": False,
    "use_scale_shift_norm": True,
    "resblock_updown": False,
    "use_new_attention_order": False,
}
# The unconditional ImageNet model, 256x256_diffusion_uncond.pt, as guided-diffusion's README gives its flags.
IMAGENET_256 = DEFAULTS | {
    "image_size": 256,
    "num_channels": 256,
    "num_head_channels": 64,
    "attention_resolutions": "32,16,8",
    "learn_sigma": True,
    "resblock_updown": True,
}
# Arguments of guided-diffusion that must have one value here: unconditional, and the schedule of `ddim.ALPHA_BAR`.
REQUIRED = {
    "class_cond": False,
    "diffusion_steps": 1000,
    "noise_schedule": "linear",
    "predict_xstart": False,
    "rescale_timesteps": False,
}
# Arguments that change how the original trains or samples, but not what the network computes.
UNUSED = ("use_checkpoint", "use_fp16", "use_kl", "rescale_learned_sigmas", "timestep_respacing")
# create_model's table for an empty channel_mult.
CHANNEL_MULT = {512: (0.5, 1, 1, 2, 2, 4, 4), 256: (1, 1, 2, 2, 4, 4), 128: (1, 1, 2, 3, 4), 64: (1, 2, 3, 4)}

# What a diffusers model and its scheduler must have where they say it, all else being diffusers' defaults: an
# unconditional pixel DDPM of blocks that `hspace` runs, with the schedule of `ddim.ALPHA_BAR`.
MODEL = {
    "in_channels": (3,),
    "out_channels": (3, 6),
    "center_input_sample": (False,),
    "time_embedding_type": ("positional",),
    "class_embed_type": (None,),
    "num_class_embeds": (None,),
    "num_train_timesteps": (None, 1000),
    "act_fn": ("silu", "swish"),
    "resnet_time_scale_shift": ("default", "scale_shift"),
    "mid_block_type": ("UNetMidBlock2D",),
    "mid_block_scale_factor": (1,),
    "add_attention": (True,),
}
BLOCKS = {
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "ResnetDownsampleBlock2D"),
    "up_block_types": ("UpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D"),
}
# Where a diffusers model says them: the types of its lists' elements, and its numbers that are whole and at least 1.
LISTS = {"down_block_types": str, "up_block_types": str, "block_out_channels": int}
COUNTS = ("layers_per_block", "norm_num_groups")
COUNTS_OR_NULL = ("attention_head_dim", "attn_norm_num_groups", "time_embedding_dim")
SCHEDULER = {
    "num_train_timesteps": (1000,),
    "beta_schedule": ("linear",),
    "beta_start": (1e-4,),
    "beta_end": (0.02,),
    "trained_betas": (None,),
    "rescale_betas_zero_snr": (False,),
    "prediction_type": ("epsilon",),
}


def adm_arguments(config: dict[str, Any] | None = None) -> dict[str, Any]:
    """A guided-diffusion config, complete and checked: `channel_mult` a tuple, `attention` per level, `head_channels`.

    config: flags under guided-diffusion's names, absent ones at its defaults; None: those of the ImageNet 256 model.
    Raises InputError for an unknown argument, for a value of the wrong type or range, and for what `UNet2DModel` or the
    fixed noise schedule cannot represent.
    """
    config = IMAGENET_256 if config is None else config
    for name, value in config.items():
        _check_argument(name, value)
    arguments = DEFAULTS | {name: value for name, value in config.items() if name in DEFAULTS}
    size, channels = arguments["image_size"], arguments["num_channels"]
    multipliers = _numbers("channel_mult", arguments["channel_mult"]) or CHANNEL_MULT.get(size)
    if multipliers is None:
        raise InputError(f"channel_mult is empty, and guided-diffusion has no default for image_size {size}: give it")
    if multipliers[0] != 1:
        raise InputError(
            f"ADM checkpoints with channel_mult {multipliers} are not supported: the first value must be 1, because "
            "diffusers' UNet2DModel takes the width of the timestep embedding from the first level"
        )
    if channels % 32:
        raise InputError(f"num_channels must be a multiple of 32, the groups of every norm; received {channels}")
    if size % 2 ** (len(multipliers) - 1):
        raise InputError(f"image_size {size} cannot be halved between all {len(multipliers)} levels of channel_mult")
    resolutions = _numbers("attention_resolutions", arguments["attention_resolutions"])
    factors = [size // resolution for resolution in resolutions]
    attention = [2**level in factors for level in range(len(multipliers))]
    attended = {channels * multiplier for multiplier, here in zip(multipliers, attention, strict=True) if here}
    attended |= {channels * multipliers[-1]}  # the mid block's
    return arguments | {
        "channel_mult": multipliers,
        "attention": attention,
        "head_channels": _head_channels(arguments, sorted(attended)),
    }


def _check_argument(name, value):
    """Raise InputError for an argument that guided-diffusion does not have, or a value that it cannot have here."""
    known = [*DEFAULTS, *REQUIRED, *UNUSED]
    if name not in known:
        raise InputError(f"unknown argument {name!r} in the config of an ADM checkpoint: {did_you_mean(name, known)}")
    if REQUIRED.get(name, value) != value:
        raise InputError(f"ADM checkpoints with {name}={value!r} are not supported, expected {REQUIRED[name]!r}")
    default, number = DEFAULTS.get(name), isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(default, bool):
        right, expected = isinstance(value, bool), "true or false"
    elif isinstance(default, float):
        right, expected = number and 0 <= value < 1, "a number from 0 to 1"
    elif isinstance(default, int):
        unset = default == -1
        right = number and isinstance(value, int) and (value >= 1 or (unset and value == -1))
        expected = f"a whole number, at least 1{', or -1 where it is not used' if unset else ''}"
    else:
        return  # lists of numbers, read by `_numbers`, and what is not used
    if not right:
        raise InputError(f"{name} of an ADM checkpoint: expected {expected}, received {value!r}")


def _head_channels(arguments, widths):
    """Channels per attention head at all `widths`; None: one head. UNet2DModel has one such number for all levels."""
    if (channels := arguments["num_head_channels"]) != -1:
        if odd := [width for width in widths if width % channels]:
            raise InputError(
                f"num_head_channels {channels} does not divide the {odd[0]} channels of an attention block"
            )
        return channels
    heads = {arguments["num_heads"], arguments["num_heads_upsample"]} - {-1}
    if heads == {1}:
        return None
    if len(heads) > 1 or len(widths) > 1:
        raise InputError(
            f"ADM checkpoints with {sorted(heads)} attention heads at widths {widths} are not supported: diffusers' "
            "UNet2DModel has one number of channels per head for all levels (num_head_channels)"
        )
    [heads], [width] = heads, widths
    if width % heads:
        raise InputError(f"num_heads {heads} does not divide the {width} channels of the attention blocks")
    return width // heads


def _numbers(name, value):
    """(1, 2) of "1,2", [1, 2] or (1, 2); (8,) of 8; () of ""."""
    if isinstance(value, int) and not isinstance(value, bool):
        parts = [value]
    else:
        parts = [part for part in value.split(",") if part] if isinstance(value, str) else value
    try:
        numbers = tuple(int(part) for part in parts)
    except (TypeError, ValueError):
        numbers = (0,)
    if min(numbers, default=1) < 1:
        raise InputError(f"{name} of an ADM checkpoint: expected whole numbers such as '1,2,4', received {value!r}")
    return numbers


def read_diffusers_config(folder: Path | str) -> tuple[Path, dict[str, Any]]:
    """(directory of the network, its config) of a diffusers `UNet2DModel` or pipeline directory, checked.

    Raises InputError for a model that is not an unconditional pixel DDPM with the linear schedule, or has other blocks.
    """
    folder = Path(folder)
    root = folder / "unet" if (folder / "unet" / "config.json").exists() else folder
    path = root / "config.json"
    if not path.exists():
        raise InputError(f"{folder} is no diffusers model: expected config.json or unet/config.json in it")
    config = _read_json(path)
    if config.get("_class_name") != "UNet2DModel":
        raise InputError(f"{path} is of a {config.get('_class_name')}, expected a UNet2DModel")
    _check_keys(path, config, MODEL)
    _check_types(path, config)
    for name, blocks in BLOCKS.items():
        for block in config.get(name, ()):
            _check_keys(path, {name: block}, {name: blocks})
    for schedule in (folder / "scheduler" / "scheduler_config.json", folder / "scheduler_config.json"):
        if schedule.exists():
            _check_keys(schedule, _read_json(schedule), SCHEDULER)
    diffusers_weights(root)
    return root, config


def diffusers_weights(root: Path) -> list[Path]:
    """Paths of the files of weights that diffusers loads from the directory of a network, without a variant.

    Those in several files come after their index. Raises InputError where there are none, and for an index that names
    files which are not there.
    """
    for kind in ("safetensors", "bin"):  # the order in which diffusers takes them, an index before a single file
        single = root / f"diffusion_pytorch_model.{kind}"
        index = root / f"{single.name}.index.json"
        if index.is_file():
            return [index, *_shards(index)]
        if single.is_file():
            return [single]
    raise InputError(f"{root} holds no weights: expected diffusion_pytorch_model.safetensors in it")


def _shards(index):
    """Paths of the files that an index of weights names."""
    value = _read_json(index)
    shards = value.get("weight_map")
    shards = list(shards.values()) if isinstance(shards, dict) else []
    plain = all(isinstance(name, str) and Path(name).name == name for name in shards)
    if not (shards and plain and isinstance(value.get("metadata"), dict)):
        raise InputError(
            f"{index} is no index of weights: expected metadata and a weight_map to file names; fetch it again"
        )
    paths = [index.with_name(name) for name in sorted(set(shards))]
    if absent := [path.name for path in paths if not path.is_file()]:
        raise InputError(f"{index} names {absent[0]}, which is not beside it: fetch it")
    return paths


def _read_json(path):
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not JSON ({error}): fetch it again") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} holds {value!r:.50}, expected a diffusers config: fetch it again")
    return value


def _check_keys(path, config, expected):
    for name, values in expected.items():
        if name in config and config[name] not in values:
            _refuse(path, name, config[name], " or ".join(map(repr, values)))


def _check_types(path, config):
    """Raise InputError for a list or number of a model's config that is none."""
    for name, kind in LISTS.items():
        value = config.get(name)
        right = isinstance(value, list) and value and all(type(element) is kind for element in value)
        if name in config and not right:
            _refuse(path, name, value, f"a list of {'names' if kind is str else 'whole numbers'}")
    for name in (*COUNTS, *COUNTS_OR_NULL):
        value = config.get(name)
        right = (type(value) is int and value >= 1) or (value is None and name in COUNTS_OR_NULL)
        if name in config and not right:
            _refuse(path, name, value, f"a whole number, at least 1{', or null' if name in COUNTS_OR_NULL else ''}")


def _refuse(path, name, value, expected):
    raise InputError(
        f"{path} has {name}={value!r}, which is not supported: expected {expected} (an unconditional pixel DDPM with the "
        "linear noise schedule)"
    )
