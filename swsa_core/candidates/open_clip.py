"""Family open_clip: the image tower of a CLIP model, args: {pretrained: <tag>}; and both towers, for prompts."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean
from swsa_core.candidates.caches import in_hugging_face_cache
from swsa_core.candidates.catalogue import catalogue
from swsa_core.candidates.family import (
    CandidateSpec,
    Family,
    Network,
    Texts,
    Towers,
    args_of,
    as_given,
    check_weights,
    given_files,
    model_name,
    on_meta,
    weights_file,
)
from swsa_core.candidates.transforms import Transform
from swsa_core.files.weights import load_weights

# Of weights, as open_clip looks for them on the hub.
FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def listed() -> dict[str, Any]:
    """{model: {"config": how it is built, "tags": {pretrained tag: its weights and images}}}, by open_clip's own listing."""
    import open_clip

    return {
        model: {"config": open_clip.get_model_config(model), "tags": tags_of(model)}
        for model in open_clip.list_models()
    }


def tags_of(model: str) -> dict[str, dict]:
    """{pretrained tag of a model: what open_clip says of those weights and the images they want}."""
    import open_clip

    return {tag: open_clip.get_pretrained_cfg(model, tag) for tag in open_clip.list_pretrained_tags_by_model(model)}


def check(candidate: CandidateSpec) -> None:
    """Raise InputError for a model and weights that cannot work, or that open_clip would misuse in silence."""
    check_weights(candidate)
    _check_folder(model_name(candidate))
    model, known = model_name(candidate), catalogue("open_clip_torch", listed)
    if ":" in model or known is None:  # with a colon: on the Hugging Face hub, or in a folder
        return
    if model not in known:
        raise InputError(f"open_clip has no model {model!r}: {did_you_mean(model, known)}")
    config, tags = known[model]["config"], known[model]["tags"]
    text, for_text = config["text_cfg"], bool(candidate.get("section"))
    if (text.get("hf_model_name") or (for_text and text.get("hf_tokenizer_name"))) and not find_spec("transformers"):
        raise InputError(
            f"the text tower of {model} needs the package `transformers`, which is not installed: install it, or take another "
            "model, such as ViT-B-16-plus-240"
        )
    check_tag(model, candidate.get("weights"), args_of(candidate).get("pretrained"), config, tags)


def _check_folder(model: str) -> None:
    """Raise InputError for a folder whose config would have its own code executed, by the tokenizer's library."""
    source, _, folder = model.partition(":")
    path = Path(folder) / "open_clip_config.json"
    if source == "local-dir" and path.is_file() and "trust_remote_code" in path.read_text("utf-8", errors="replace"):
        raise InputError(
            f"{path} asks for trust_remote_code, which would execute code out of the folder: remove it there"
        )


def check_tag(model: str, weights: str | None, tag: str | None, config: dict, tags: dict[str, dict]) -> None:
    """Raise InputError for weights that an open_clip model lacks, or that open_clip would misuse in silence.

    weights: file or None; tag: pretrained tag or None; config, tags: of the model, as in `listed`.
    """
    if tag in tags:
        wanted = bool(tags[tag].get("quick_gelu", False))
        if wanted != bool(config.get("quick_gelu", False)):  # open_clip would only warn
            other = f"{model}-quickgelu" if wanted else model.removesuffix("-quickgelu")
            raise InputError(f"the weights {tag!r} were trained with another activation than {model} has: take {other}")
    elif weights and tag is None:
        if len({str(sorted(preparation(images).items())) for images in tags.values()}) > 1:
            raise InputError(
                f"the pretrained tags of {model} want images prepared in different ways: say which one the weights file is a "
                f"copy of, by args.pretrained of a candidate or `tag` of `clip`; {', '.join(tags)}"
            )
    elif not tags:
        raise InputError(f"open_clip has no pretrained weights of {model}: give a file of weights, and no tag")
    elif tag is None:
        raise InputError(f"{model} needs args.pretrained, a pretrained tag of open_clip: one of {', '.join(tags)}")
    else:
        raise InputError(
            f"{model} has no pretrained tag {tag!r} (args.pretrained of a candidate, weights or tag of `clip`, where a file is "
            f"given with a /, as ./{tag}): {did_you_mean(tag, tags)}"
        )


def preparation(images: dict) -> dict:
    """What a pretrained tag says of the images it wants, as far as it says it."""
    keys = ("mean", "std", "interpolation", "resize_mode")
    return {key: images[key] for key in keys if images.get(key) is not None}


