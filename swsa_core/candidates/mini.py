"""Family mini: the small networks of models/mini/, bundled and trained on drawn letters and digits, and a small CLIP."""

import json

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean
from swsa_core.candidates.family import (
    CandidateSpec,
    Family,
    Network,
    Texts,
    Towers,
    args_of,
    check_weights,
    model_name,
    weights_file,
)
from swsa_core.candidates.transforms import Transform
from swsa_core.files.weights import MINI_WEIGHTS
from swsa_core.mini import CLIP_MODELS
from swsa_core.mini.clip_words import check_prompts

TRANSFORM = Transform(32, 32, "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
CLIP_NOTE = (
    "mini:clip has learnt from drawn letters and digits only: for other images the choice of a prompt means nothing, and "
    "an open_clip model is needed."
)


def is_clip(model: str) -> bool:
    """Whether a model of this family has a text tower too."""
    return model in CLIP_MODELS


def check(candidate: CandidateSpec) -> None:
    """Raise InputError unless the weights are there: the bundled ones, or the file that is named."""
    model = model_name(candidate)
    if not candidate.get("weights") and not (MINI_WEIGHTS / f"{model}.safetensors").is_file():
        known = [path.stem for path in MINI_WEIGHTS.glob("*.safetensors")]
        raise InputError(f"models/mini has no {model}.safetensors: {did_you_mean(model, known)}")
    check_weights(candidate)


def weights_of(candidate: CandidateSpec) -> str:
    """Path of the weights: the file that is named, or the bundled one."""
    return str(weights_file(candidate) or MINI_WEIGHTS / f"{model_name(candidate)}.safetensors")


def load(candidate: CandidateSpec) -> Network:
    """A classifier up to its head, or the image tower of the mini CLIP."""
    model, weights = model_name(candidate), weights_of(candidate)
    if is_clip(model):
        from swsa_core.mini.clip import load_clip

        clip, _ = load_clip(weights, **args_of(candidate))
        return Network(clip.visual, clip.visual, TRANSFORM, weights)
    from swsa_core.mini.architectures import build

    module = build(model, **args_of(candidate))
    return Network(module, module.features, TRANSFORM, weights, ("head.",))


def packages(candidate: CandidateSpec) -> tuple[str, ...]:
    """torch, and for the mini CLIP the library of its text tower."""
    return ("torch", "open_clip_torch") if is_clip(model_name(candidate)) else ("torch",)


def note(candidate: CandidateSpec, known: bool) -> str:
    """What to know of the bundled mini CLIP on other data sets than those it was made for."""
    taught = known or candidate.get("weights") or not is_clip(model_name(candidate))
    return "" if taught else CLIP_NOTE


def load_towers(candidate: CandidateSpec) -> Towers:
    """Both towers of the mini CLIP."""
    from swsa_core.mini.clip import load_clip

    weights = weights_of(candidate)
    return Towers(*load_clip(weights), weights)


def most_words(candidate: CandidateSpec) -> int:
    """Words that a text has at most: each is one token, with two for beginning and end."""
    made_of = json.loads((MINI_WEIGHTS / f"{model_name(candidate)}.json").read_text(encoding="utf-8"))
    return made_of["config"]["text_cfg"]["context_length"] - 2


FAMILY = Family(
    title="small networks that are bundled, trained on drawn letters and digits",
    licence="code and weights Apache-2.0, as the rest of this repository; trained on images that it draws itself",
    licence_of=lambda candidate: "Apache-2.0",
    packages=packages,
    check=check,
    load=load,
    blank=load,  # small, and no download
    files=lambda candidate: [weights_of(candidate)],
    note=note,
    texts=Texts(
        form=" or ".join(f"mini:{model}" for model in CLIP_MODELS),
        has=is_clip,
        tagged=False,
        load=load_towers,
        most_words=most_words,
        check_prompts=check_prompts,
    ),
)
