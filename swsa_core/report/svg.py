"""Figures as elements of a page: SVG made small, and kept apart from the other figures there."""

import re

from markupsafe import Markup, escape


def inline(svg: str, prefix: str, label: str) -> Markup:
    """An SVG document as an element of a page: no prolog, ids that no other figure has, a label for screen readers."""
    element = compact(svg[svg.index("<svg") :])
    element = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", element)
    # Shrinks with the window until its 10-point letters would be too small, then scrolls.
    width = re.search(r'width="([\d.]+)pt"', element)
    assert width is not None  # as matplotlib writes it
    least = 0.7 * float(width[1])
    attributes = f'role="img" aria-label="{escape(label)}" style="min-width: {least:.0f}pt"'
    return Markup(element.replace("<svg ", f"<svg {attributes} ", 1))


def compact(svg: str) -> str:
    """An SVG element that looks the same in fewer characters: without metadata, comments, ids of groups and indentation,
    coordinates to a hundredth of a point.

    >>> compact('<svg ><g id="a">\\n <path d="M 1.23456 2\\nL 3 4.5"/><!-- b --></g> </svg>')
    '<svg ><g><path d="M 1.23 2 L 3 4.5"/></g></svg>'
    """
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # nothing refers to a group
    svg = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\.\d\d)\d+", r"\1", re.sub(r"\s+", " ", tag[0])), svg)
    return re.sub(r">\s+<", "><", svg)
