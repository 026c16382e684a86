"""Family timm: any model of timm, with its tag, as vit_base_patch16_224.orig_in21k, cut at the penultimate layer."""

from functools import partial
from typing import Any

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean
from swsa_core.candidates.caches import in_hugging_face_cache, in_torch_hub
from swsa_core.candidates.catalogue import catalogue
from swsa_core.candidates.family import (
    NOT_STATED,
    CandidateSpec,
    Family,
    Network,
    as_given,
    check_weights,
    given_files,
    model_name,
    on_meta,
)
from swsa_core.candidates.maps import Seen, chosen
from swsa_core.candidates.transforms import Transform

# Of weights, as timm looks for them on the hub.
FILES = ("model.safetensors", "pytorch_model.bin")


def listed() -> dict[str, Any]:
    """{"models": timm's architectures, "old": their former names, "tagged": architecture.tag}, by its own listing.

    "licences" are those of the weights of each of these names, None where timm names none; "places" their models on the Hugging
    Face hub, or else their URLs.
    """
    import timm

    models = timm.list_models()
    old = {name for name in dir(timm.models) if timm.is_model(name)} - set(models)
    tagged = timm.list_models(include_tags=True)
    configs = {name: timm.get_pretrained_cfg(name) for name in (*models, *old, *tagged)}
    licences = {name: getattr(config, "license", None) for name, config in configs.items()}
    places = {
        name: getattr(config, "hf_hub_id", None) or getattr(config, "url", None) for name, config in configs.items()
    }
    return {"models": models, "old": sorted(old), "tagged": tagged, "licences": licences, "places": places}


def check(candidate: CandidateSpec) -> None:
    """Raise InputError unless the weights file is there and timm has the architecture, and its tag if one is given."""
    check_weights(candidate)
    model, known = model_name(candidate), catalogue("timm", listed)
    if ":" in model or known is None:  # with a colon: on the Hugging Face hub, or in a folder
        return
    architecture, _, tag = model.partition(".")
    if architecture in known["old"]:
        return
    if architecture not in known["models"]:
        raise InputError(f"timm has no model {model!r}: {did_you_mean(architecture, known['models'])}")
    if tag and model not in known["tagged"]:
        tagged = [name for name in known["tagged"] if name.startswith(f"{architecture}.")]
        raise InputError(f"timm has no weights {tag!r} of {architecture}: {did_you_mean(model, tagged)}")


def licence_of(candidate: CandidateSpec) -> str:
    """The licence of a model's weights as timm names it: those of its tag, or those that timm takes without one."""
    known = catalogue("timm", listed) or {"licences": {}}
    return known["licences"].get(model_name(candidate)) or NOT_STATED


def cached(candidate: CandidateSpec) -> bool:
    """Whether timm has downloaded a model's weights."""
    source, _, model = model_name(candidate).rpartition(":")
    if source:
        return source == "local-dir" or in_hugging_face_cache(model, FILES)
    place = (catalogue("timm", listed) or {"places": {}})["places"].get(model) or ""
    return in_torch_hub(place) if "://" in place else "/" in place and in_hugging_face_cache(place, FILES)


def network(model: str, weights: str | None, args: dict[str, Any]) -> Network:
    """A model up to the input of its head. Without a file of weights timm downloads its own."""
    import timm

    if ":" not in model and not timm.is_model(model):
        known = timm.list_models()
        raise InputError(f"timm has no model {model!r}: {did_you_mean(model.partition('.')[0], known)}")
    module: Any = timm.create_model(model, pretrained=not weights, **args)
    if not hasattr(module, "forward_head"):
        raise InputError(
            f"{model} becomes a {type(module).__name__} by `args` {args}, a network without a head to cut off: remove the "
            "argument that makes it one, such as features_only"
        )
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
        fit="squash" if config["crop_mode"] == "squash" else "crop",
    )

    def forward(images):
        return module.forward_head(module.forward_features(images), pre_logits=True)

    def look(images, layers):
        stages = chosen([stage["reduction"] for stage in module.feature_info], layers)
        last, maps = module.forward_intermediates(images, indices=stages, output_fmt="NCHW")
        return Seen(module.forward_head(last, pre_logits=True), maps)

    def convert(given):
        return _converted(model, args, given, module, head)

    of_stages = look if hasattr(module, "forward_intermediates") else None
    return Network(module, forward, transform, weights, head, of_stages, convert)


def _converted(
    model: str, args: dict[str, Any], given: dict[str, Any], module: Any, head: tuple[str, ...]
) -> dict[str, Any]:
    """`given` as timm converts its own weights of a model: above all, position embeddings of another image size are resampled.

    module: the model; of its head nothing is given. Raises what timm does where the weights do not fit it exactly.
    """
    import timm

    # What the file need not have is taken from the module, so that timm can ask for all of it.
    own = {
        name: value
        for name, value in module.state_dict().items()
        if name.startswith(head) or name.endswith("num_batches_tracked")
    }
    overlay = {"state_dict": own | given, "num_classes": module.num_classes, "label_offset": 0, "source": ""}
    converted = timm.create_model(
        model, pretrained=True, pretrained_cfg_overlay=overlay, pretrained_strict=True, **args
    )
    return converted.state_dict()


FAMILY = Family(
    title="models of timm",
    licence=(
        "code Apache-2.0; weights have licences of their own, which the model's page on the Hugging Face hub names (some "
        "non-commercial, as CC BY-NC 4.0), and terms of the data that they were trained on (ImageNet: non-commercial research)"
    ),
    licence_of=licence_of,
    packages=lambda candidate: ("torch", "timm", "torchvision"),
    check=check,
    load=partial(as_given, network),
    blank=partial(on_meta, network),
    files=given_files,
    prefetched=True,
    cached=cached,
)
