"""Networks of the families torchvision, timm, open_clip and mini, cut at the penultimate layer: what the head receives.

One function a family: (model, weights file or None, args) -> Network. Without a file the library downloads its own
weights. A library is imported by the function that needs it. Unknown names and weights that do not fit are InputErrors.
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean
from swsa_core.candidates.library_models import check_open_clip_weights, preparation
from swsa_core.candidates.transforms import Transform
from swsa_core.files.weights import MINI_WEIGHTS


@dataclass(frozen=True)
class Network:
    """A torch module whose `forward`, (n, 3, h, w) to (n, d), gives features.

    transform: the library's own for these weights.
    weights: file still to be loaded, or None.
    packages: whose versions matter.
    head: beginnings of the names of parameters that have no part in the features.
    """

    module: Callable
    forward: Callable
    transform: Transform
    weights: Path | None
    packages: tuple
    head: tuple = ()


def torchvision_network(model, weights, args):
    from torch import nn
    from torchvision import models

    known = models.list_models(module=models)
    if model not in known:
        raise InputError(f"torchvision has no classification model {model!r}: {did_you_mean(model, known)}")
    choices = models.get_model_weights(model).__members__
    default = "IMAGENET1K_V1" if "IMAGENET1K_V1" in choices else "IMAGENET1K_SWAG_LINEAR_V1"
    chosen = args.pop("weights", default)
    if chosen not in choices:
        raise InputError(f"args.weights: {model} has no weights {chosen!r}: {did_you_mean(chosen, choices)}")
    if weights and model in ("googlenet", "inception_v3"):
        # What torchvision itself sets with its weights, which were trained on inputs scaled otherwise.
        args = {"transform_input": True, "init_weights": False} | args
    module = models.get_model(model, weights=None if weights else choices[chosen], **args)
    for auxiliary in ("AuxLogits", "aux1", "aux2"):  # classifiers beside the main one, for training
        if hasattr(module, auxiliary):
            setattr(module, auxiliary, None)
    if isinstance(module, models.SqueezeNet):
        # Its head is a convolution before the pool, so that its penultimate layer is `features`, pooled.
        head, module.classifier = "classifier", nn.AdaptiveAvgPool2d(1)
    else:
        head = [name for name, part in module.named_modules() if isinstance(part, nn.Linear)][-1]
        module.set_submodule(head, nn.Identity())
    preset = choices[chosen].transforms()
    transform = Transform(
        preset.resize_size[0],
        preset.crop_size[0],
        preset.interpolation.value,
        tuple(preset.mean),
        tuple(preset.std),
    )
    heads = (f"{head}.", "AuxLogits.", "aux1.", "aux2.")
    return Network(module, lambda images: module(images).flatten(1), transform, weights, ("torchvision",), heads)


def timm_network(model, weights, args):
    import timm

    if ":" not in model and not timm.is_model(model):
        known = timm.list_models()
        raise InputError(f"timm has no model {model!r}: {did_you_mean(model.partition('.')[0], known)}")
    module = timm.create_model(model, pretrained=not weights, **args)
    classifiers = module.get_classifier()
    classifiers = classifiers if isinstance(classifiers, tuple) else (classifiers,)
    head = tuple(f"{name}." for name, part in module.named_modules() if any(part is each for each in classifiers))
    config = timm.data.resolve_model_data_config(module)
    _, height, width = config["input_size"]
    if height != width or config["crop_mode"] not in ("center", "squash"):
        raise InputError(
            f"{model} takes images of {height} x {width} px by {config['crop_mode']!r} cropping; "
            "only square images and 'center' or 'squash' are supported"
        )
    transform = Transform(
        int(height / config["crop_pct"]),
        height,
        config["interpolation"],
        tuple(config["mean"]),
        tuple(config["std"]),
        squash=config["crop_mode"] == "squash",
    )

    def forward(images):
        return module.forward_head(module.forward_features(images), pre_logits=True)

    return Network(module, forward, transform, weights, ("timm", "torchvision"), head)


def open_clip_network(model, weights, args):
    import open_clip

    clip = create_open_clip(model, weights, args)
    config = open_clip.get_model_preprocess_cfg(clip)
    size = config["size"]
    height, width = size if isinstance(size, tuple | list) else (size, size)
    if height != width or config["resize_mode"] not in ("shortest", "squash"):
        raise InputError(
            f"{model} takes images of {height} x {width} px by {config['resize_mode']!r} resizing; "
            "only square images and 'shortest' or 'squash' are supported"
        )
    transform = Transform(
        height,
        height,
        config["interpolation"],
        tuple(config["mean"]),
        tuple(config["std"]),
        squash=config["resize_mode"] == "squash",
    )

    def forward(images):
        features = clip.visual(images)
        return features[0] if isinstance(features, tuple) else features

    return Network(clip.visual, forward, transform, weights, ("open_clip_torch", "timm", "torchvision"))


def create_open_clip(model, weights, args):
    """Both towers of an open_clip model; a file of weights is still to be loaded."""
    import open_clip

    tag = args.pop("pretrained", None)
    tags = {
        known: open_clip.get_pretrained_cfg(model, known) for known in open_clip.list_pretrained_tags_by_model(model)
    }
    if ":" not in model:  # neither on the Hugging Face hub nor in a folder
        if model not in open_clip.list_models():
            raise InputError(f"open_clip has no model {model!r}: {did_you_mean(model, open_clip.list_models())}")
        check_open_clip_weights(model, weights, tag, open_clip.get_model_config(model), tags)
    if weights and tag:  # the images as that tag wants them, the weights from the file
        args["force_preprocess_cfg"] = preparation(tags.get(tag, {}))
    return open_clip.create_model(model, pretrained=None if weights else tag, pretrained_text=False, **args)


def mini_network(model, weights, args):
    transform = Transform(32, 32, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    weights = weights or MINI_WEIGHTS / f"{model}.safetensors"
    if model == "clip":
        from swsa_core.mini.clip import load_clip

        clip, _ = load_clip(weights, **args)
        return Network(clip.visual, clip.visual, transform, weights, ("open_clip_torch",))
    from swsa_core.mini.architectures import build

    module = build(model, **args)
    return Network(module, module.features, transform, weights, (), ("head.",))


LOADERS = {
    "torchvision": torchvision_network,
    "timm": timm_network,
    "open_clip": open_clip_network,
    "mini": mini_network,
}


@contextmanager
def loading(key, family, model):
    """A block that loads a model: its errors become InputErrors that begin with the config `key`."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{key}: {error}") from error
    except ImportError as error:
        raise InputError(
            f"{key}: {family} {model!r} needs a package that is not installed ({error}): install it, or take another model"
        ) from error
    except TypeError as error:
        raise InputError(f"{key}: {family} {model!r} does not take these `args` ({error})") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{key}: {family} cannot load {model!r} ({error}); without a network, download its weights elsewhere and name "
            "the file under `weights`"
        ) from error
