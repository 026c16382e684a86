"""Models and pretrained weights that torchvision, timm and open_clip have, read from their files.

Importing these libraries, and torch with them, takes seconds; their files tell in milliseconds whether a config's names
exist. Of a library that is not installed, or whose files are built in another way, nothing is known here, and no name is
refused: then the library does it when it loads the model.
"""

import __future__

import ast
import copy
import json
import re
import runpy
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean

REGISTERED = re.compile(r"^@register_model(?:\(.*\))?\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)


def check_torchvision(model):
    """Raise InputError unless torchvision has a classification model of this name."""
    known = registered("torchvision")
    if known and model not in known:
        raise InputError(f"torchvision has no classification model {model!r}: {did_you_mean(model, known)}")


def check_timm(model):
    """Raise InputError unless timm has a model `architecture` or `architecture.tag`, its old names included."""
    if ":" in model or not (texts := sources("timm")):  # with a colon: on the Hugging Face hub, or in a folder
        return
    architecture, _, tag = model.partition(".")
    if not any(f"def {architecture}(" in text or f"'{architecture}'" in text for text in texts):
        raise InputError(f"timm has no model {model!r}: {did_you_mean(architecture, registered('timm'))}")
    if not any(tag in text for text in texts):  # some tags are composed, so that the whole name stands nowhere
        known = {name for text in texts for name in re.findall(rf"'({re.escape(architecture)}\.\w+)'", text)}
        raise InputError(f"timm has no weights {tag!r} of {architecture}: {did_you_mean(model, known)}")


def check_open_clip(model, weights, tag, for_text):
    """Raise InputError for names of an open_clip model and its weights that cannot work.

    weights: file or None; tag: pretrained tag or None; for_text: whether the text tower is used too.
    """
    configs = open_clip_configs()
    if ":" in model or not configs:
        return
    if model not in configs:
        raise InputError(f"open_clip has no model {model!r}: {did_you_mean(model, configs)}")
    config = open_clip_config(model)
    text = config["text_cfg"]
    if (text.get("hf_model_name") or (for_text and text.get("hf_tokenizer_name"))) and not find_spec("transformers"):
        raise InputError(
            f"the text tower of {model} needs the package `transformers`, which is not installed: install it, or take another "
            "model, such as ViT-B-16-plus-240"
        )
    pretrained = open_clip_pretrained()
    if pretrained is not None:
        check_open_clip_weights(model, weights, tag, config, pretrained.get(model, {}))


def check_open_clip_weights(model, weights, tag, config, tags):
    """Raise InputError for weights that an open_clip model lacks, or that open_clip would misuse in silence.

    config: what open_clip says of the model; tags: {pretrained tag: what open_clip says of those weights and their images}.
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
        raise InputError(f"{model} needs args.pretrained, a pretrained tag of open_clip: {did_you_mean(tag, tags)}")
    else:
        raise InputError(
            f"{model} has no pretrained tag {tag!r} (args.pretrained of a candidate, weights or tag of `clip`, where a file is "
            f"given with a /, as ./{tag}): {did_you_mean(tag, tags)}"
        )


def preparation(images):
    """What a pretrained tag of open_clip says of the images it wants, as far as it says it."""
    keys = ("mean", "std", "interpolation", "resize_mode")
    return {key: images[key] for key in keys if images.get(key) is not None}


def open_clip_most_words(model):
    """Words that a text of an open_clip model has at most: each is one token or more, with two for beginning and end.

    None where it is not known: of models elsewhere, and of other tokenizers than CLIP's.
    """
    if model not in open_clip_configs():
        return None
    text = open_clip_config(model)["text_cfg"]
    return None if text.get("hf_tokenizer_name") else text.get("context_length", 77) - 2


@cache
def open_clip_configs():
    """{open_clip model: file that describes it}."""
    folder = _folder("open_clip")
    return {path.stem: path for path in folder.glob("model_configs/*.json")} if folder else {}


def open_clip_config(model):
    """open_clip's description of a model."""
    return json.loads(open_clip_configs()[model].read_text(encoding="utf-8"))


@cache
def open_clip_pretrained():
    """{open_clip model: {pretrained tag: what it says of weights and images}}; None where the file is built in another way.

    Runs open_clip's pretrained.py without its imports, which would bring torch; its functions are defined, none is run but
    those that fill the tables.
    """
    try:
        path = _folder("open_clip") / "pretrained.py"
        tree = ast.parse(path.read_text(encoding="utf-8"))
        tree.body = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom | ast.Try)]
        names = runpy.run_path(path.with_name("constants.py")) | {"copy": copy}
        exec(compile(tree, path, "exec", flags=__future__.annotations.compiler_flag), names)
        return {model: dict(tags) for model, tags in names["_PRETRAINED"].items()}
    except Exception:  # whatever another version of open_clip needs there
        return None


@cache
def registered(library):
    """Names of the models that torchvision or timm register."""
    return sorted({name for text in sources(library) for name in REGISTERED.findall(text)})


@cache
def sources(library):
    """Texts of the modules in a library's folder `models`."""
    folder = _folder(library)
    return [path.read_bytes().decode() for path in sorted(folder.glob("models/*.py"))] if folder else []


def _folder(library):
    """Directory of an installed package, which is not imported; None where it is not installed."""
    spec = find_spec(library)
    return Path(spec.origin).parent if spec and spec.origin else None
