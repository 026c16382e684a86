"""What a family of candidates is: every fact that the rest of the project asks of it, and what it loads.

A family is a module of this package that ends in `FAMILY = Family(...)`; it imports torch and its library inside functions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.candidates.maps import Look
from swsa_core.candidates.transforms import Transform
from swsa_core.files.images import Fit
from swsa_core.files.packaged import is_packaged, packaged_file

# A file that is never read: with a file named, no library downloads weights.
UNREAD = "none"
# Licences that are none: of a model without weights, and where nobody says.
NO_WEIGHTS, NOT_STATED = "no weights", "not stated"


class CandidateSpec(TypedDict):
    """A candidate as the validated config has it, or the CLIP model as `section.clip_backbone` gives it.

    model: family:model. weights: a file, or package:<package>. optional: whether a study goes without it where those are not
    here; of a study's candidates it is left out. licence: what is declared of that file. Keys that are None or
    left out keep the library's own. section: the config key that errors name, where it is not candidates.<name>. fit: left
    out where the library's own transform stays. code_sha256: of the user's own code, in what is tracked.
    """

    name: str
    model: str
    weights: NotRequired[str | None]
    optional: NotRequired[bool]
    licence: NotRequired[str]
    args: NotRequired[dict[str, str | int | float | bool | None]]
    mean: NotRequired[list[float] | None]
    std: NotRequired[list[float] | None]
    resize: NotRequired[int | None]
    crop: NotRequired[int | None]
    interpolation: NotRequired[str | None]
    head: NotRequired[str | None]
    layers: NotRequired[list[int] | None]
    fit: NotRequired[Fit]
    section: NotRequired[str]
    known_bad: NotRequired[bool]
    exposure: NotRequired[dict[str, Any]]
    code_sha256: NotRequired[str]


@dataclass(frozen=True)
class Network:
    """A torch module whose `forward`, (n, 3, h, w) to (n, d), gives features: the penultimate layer, before the head.

    transform: the library's own for these weights.
    weights: file still to be loaded, or None.
    head: beginnings of the names of parameters that have no part in the features.
    look: gives the features and, of the same pass, maps of its stages; None where the network has no function for it, so that
    hooks on its parts serve (`swsa_core.candidates.maps`).
    convert: makes {name: tensor} of the module out of a file's, as the library does with its own weights; it is called where
    the file does not fit as it is, and raises where it does not fit at all.
    """

    module: Any
    forward: Callable[[Any], Any]
    transform: Transform
    weights: str | Path | None
    head: tuple[str, ...] = ()
    look: Look | None = None
    convert: Callable[[dict[str, Any]], dict[str, Any]] | None = None


@dataclass(frozen=True)
class Description:
    """A descriptor as a transform: prepares the image and describes it, (H, W, 3) uint8 to (d,) float32.

    describe: a function of a module, so that processes can be handed it; args: what it takes beside the image.
    """

    prepare: Transform
    name: str
    describe: Callable[..., np.ndarray]
    args: dict[str, Any]

    def __call__(self, image: np.ndarray) -> np.ndarray:
        return self.describe(self.prepare(image), **self.args)

    def __str__(self) -> str:
        return ", ".join([self.prepare.geometry, self.name, *(f"{key} {value}" for key, value in self.args.items())])


@dataclass(frozen=True)
class Function:
    """A function of n images (n, crop, crop, 3) uint8, as `prepare` makes them, to features (n, d) float32.

    digest: SHA-256 of the file that it stands in.
    """

    prepare: Transform
    features: Callable[[np.ndarray], np.ndarray]
    digest: str


@dataclass(frozen=True)
class Towers:
    """Both towers of a CLIP model.

    module: open_clip's; tokenize: n texts to token ids (n, context length), with an InputError for a text that is too
    long; weights: the file that they were loaded from, or None.
    """

    module: Any
    tokenize: Callable[[list[str]], Any]
    weights: str | Path | None


def any_words(texts: dict[str, list[str]], key: str | None) -> None:
    """Accept all words of prompts, as a tokenizer does that spells the words it does not know."""


@dataclass(frozen=True)
class Texts:
    """What there is to know of a family whose models read texts too, and can be the model of the section `clip`."""

    form: str
    """How the config names its CLIP models, for messages."""
    has: Callable[[str], bool]
    """Whether a model, without the family, may be one of them."""
    tagged: bool
    """Whether `clip.weights` can be, and where no file is given must be, a pretrained tag of the library."""
    load: Callable[[CandidateSpec], Towers]
    """Both towers of a model on the CPU in float32."""
    most_words: Callable[[CandidateSpec], int | None]
    """Words that a text has at most, None where that is not known before the model is loaded; needs no torch."""
    check_prompts: Callable[[dict[str, list[str]], str | None], None] = any_words
    """Raises InputError for words that its models do not know, of {class name: texts about it}; needs no torch. The second
    argument is the config key that sets the class name, where there is one."""


def no_files(candidate: CandidateSpec) -> list[str]:
    """The files of a model that is code alone."""
    return []


def unstated(candidate: CandidateSpec) -> str:
    """The licence of a model about whose weights its library says nothing."""
    return NOT_STATED


def always(candidate: CandidateSpec) -> bool:
    """Of a model that nothing has to be downloaded for."""
    return True


def no_code(candidate: CandidateSpec) -> str:
    """The digest of a model that is none of the user's code."""
    return ""


def no_note(candidate: CandidateSpec, known: bool) -> str:
    """The note of a model about which there is nothing to know."""
    return ""


