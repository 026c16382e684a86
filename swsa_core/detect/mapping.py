"""Maps of where an image is anomalous, for detectors whose heads compare whole images: nearest patches of the same networks.

The maps have no part in the score. What they are compared with, patches of the normal images, is computed when maps are first
asked for, and is kept in the detector's folder from then on.
"""

from collections.abc import Callable, Collection
from dataclasses import replace

from swsa_core.basics.errors import InputError
from swsa_core.detect.add import check_there
from swsa_core.detect.detector import Detector, Member, Part
from swsa_core.detect.make import features_of_members, make_part, tested

GRID = 14  # patches a side
SETTINGS = {"bank": 20_000, "seed": 0}  # of the head patch: patches of the normal images that are kept


def undrawn(detector: Detector, tasks: Collection[str] | None = None) -> Detector:
    """A detector without what it has for maps alone, so that its networks compute no patches for nothing.

    tasks: names of those whose maps are left out, None for all.
    """
    parts = {name: _undrawn(part) if tasks is None or name in tasks else part for name, part in detector.parts.items()}
    extra = {name for part in detector.parts.values() for name in part.drawn}
    extra -= {name for part in parts.values() for name in part.drawn}
    members = {name: one for name, one in detector.members.items() if name not in extra}
    return replace(detector, members=members, parts=parts)


def drawable(
    detector: Detector, task: str | None = None, threads: int = 1, log: Callable[[str], None] = print
) -> Detector:
    """A detector one of whose tasks gives maps: as it is, where a member compares patches, or with members for maps alone.

    Raises InputError where no member has a network, and where the normal images are not where the detector was made of them.
    """
    part = detector.part(task)
    if part.maps:
        return detector
    twins = {one.name: one for one in map(_twin, (detector.members[name] for name in part.members)) if one}
    if not twins:
        raise InputError(
            f"--heatmaps: {', '.join(part.members)} describes whole images and has no maps of them, so that nothing says where "
            "they are anomalous: make a detector of a network"
        )
    detector.backbones  # noqa: B018 - refuses networks that compute otherwise, before what they give is kept
    log(f"reading the {len(part.paths)} normal images again, whose patches are kept for maps from now on")
    paths = check_there(part)
    with_twins = replace(detector, members=detector.members | twins)
    networks = with_twins.networks()
    found = features_of_members(with_twins, paths, list(twins), threads, log, networks)
    made = make_part(part.name, list(twins.values()), found, paths, part.digests, detector.about["dataset"])
    drawn = replace(part, banks=part.banks | made.banks, maps=made.maps, drawn=list(twins))
    return tested(replace(with_twins, parts={**detector.parts, part.name: drawn}), networks)


def _twin(one: Member) -> Member | None:
    """The member that compares patches of a member's network; None of a descriptor."""
    if not one.facts["precision"]:
        return None
    return replace(one, name=f"{one.backbone['name']} map", head="patch", settings=SETTINGS, grid=GRID)


def _undrawn(part: Part) -> Part:
    return replace(
        part,
        banks={name: part.banks[name] for name in part.members},
        maps={name: values for name, values in part.maps.items() if name in part.members},
        drawn=[],
    )
