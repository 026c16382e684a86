"""The templates of all pages, and the filters by which they write names, numbers and images."""

import re
from collections.abc import Iterable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from swsa_core.basics import wording
from swsa_core.report import style as figure_style
from swsa_core.report.contact_sheets import cross_uri, data_uri
from swsa_core.strategies.wording import words


def environment(candidates: Iterable[str] = (), groups: figure_style.Groups | None = None) -> Environment:
    """The templates of pages, which escape every value, with the filters by which they write names, numbers and images."""
    looks = figure_style.looks(candidates, groups)
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "words": words,
        "titled": lambda name: words(name)[0].upper() + words(name)[1:],
        "auroc": lambda value: wording.decimals(value, 3),
        "share": lambda value: wording.decimals(value, 2),
        "interval": wording.with_interval,
        "chance": wording.chance,
        "part": wording.part,
        "two_digits": wording.two_digits,
        "count": wording.count,
        "large": wording.three_digits,
        "duration": wording.measured_time,
        "memory": wording.megabytes,
        "plural": wording.plural,
        "image": data_uri,
        "cross": cross_uri,
        "breakable": breakable,
        "swatch": lambda name: Markup(figure_style.swatch(*looks[name])) if name in looks else "",
    }
    return templates


def breakable(name: str) -> Markup:
    """A name, escaped; where it is long, a narrow column may break it after its punctuation.

    >>> breakable("<b>_c"), breakable("torchvision:resnet50")
    (Markup('&lt;b&gt;_c'), Markup('torchvision:<wbr>resnet50'))
    """
    if len(name) <= 16:
        return escape(name)
    return Markup("").join(
        Markup(escape(part)) + (Markup("<wbr>") * (i % 2)) for i, part in enumerate(re.split("([_:/.-])", name))
    )