@dataclass(frozen=True)
class Family:
    """A family of candidates: all facts about `family:model` that another module asks for."""

    title: str
    """What its models are, for readers."""
    licence: str
    """What is known of the licences of code and weights."""
    packages: Callable[[CandidateSpec], tuple[str, ...]]
    """Packages, as installers name them, whose versions matter for the features, beside NumPy and Pillow."""
    check: Callable[[CandidateSpec], None]
    """Raises InputError for a model, weights or args that cannot work, as far as that shows without torch or a download."""
    load: Callable[[CandidateSpec], Network | Description | Function]
    """The model, whose weights `load_weights` still reads where they are a file. Raises InputError for names and args."""
    blank: Callable[[CandidateSpec], Network] | None
    """The network without a download, to count on shapes what it costs: on the meta device, or small and on the CPU. None
    where there is no network."""
    licence_of: Callable[[CandidateSpec], str] = unstated
    """The licence of a model's own weights as its library names it, "no weights", or "not stated"; needs no torch."""
    files: Callable[[CandidateSpec], list[str]] = no_files
    """Paths of the weights, and of whatever else the model is made of, that are on disk and not in a library's cache."""
    code: Callable[[CandidateSpec], str] = no_code
    """SHA-256 of the user's own code that computes the features, which is tracked; "" where there is none. Such code is run
    only where it is trusted: in a study, by its config, not in a detector that comes from elsewhere."""
    prefetched: bool = False
    """Whether its library downloads weights by itself, which `snakemake weights` does beforehand."""
    cached: Callable[[CandidateSpec], bool] = always
    """Whether the weights that its library downloads are in its cache; needs no torch."""
    gpu: bool = True
    """Whether it embeds images on a GPU where there is one."""
    note: Callable[[CandidateSpec, bool], str] = no_note
    """What a reader must know wherever a model's results on a data set stand, or ""; the second argument says whether the data
    set shows what the bundled models were trained on (`Kind.mini_clip`)."""
    known_bad: tuple[str, ...] = ()
    """Models that are no good detectors, so that anomalies by which they win mislead."""
    texts: Texts | None = None
    """How its models read texts, where they are CLIP models."""

    @property
    def runs_code(self) -> bool:
        """Whether its models are code of the user's own."""
        return self.code is not no_code


def code_of(candidate: CandidateSpec, family: Family) -> dict[str, str]:
    """{"code_sha256": digest} of a candidate that runs code of the user's own, {} of others."""
    digest = family.code(candidate)
    return {"code_sha256": digest} if digest else {}


def model_name(candidate: CandidateSpec) -> str:
    """The model of `family:model`.

    >>> model_name({"name": "x", "model": "open_clip:local-dir:here"})
    'local-dir:here'
    """
    return candidate["model"].partition(":")[2]


# Arguments of libraries that let pickles run code, or name files which the key `weights` checks.
UNSAFE = ("weights_only", "checkpoint_path", "pretrained_image_path", "pretrained_text_path")
PLAIN_VALUES = (str, int, float, bool, type(None))


def args_of(candidate: CandidateSpec) -> dict[str, Any]:
    """A copy of a candidate's `args`. Raises InputError for those by which a library would run code that a file holds."""
    args = dict(candidate.get("args") or {})
    if named := [name for name, value in args.items() if name in UNSAFE or not isinstance(value, PLAIN_VALUES)]:
        raise InputError(f"args.{named[0]} of {candidate['model']} is not taken: name a file of weights by `weights`")
    return args


def check_weights(candidate: CandidateSpec) -> None:
    """Raise InputError when a candidate's weights file is not there, or can hold no weights."""
    weights = weights_file(candidate)
    if not weights:
        return
    path = Path(weights)
    if path.is_dir():
        raise InputError(f"the weights file {str(weights)!r} is a directory: name the file in it")
    if not path.is_file():
        raise InputError(
            f"the weights file {str(weights)!r} is not there: correct the path `weights`, or copy the file there"
        )
    if not path.stat().st_size:
        raise InputError(f"the weights file {str(weights)!r} is empty, it has 0 bytes: fetch it again")


def weights_file(candidate: CandidateSpec) -> str | None:
    """Path of the weights that a candidate names, a file or a package that holds one; None for the library's own."""
    weights = candidate.get("weights")
    return str(packaged_file(weights)) if weights and is_packaged(weights) else weights


def given_files(candidate: CandidateSpec) -> list[str]:
    """The weights file that a candidate names, and what is in the folder of a model local-dir:<folder>.

    A file in a package is none of them: it is installed as libraries are, and a new installation computes nothing again.
    """
    source, _, folder = model_name(candidate).partition(":")
    found = sorted(Path(folder).glob("[!.]*")) if source == "local-dir" else []
    weights = candidate.get("weights")
    return ([str(weights)] if weights and not is_packaged(weights) else []) + [
        str(path) for path in found if path.is_file()
    ]


def as_given(make: Callable[[str, str | None, dict[str, Any]], Network], candidate: CandidateSpec) -> Network:
    """What `make`, of (model, weights, args), makes of a candidate."""
    return make(model_name(candidate), weights_file(candidate), args_of(candidate))


def on_meta(
    make: Callable[[str, str | None, dict[str, Any]], Network], candidate: CandidateSpec, **args: Any
) -> Network:
    """What `make`, of (model, weights, args), makes on the meta device: shapes alone, and nothing is downloaded."""
    import torch

    with torch.device("meta"):
        return make(model_name(candidate), candidate.get("weights") or UNREAD, args_of(candidate) | args)
