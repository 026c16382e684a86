"""How much of the images the preparation and the candidates see, and which keys let them see all: for `snakemake inspect`."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from swsa_core.basics.wording import part
from swsa_core.candidates.transforms import Transform
from swsa_core.files.images import Fit

ENOUGH = 0.95  # share of an image; what is cut off beyond that can hold a defect of its own

Share = Callable[[int, int], float]
"""Function of height and width to the share of the pixels that is not cut off."""


def prepared_share(fit: Fit) -> Share:
    """The `Share` of what anomalies are made from, under a preparation.

    >>> prepared_share("crop")(600, 400), prepared_share("pad")(600, 400)
    (0.6666666666666666, 1.0)
    """
    return lambda height, width: min(height, width) / max(height, width) if fit == "crop" else 1.0


def mean_share(share: Share, shapes: Iterable[tuple[int, int]]) -> float:
    """Mean of a `Share` over images of (height, width).

    >>> mean_share(prepared_share("crop"), [(8, 8), (8, 16)])
    0.75
    """
    found = Counter(shapes)
    return sum(share(*shape) * count for shape, count in found.items()) / found.total()


def remarks(
    shapes: Iterable[tuple[int, int]], fit: Fit | None, transforms: Mapping[str, Transform], own: Iterable[str]
) -> list[str]:
    """Sentences about what is seen of images of these (height, width), and what to set where it is less than ENOUGH.

    fit: of the preparation, None where images stay as they are. transforms: {candidate: its transform}; own: those that have a
    `fit` of their own where the preparation crops.
    """
    shapes, own = list(shapes), set(own)
    if not shapes:
        return []
    kept = None if fit is None else mean_share(prepared_share(fit), shapes)
    seen = {name: mean_share(transform.seen, shapes) for name, transform in transforms.items()}
    by_share: dict[str, list[str]] = {}
    for name, share in sorted(seen.items(), key=lambda item: item[1]):
        by_share.setdefault(part(share), []).append(name)
    listed = [] if kept is None else [f"{part(kept)} by the preparation"]
    listed += [f"{share} by {', '.join(names)}" for share, names in by_share.items()]
    low = [name for name, share in seen.items() if share < ENOUGH]
    follow = [name for name in low if fit == "crop" and name not in own]
    keys = []
    if follow or (kept is not None and kept < ENOUGH):
        keys.append("`preparation.fit: pad`, which candidates without a `fit` of their own follow")
    if alone := [name for name in low if name not in follow]:
        keys.append(f"`fit: pad` of {', '.join(alone)}")
    cure = [f"nothing is seen of a defect that is cut off: set {', and '.join(keys)}"] if keys else []
    return [f"seen of an image, on average: {'; '.join(listed)}", *cure]
