"""Tiny-ImageNet: a pool of natural images that are anomalies for every task."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swsa_core.anomalies.source import Pool, Source
from swsa_core.basics.errors import InputError
from swsa_core.basics.look import Look
from swsa_core.basics.section import AnyPath, PlainPath, PositiveInt, Section
from swsa_core.basics.seeding import rng
from swsa_core.basics.wording import shown
from swsa_core.files import listing
from swsa_core.files.downloads import Publication, Published

if TYPE_CHECKING:
    import pandas as pd

LAYOUT = "the folder tiny-imagenet-200 with wnids.txt and train/<wnid>/images/"
PUBLICATION = Publication(
    "Tiny-ImageNet",
    "https://cs231n.stanford.edu",
    (
        Published(
            "https://cs231n.stanford.edu/tiny-imagenet-200.zip",
            248_100_043,
            md5="90528d7ca1a48142e341f4ef8d21d0de",
        ),
    ),
    inside="tiny-imagenet-200",
)


class TinyImageNet(Section):
    root: AnyPath
    """Path of the directory tiny-imagenet-200."""
    archive: PlainPath | None = None
    """Path of your own copy of the official archive, which `snakemake datasets` then uses instead of a download."""
    pool: PositiveInt = 2000
    """Number of images of the train split that are drawn once for all tasks."""
    allow_missing: bool = False
    """Go on with a smaller pool if fewer images are on disk."""


def pool(spec: dict[str, Any], seed: int) -> "pd.DataFrame":
    """`spec["pool"]` train images, drawn once without replacement: DataFrame(image_id, path), sorted by image_id."""
    import pandas as pd

    found = _listing(spec)
    if len(found) < spec["pool"] and not spec["allow_missing"]:
        raise InputError(
            f"root {str(spec['root'])!r} has {len(found)} train images, pool: {spec['pool']} were asked for: "
            "complete the download, lower pool, or set allow_missing: true to use all there are"
        )
    drawn = rng(seed, "tiny_imagenet", "pool").choice(len(found), min(len(found), spec["pool"]), replace=False)
    image_ids = [found[number] for number in sorted(drawn)]
    return pd.DataFrame({"image_id": image_ids, "path": [(Path(spec["root"]) / name).as_posix() for name in image_ids]})


def inputs(spec: dict[str, Any]) -> list[str]:
    """The list of classes and the directory of train images of each class on disk."""
    root = listing.require(spec["root"], ["wnids.txt", "train"], LAYOUT)
    return [(root / name).as_posix() for name in ("wnids.txt", *_folders(spec))]


def _listing(spec):
    """Sorted ids (paths below the root) of all train images."""
    found = sorted(
        f"{folder}/{name}" for folder in _folders(spec) for name in listing.images(Path(spec["root"]) / folder)
    )
    if not found:
        raise InputError(f"root {str(spec['root'])!r} has no train images; expected {LAYOUT}")
    return found


def _wnids(path):
    """Sorted classes of the official table."""
    wnids = sorted(set(path.read_text(encoding="utf-8", errors="replace").split()))
    if wrong := [wnid for wnid in wnids if not re.fullmatch(r"n\d+", wnid)]:
        raise InputError(f"{path} names {shown(wrong[0])}, expected classes as n01443537: download it again")
    return wnids


def _folders(spec):
    """train/<wnid>/images of each class of wnids.txt. A missing one is an InputError unless allow_missing."""
    root = listing.require(spec["root"], ["wnids.txt", "train"], LAYOUT)
    folders = [f"train/{wnid}/images" for wnid in _wnids(root / "wnids.txt")]
    missing = [folder for folder in folders if not (root / folder).is_dir()]
    if missing and not spec["allow_missing"]:
        raise InputError(
            f"wnids.txt of root {str(root)!r} names {len(missing)} classes that are not on disk, first {missing[0]!r}: "
            "complete the download, or set allow_missing: true to go on with what is there"
        )
    return [folder for folder in folders if folder not in set(missing)]


SOURCE = Source(
    TinyImageNet,
    title="Tiny-ImageNet",
    about="Unrelated photographs.",
    look=Look("#CC79A7", "D"),
    pool=Pool(inputs, pool),
    publication=PUBLICATION,
    in_paper=True,
    reference="Mirzaei et al. 2023",
)
