"""An HTML page as its reader sees it, for the tests of the report."""

import re
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "wbr", "link", "input", "hr"}
INLINE = {"wbr", "b", "i", "span", "small", "a"}


class Page(HTMLParser):
    """The elements, the text that is seen and the ids of a page; fails on tags that do not close each other, and on code."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.ids, self.words, self.open = [], [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        assert tag not in ("script", "iframe", "object", "embed", "base") and not any(
            k.startswith("on") for k, _ in attributes
        )
        self.tags.append(tag)
        self.words.append(" " * (tag not in INLINE))
        self.ids += [value for key, value in attributes if key == "id"]
        self.links += [value for key, value in attributes if key in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.words))
