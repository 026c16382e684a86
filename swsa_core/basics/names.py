"""Names in paths: safe, unique slugs of names that may hold spaces, quotes, brackets or unicode."""

import re
from difflib import get_close_matches
from hashlib import sha256

SLUG = r"[A-Za-z0-9._-]+"


def slug(name):
    """`name` with each run of characters outside [A-Za-z0-9._-] replaced by "-".

    >>> slug("hard-leaved pocket orchid")
    'hard-leaved-pocket-orchid'
    """
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    # "." and ".." are directories, and a leading dot hides the file.
    return "_" + cleaned if cleaned.startswith(".") else cleaned or "-"


def unique_slugs(names):
    """{slug: original name}, in order. Names whose slugs collide, letter case ignored, get six hex digits of their SHA-256.

    The digits go to every member of the collision, so that a slug does not depend on the order of the names.
    >>> list(unique_slugs(["a b", "c"]))
    ['a-b', 'c']
    """
    names = list(names)
    taken = {}
    for name in names:
        taken.setdefault(slug(name).lower(), []).append(name)
    result = {}
    for name in names:
        path_name = slug(name)
        if len(set(taken[path_name.lower()])) > 1:
            path_name += "-" + sha256(name.encode()).hexdigest()[:6]
        result[path_name] = name
    return result


def did_you_mean(name, known):
    """The part of an error message that names near matches, or all `known` names when none is near."""
    known = sorted(map(str, known))
    near = get_close_matches(str(name), known, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else f"known: {', '.join(known)}"
