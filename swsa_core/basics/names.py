"""Names in paths: safe, unique slugs of names that may hold spaces, quotes, brackets or unicode."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches
from hashlib import sha256

SLUG = r"[A-Za-z0-9._-]+"
LONGEST = 80  # letters of a text that a path holds, or that is compared with known names
MOST_NAMES = 10  # that a message lists of those that are known


def slug(name: str) -> str:
    """`name` with each run of characters outside [A-Za-z0-9._-] replaced by "-".

    >>> slug("hard-leaved pocket orchid")
    'hard-leaved-pocket-orchid'
    """
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    # "." and ".." are directories, and a leading dot hides the file.
    return "_" + cleaned if cleaned.startswith(".") else cleaned or "-"


def unique_slugs(names: Iterable[str]) -> dict[str, str]:
    """{slug: original name}, in order. Names whose slugs collide, letter case ignored, get six hex digits of their SHA-256.

    The digits go to every member of the collision, so that a slug does not depend on the order of the names.
    >>> list(unique_slugs(["a b", "c"]))
    ['a-b', 'c']
    """
    names = list(names)
    taken: dict[str, list[str]] = {}
    for name in names:
        taken.setdefault(slug(name).lower(), []).append(name)
    result = {}
    for name in names:
        path_name = slug(name)
        if len(set(taken[path_name.lower()])) > 1:
            path_name += "-" + sha256(name.encode()).hexdigest()[:6]
        result[path_name] = name
    return result


def text_slugs(texts: Iterable[str]) -> dict[str, str]:
    """{slug: text} like `unique_slugs`, for texts that may be longer than a file's name.

    >>> list(text_slugs(["a red bird", "x" * 90]))[0]
    'a-red-bird'
    """
    named = {
        text if len(text) <= LONGEST else f"{text[:LONGEST]}-{sha256(text.encode()).hexdigest()[:6]}": text
        for text in texts
    }
    return {path_name: named[name] for path_name, name in unique_slugs(named).items()}


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """The part of an error message that names near matches, or what is known when none is near.

    Of many known names, those nearest to `name` are listed, with the number of the rest.
    >>> did_you_mean("resnet19", ["resnet18", "vgg11"]), did_you_mean("x", ["resnet18", "vgg11"])
    ("did you mean 'resnet18'?", 'known: resnet18, vgg11')
    >>> did_you_mean("x", range(1300))[-16:]
    '… and 1,290 more'
    """
    name, known = (name[:LONGEST] if isinstance(name, str) else ""), sorted(map(str, known))
    if near := get_close_matches(name, known, n=3, cutoff=0.6):
        return f"did you mean {' or '.join(map(repr, near))}?"
    if len(known) <= MOST_NAMES:
        return f"known: {', '.join(known)}"
    nearest = sorted(known, key=lambda one: SequenceMatcher(None, one, name).ratio(), reverse=True)[:MOST_NAMES]
    return f"known: {', '.join(nearest)}, … and {len(known) - MOST_NAMES:,} more"
