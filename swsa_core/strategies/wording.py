"""Names of the config as they are written for people, those of strategies and sources among them."""

from swsa_core.anomalies import SOURCES
from swsa_core.basics import wording
from swsa_core.strategies import STRATEGIES, split


def words(name: str) -> str:
    """A name of the config, of a strategy or source or any other, as it is written for people.

    >>> words("swsa_cutpaste"), words("one_vs_rest"), words("leave_one_out"), words("fixed_best_tiny_imagenet")
    ('SWSA with CutPaste', 'one-vs-rest', 'leave one out', 'fixed best by Tiny-ImageNet')
    """
    if found := split(name):
        entry, source = found
        return STRATEGIES[entry].title.format(words(source))
    return SOURCES[name].title if name in SOURCES else wording.words(name)
