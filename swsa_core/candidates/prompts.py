"""Prompts of zero-shot CLIP: pairs of templates, [normal, anomalous], in which the class name takes the place of {}.

templates/<set>.csv are the bundled sets: flowers and cub of the paper's App. A, industrial its "with defect" for products,
industrial_something the pairs of the earlier version's A.4, general for classes of any kind, digits for the embedded
example. The first pair of a set is its default prompt.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from swsa_core.basics.errors import InputError
from swsa_core.basics.names import did_you_mean
from swsa_core.basics.wording import shown

Templates = Sequence[Sequence[str]]
"""Pairs [normal, anomalous]."""
HEADER = ["normal", "anomalous"]
FOLDER = Path(__file__).parent / "templates"
SETS = tuple(sorted(path.stem for path in FOLDER.glob("*.csv")))
PAPER = "paper"  # stands for the set that suits the kind of the data set
ENSEMBLE = "prompt_ensemble"  # in place of a prompt's name


def resolve(templates: str | list[list[str]], prompt_set: str) -> list[list[str]]:
    """The pairs that a config value stands for: PAPER (the bundled set `prompt_set`), the name of a set, or pairs already."""
    if isinstance(templates, str):
        return read_set(prompt_set if templates == PAPER else templates)
    return [list(pair) for pair in templates]


def read_set(name: str) -> list[list[str]]:
    """The pairs of a bundled set. Raises InputError, with the file's path, when they are not what `check_templates` takes."""
    path = FOLDER / f"{name}.csv"
    try:
        with open(path, encoding="utf-8", newline="") as file:
            header, *pairs = [row for row in csv.reader(file) if row] or [[]]
        if header != HEADER:
            raise ValueError(f"the first line is {','.join(header)!r}; expected {','.join(HEADER)!r}")
        check_templates(pairs)
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}: {error}") from None
    return pairs


def prompt_names(templates: Templates) -> list[str]:
    """A prompt's name in tables: its normal template; with the anomalous one where other pairs have the same normal one.

    >>> prompt_names([["a {}", "no {}"], ["the {}", "some bird"], ["the {}", "no bird"]])
    ['a {}', 'the {} / some bird', 'the {} / no bird']
    """
    counts = Counter(normal for normal, _ in templates)
    return [normal if counts[normal] == 1 else f"{normal} / {anomalous}" for normal, anomalous in templates]


def prompts(templates: Templates, class_name: str) -> list[list[str]]:
    """The pairs of texts for one class.

    >>> prompts([["a photo of a {} bird", "a photo of some bird"]], "red cardinal")
    [['a photo of a red cardinal bird', 'a photo of some bird']]
    """
    return [[template.replace("{}", class_name) for template in pair] for pair in templates]


def texts_of_classes(templates: Templates, class_names: Iterable[str]) -> dict[str, list[str]]:
    """{class name: the texts of all its prompts}."""
    return {name: [text for pair in prompts(templates, name) for text in pair] for name in class_names}


def check_templates(value: object) -> None:
    """Raise ValueError, with a sentence, unless `value` is what `resolve` takes."""
    if isinstance(value, str):
        if value not in (PAPER, *SETS):
            raise ValueError(
                f"received {shown(value)}; there is no such bundled set, {did_you_mean(value, (PAPER, *SETS))}"
            )
        for name in SETS if value == PAPER else [value]:
            read_set(name)
        return
    if not isinstance(value, list | tuple):
        raise ValueError(
            f"received {shown(value)}; expected {PAPER!r}, a bundled set ({', '.join(SETS)}) or a list of pairs "
            "[normal, anomalous]"
        )
    if not value:
        raise ValueError("received an empty list; expected at least one pair [normal, anomalous]")
    for number, pair in enumerate(value, 1):
        _check_pair(number, pair)
    pairs = [[as_read(template) for template in pair] for pair in value]
    for number, pair in enumerate(pairs, 1):
        if (first := pairs.index(pair) + 1) < number:
            raise ValueError(f"pairs {first} and {number} are both {pair} as CLIP reads them: remove one of them")


def as_read(text: str) -> str:
    """A text as CLIP reads it: in lower case, and any white space as one space.

    >>> as_read(" A photo  of a {}")
    'a photo of a {}'
    """
    return " ".join(text.split()).lower()


def check_texts(templates: Templates, class_names: Iterable[str], most_words: int | None = None) -> None:
    """Raise InputError when a class makes one text of both sides of a pair, or a text that has more than `most_words` words.

    A text has at least as many tokens as words: how many, and whether they fit, only the model's tokenizer tells.
    """
    for class_name in class_names:
        for pair, texts in zip(templates, prompts(templates, class_name), strict=True):
            if as_read(texts[0]) == as_read(texts[1]):
                raise InputError(
                    f"templates: of the pair {pair} the class name {class_name!r} makes the same text twice, {texts[0]!r}: "
                    "change one of the two"
                )
            for text in texts:
                if most_words is not None and (n := len(text.split())) > most_words:
                    raise InputError(
                        f"templates: the text {text!r} has {n} words, the CLIP model takes at most {most_words}: shorten it"
                    )


def _check_pair(number, pair):
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise ValueError(f"pair {number} is {shown(pair)}; expected two templates, [normal, anomalous]")
    for side, template in zip(("normal", "anomalous"), pair, strict=True):
        if not isinstance(template, str) or not template.strip():
            raise ValueError(f"pair {number} has the {side} template {shown(template)}; expected a text")
        if "{" in template.replace("{}", "") or "}" in template.replace("{}", ""):
            raise ValueError(
                f"pair {number} has the {side} template {template!r}; the only braces that it may hold are {{}}"
            )
        n_places = template.count("{}")
        if n_places > 1 or (n_places == 0 and side == "normal"):
            raise ValueError(
                f"pair {number} has the {side} template {template!r} with {{}} {n_places} times; expected once, where the "
                "class name goes"
            )
    if as_read(pair[0]) == as_read(pair[1]):
        raise ValueError(
            f"pair {number} has twice the template {pair[0]!r}; expected two different ones, beyond letter case and spaces"
        )
