"""The words that the mini CLIP knows, clip_words.txt; read without torch, to check prompts before anything is computed."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean
from swsa_core.files.weights import BUNDLED

# As CLIP's tokenizer splits lower-case text: contractions, letters, single digits, the rest.
PARTS = re.compile(r"'(?:s|t|re|ve|m|ll|d)|[^\W\d_]+|\d|[^\s\w]+|_+")


@cache
def words() -> frozenset[str]:
    """The words of clip_words.txt."""
    lines = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def check_words(text: str, parts: Iterable[str], class_name: str = "", key: str | None = None) -> None:
    """Raise InputError for the first of `parts` of a text that is no known word.

    key: config key that sets the class name in the text, where there is one; told when the word is the class name's.
    """
    if unknown := [part for part in parts if part not in words()]:
        advice = did_you_mean(unknown[0], words())  # without a near match it would list all words
        where = f" in {key}, the class name in prompts" if key and unknown[0] in _parts(class_name) else ""
        raise InputError(
            f"{BUNDLED}clip does not know the word {unknown[0]!r} of {text!r}: "
            f"{f'{advice} ' if advice.startswith('did you mean') else ''}use one of the {len(words())} words of "
            f"swsa_core/mini/clip_words.txt{where}, or an open_clip model"
        )


def check_prompts(texts: Mapping[str, Iterable[str]], key: str | None = None) -> None:
    """Raise InputError when some text holds a word that the mini CLIP does not know.

    texts: {class name: texts about it}; key: see `check_words`.
    """
    for name, of_class in texts.items():
        for text in of_class:
            check_words(text, _parts(text), name, key)


def _parts(text):
    return PARTS.findall(text.lower())
