"""Names and numbers as they are written for people."""

import math


def words(name):
    """A name of the config as it is written for people.

    >>> words("swsa_cutpaste"), words("one_vs_rest"), words("leave_one_out"), words("fixed_best_tiny_imagenet")
    ('SWSA with CutPaste', 'one-vs-rest', 'leave one out', 'fixed best by Tiny-ImageNet')
    """
    known = {
        "random": "random pick (expected)",
        "best": "best possible",
        "cutpaste": "CutPaste",
        "tiny_imagenet": "Tiny-ImageNet",
        "swsa_combined": "SWSA with all sources",
        "hits": "HITS",
        "hits_anomalous": "HITS, anomalous first",
        "xie_beni": "Xie-Beni",
    }
    if name not in known:
        for beginning, written in (("swsa_", "SWSA with"), ("fixed_best_", "fixed best by")):
            if name.startswith(beginning):
                return f"{written} {words(name.removeprefix(beginning))}"
    return known.get(name) or name.replace("_", "-" if "_vs_" in name else " ")


def chance(value):
    """A probability from a bootstrap, never rounded to certainty.

    >>> chance(0.871), chance(0.998), chance(0.001)
    ('0.87', '> 0.99', '< 0.01')
    """
    if math.isnan(value):
        return "not known"
    return "> 0.99" if value > 0.99 else "< 0.01" if value < 0.01 else f"{value:.2f}"


def shortened(name, length):
    """`name` without its middle where it is longer: names of models and tasks differ at both ends."""
    half = length // 2
    return name if len(name) <= length else name[: length - half - 1] + "…" + name[-half:]