def network(model: str, weights: str | None, args: dict[str, Any]) -> Network:
    """The image tower of a model. Without a file of weights open_clip downloads those of args["pretrained"]."""
    import open_clip

    clip = create(model, weights, args)
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
        fit="squash" if config["resize_mode"] == "squash" else "crop",
    )

    def forward(images):
        features = clip.visual(images)
        return features[0] if isinstance(features, tuple) else features

    return Network(clip.visual, forward, transform, weights)


def create(model: str, weights: str | None, args: dict[str, Any]) -> Any:
    """open_clip's module of both towers; a file of weights is still to be loaded."""
    import open_clip

    if not args.pop("load_weights", True):
        raise InputError("args.load_weights is false, so that the network would have random weights: remove it")
    tag, tags = args.pop("pretrained", None), tags_of(model)
    if ":" not in model:
        if model not in open_clip.list_models():
            raise InputError(f"open_clip has no model {model!r}: {did_you_mean(model, open_clip.list_models())}")
        check_tag(model, weights, tag, open_clip.get_model_config(model), tags)
    if weights and tag:  # the images as that tag wants them, the weights from the file
        args["force_preprocess_cfg"] = preparation(tags.get(tag, {}))
    return open_clip.create_model(model, pretrained=None if weights else tag, pretrained_text=False, **args)


def blank(candidate: CandidateSpec) -> Network:
    """The image tower of a candidate on the meta device."""
    with _quiet():
        return on_meta(network, candidate, device="meta")


@contextmanager
def _quiet() -> Iterator[None]:
    """A block without open_clip's warning that there are no weights."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def load_towers(candidate: CandidateSpec) -> Towers:
    """Both towers, with a tokenizer that refuses texts which open_clip's would cut."""
    import open_clip

    model, weights = model_name(candidate), weights_file(candidate)
    module = create(model, weights, args_of(candidate))
    if weights:
        load_weights(module, weights)
    return Towers(module, without_cutting(open_clip.get_tokenizer(model)), weights)


def without_cutting(tokenizer: Callable) -> Callable[[list[str]], Any]:
    """`tokenizer`, an open_clip one, with an InputError for a text that it would cut at its context length."""
    n_tokens = _counter(tokenizer)

    def tokenize(texts):
        for text in texts:
            if (n := n_tokens(text)) > tokenizer.context_length:
                raise InputError(
                    f"clip: the text {text!r} has {n} tokens, the model takes at most {tokenizer.context_length}: shorten it"
                )
        return tokenizer(texts)

    return tokenize


def _counter(tokenizer: Any) -> Callable[[str], int]:
    """Function from a text to the number of its tokens, with those of its beginning and end."""
    from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

    if isinstance(tokenizer, SimpleTokenizer):
        return lambda text: len(tokenizer.encode(text)) + 2
    if isinstance(tokenizer, HFTokenizer) and not tokenizer.tokenizer_mode:
        return lambda text: len(tokenizer.tokenizer(tokenizer.clean_fn(text)).input_ids)
    raise InputError(
        f"the model has the tokenizer {type(tokenizer).__name__}, which would cut long texts in silence: take another model"
    )


def most_words(candidate: CandidateSpec) -> int | None:
    """Words that a text has at most: each is one token or more, with two for beginning and end.

    None where it is not known: of models elsewhere, and of other tokenizers than CLIP's.
    """
    known = (catalogue("open_clip_torch", listed) or {}).get(model_name(candidate))
    if known is None or known["config"]["text_cfg"].get("hf_tokenizer_name"):
        return None
    return known["config"]["text_cfg"].get("context_length", 77) - 2


def cached(candidate: CandidateSpec) -> bool:
    """Whether open_clip has downloaded the weights of a model's tag."""
    source, _, model = model_name(candidate).rpartition(":")
    if source:
        return source == "local-dir" or in_hugging_face_cache(model, FILES)
    tags = (catalogue("open_clip_torch", listed) or {}).get(model, {"tags": {}})["tags"]
    owner, _, rest = tags.get(args_of(candidate).get("pretrained"), {}).get("hf_hub", "").partition("/")
    name, _, file = rest.partition("/")
    return bool(name) and in_hugging_face_cache(f"{owner}/{name}", [file] if file else FILES)


FAMILY = Family(
    title="image towers of open_clip's CLIP models",
    licence=(
        "code MIT; weights have licences of their own, which the model's page on the Hugging Face hub names: MIT of OpenAI's "
        "and most of LAION's, research only of some others"
    ),
    packages=lambda candidate: ("torch", "open_clip_torch", "timm", "torchvision"),
    check=check,
    load=partial(as_given, network),
    blank=blank,
    files=given_files,
    prefetched=True,
    cached=cached,
    texts=Texts(form="open_clip:<model>", has=bool, tagged=True, load=load_towers, most_words=most_words),
)
