"""Family torchvision: any classification model, as torchvision.models names it, cut at the penultimate layer."""

from collections.abc import Collection
from functools import partial
from typing import Any

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean
from swsa_core.candidates.caches import in_torch_hub
from swsa_core.candidates.catalogue import catalogue
from swsa_core.candidates.family import (
    NOT_STATED,
    CandidateSpec,
    Family,
    Network,
    args_of,
    as_given,
    check_weights,
    given_files,
    model_name,
    on_meta,
)
from swsa_core.candidates.transforms import Transform

# Classifiers beside the main one, for training.
AUXILIARY = ("AuxLogits", "aux1", "aux2")


def listed() -> dict[str, dict[str, tuple[str | None, str]]]:
    """{classification model: {its weights: (their licence, None where none is named; their URL)}}, by torchvision's listing."""
    from torchvision import models

    return {
        model: {
            name: (weights.meta.get("license"), weights.url)
            for name, weights in models.get_model_weights(model).__members__.items()
        }
        for model in models.list_models(module=models)
    }


def check(candidate: CandidateSpec) -> None:
    """Raise InputError unless the weights file is there and torchvision has a classification model of this name."""
    check_weights(candidate)
    model, known = model_name(candidate), catalogue("torchvision", listed)
    if known is None:
        return
    _check_name(model, known)
    chosen = args_of(candidate).get("weights", default_weights(known[model]))
    _check_choice(model, chosen, known[model])


def _check_choice(model: str, chosen: Any, choices: Collection[str]) -> None:
    if chosen not in choices:
        raise InputError(f"args.weights: {model} has no weights {chosen!r}: {did_you_mean(str(chosen), choices)}")


def _check_name(model: str, known: Collection[str]) -> None:
    if model not in known:
        raise InputError(f"torchvision has no classification model {model!r}: {did_you_mean(model, known)}")


def default_weights(choices: Collection[str]) -> str:
    """The weights that are taken where `args` name none: the first ones, of ImageNet alone, if there are any."""
    return "IMAGENET1K_V1" if "IMAGENET1K_V1" in choices else "IMAGENET1K_SWAG_LINEAR_V1"


def licence_of(candidate: CandidateSpec) -> str:
    """The licence that torchvision names with a model's weights; where it names none, that of torchvision itself."""
    choices = (catalogue("torchvision", listed) or {}).get(model_name(candidate), {})
    chosen = args_of(candidate).get("weights", default_weights(choices))
    return (choices[chosen][0] or "BSD-3-Clause") if chosen in choices else NOT_STATED


def cached(candidate: CandidateSpec) -> bool:
    """Whether torchvision has downloaded a model's weights."""
    choices = (catalogue("torchvision", listed) or {}).get(model_name(candidate), {})
    chosen = args_of(candidate).get("weights", default_weights(choices))
    return chosen in choices and in_torch_hub(choices[chosen][1])


def network(model: str, weights: str | None, args: dict[str, Any]) -> Network:
    """A classification model without its head. Without a file of weights torchvision downloads its own."""
    from torch import nn
    from torchvision import models

    _check_name(model, models.list_models(module=models))
    choices = models.get_model_weights(model).__members__
    chosen = args.pop("weights", default_weights(choices))
    _check_choice(model, chosen, choices)
    if weights and model in ("googlenet", "inception_v3"):
        # What torchvision itself sets with its weights, which were trained on inputs scaled otherwise.
        args = {"transform_input": True, "init_weights": False} | args
    module = models.get_model(model, weights=None if weights else choices[chosen], **args)
    for auxiliary in AUXILIARY:
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
    heads = tuple(f"{name}." for name in (head, *AUXILIARY))
    return Network(module, lambda images: module(images).flatten(1), transform, weights, heads)


FAMILY = Family(
    title="classification models of torchvision",
    licence=(
        "code BSD-3-Clause; weights may have terms of their own, derived from the data that they were trained on "
        "(ImageNet: non-commercial research), and those with SWAG in their name are CC BY-NC 4.0"
    ),
    licence_of=licence_of,
    packages=lambda candidate: ("torch", "torchvision"),
    check=check,
    load=partial(as_given, network),
    blank=partial(on_meta, network),
    files=given_files,
    prefetched=True,
    cached=cached,
)
