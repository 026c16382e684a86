"""A small random CLIP model in the form that open_clip loads from a directory, for the tests without downloads."""

import json

CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def save(directory, seed=0):
    """Write config and weights; returns the model's name, for `clip.model`."""
    import torch
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    directory.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    state = {name: value.contiguous() for name, value in CLIP(**CONFIG).state_dict().items()}
    save_file(state, directory / "open_clip_model.safetensors")
    config = {"model_cfg": CONFIG, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (directory / "open_clip_config.json").write_text(json.dumps(config))
    return f"open_clip:local-dir:{directory}"
