"""The page of `snakemake inspect`: tables of what was read as what, and pictures of every group."""

from collections.abc import Sequence
from typing import NamedTuple

from swsa_core.basics.errors import InputError
from swsa_core.basics.wording import plural
from swsa_core.files.images import read_image
from swsa_core.report.contact_sheets import data_uri
from swsa_core.report.inspect import Group, groups_that_differ, rows, sampling, stand_out
from swsa_core.report.templating import environment

FIRST = 8  # images of a group that are shown
MOST_UNUSUAL = 16  # of those that stand out, beside the first ones
OPEN = 12  # groups of a data set whose pictures are shown without a click
SIDE = 96  # pixels of a picture


class Part(NamedTuple):
    """What is known of one data set. groups: of `inspect.look`; remarks: sentences about what is read how and not used."""

    name: str
    title: str  # of its kind
    root: str | None
    tasks: Sequence[str]
    groups: Sequence[Group]
    remarks: Sequence[str]

    @property
    def summary(self) -> str:
        """The counts in a sentence."""
        images = {
            split: sum(len(g.seen) + len(g.unreadable) for g in self.groups if g.split == split)
            for split in ("train", "test")
        }
        where = f" in {self.root}" if self.root else ""
        return (
            f"{plural(len(self.tasks), 'task')}, {plural(images['train'], 'training image')} and "
            f"{plural(images['test'], 'test image')}{where}"
        )


def render(parts: Sequence[Part]) -> str:
    """The page as text. It reads the images that it shows, escapes all names, and loads nothing from elsewhere."""
    page = environment().get_template("inspect.html.jinja")
    return page.render(parts=[_shown(part) for part in parts], open=OPEN)


def _shown(part):
    """What the template shows of one data set."""
    unusual = {group.title: stand_out(group.seen) for group in part.groups}
    return {
        "name": part.name,
        "title": part.title,
        "summary": part.summary,
        "remarks": [*part.remarks, sampling(part.groups)],
        "rows": rows(part.groups),
        "by_class": all(group.label == group.name for group in part.groups),
        "differing": groups_that_differ(part.groups),
        "unusual": {title: reasons for title, reasons in unusual.items() if reasons},
        "unreadable": {group.title: group.unreadable for group in part.groups if group.unreadable},
        "pictures": [
            {"title": group.title, "n": len(group.seen), "images": _pictures(group, unusual[group.title])}
            for group in part.groups
            if group.seen
        ],
    }


def _pictures(group, reasons):
    """The first images of a group and those that stand out, as {"name", "uri", "reasons"}; `uri` is "" for unreadable ones."""
    first = group.seen[:FIRST]
    others = [one for one in group.seen[FIRST:] if one.image_id in reasons][:MOST_UNUSUAL]
    return [
        {"name": one.image_id, "uri": _uri(one.path), "reasons": reasons.get(one.image_id, [])}
        for one in (*first, *others)
    ]


def _uri(path):
    """A small picture; "" where the pixels cannot be read, which the header did not tell."""
    try:
        return data_uri(read_image(path), SIDE)
    except (InputError, OSError):
        return ""
