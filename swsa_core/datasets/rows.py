"""What the kinds of data sets share: a row per image, choosing tasks, and the names that prompts use."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from swsa_core.basics.errors import CONTROLS, InputError
from swsa_core.basics.names import did_you_mean
from swsa_core.files.listing import Choice, directories, directories_below, images, images_below, is_directory

NORMAL = "good"  # label of the normal group where the anomalies are defects
TESTS = ("test", "test_public")  # directories of labelled test images; the second is that of MVTec-AD 2
MASKS = "ground_truth"  # directory of images that show where the defects are
# Directories in which MVTec 3D-AD and data sets like it keep what was taken of one scene: the image of the product, and
# beside it coordinates, depths and masks.
CAMERA, BESIDE_CAMERA = "rgb", ("depth", "gt", "xyz")

# In a path: a step that is empty, "." or "..", or the end of a line. There may be millions of paths.
LEADS_OUT = re.compile(r"(?:^|/)\.{0,2}(?:/|\Z)|\n")


class Row(NamedTuple):
    """One image: id (its path below the root), class label, split (train, test) and group (class or defect type)."""

    image_id: str
    label: str
    split: str
    group: str


def choice_of(spec: dict[str, Any]) -> Choice:
    """Which paths below the root of a data set `include` and `exclude` of its config want."""
    return Choice(spec["root"], tuple(spec["include"]), tuple(spec["exclude"]))


def normal_directory(directory: Path, spec: dict[str, Any]) -> str | None:
    """Name of the sub-directory of normal images: the first of spec["normal_names"] that is there; None where none is.

    Upper and lower case do not differ. Raises InputError where another directory of images has such a name too.
    """
    found = directories(directory, choice_of(spec)) if is_directory(directory) else []
    lower = {name.lower(): name for name in reversed(found)}
    spelled = (name if name in found else lower.get(name.lower()) for name in spec["normal_names"])
    normal = next((name for name in spelled if name is not None), None)
    if normal is not None:
        _check_one_normal(directory, normal, found, spec)
    return normal


def groups_of_test(directory: Path, spec: dict[str, Any]) -> list[tuple[str, str]]:
    """[(sub-directory of test images, its group)]: the normal group where it is the directory of normal images.

    directory: the one that holds the training and the test directory. Raises InputError where a defect type cannot be told
    from the normal group.
    """
    test = next((directory / name for name in TESTS if is_directory(directory / name)), None)
    if test is None:
        return []
    normal = normal_directory(test, spec)
    names = [name for name in directories(test, choice_of(spec)) if name != MASKS]
    if normal not in (None, NORMAL) and NORMAL in names:
        raise InputError(
            f"{str(test / NORMAL)!r} cannot be a defect type beside {normal!r}, the directory of normal images by "
            f"`normal_names`: rename it, or name it first in `normal_names`"
        )
    return [(f"{test.name}/{name}", NORMAL if name == normal else name) for name in names]


def _check_one_normal(directory, normal, found, spec):
    """Raise InputError where a directory beside the one of normal images could be meant as normal too: it is no defect type."""
    names = {name.lower() for name in spec["normal_names"]}
    others = [name for name in found if name != normal and name.lower() in names]
    others = [name for name in others if images_below(directory / name, choice_of(spec))]
    if others:
        inside = (directory / others[0]).relative_to(Path(spec["root"])).as_posix()
        raise InputError(
            f"{str(directory)!r} has the directories {normal!r} and {others[0]!r}, and both have a name of `normal_names`, "
            f"the names of the directory of normal images: merge or rename them, leave one out (such as exclude: [{inside}]), "
            f"or set `normal_names` to the name of the one that holds the normal images"
        )


def check_sensors(spec: dict[str, Any], rows: list[Row]) -> list[Row]:
    """`rows`. Raises InputError where they hold coordinates, depths or masks of a scene beside its camera image.

    They are known by directories such as xyz and gt beside one named rgb. Whoever sets `include` has chosen already.
    """
    folders = set() if spec["include"] else {os.path.dirname(row.image_id) for row in rows}
    names = defaultdict(set)
    for folder in folders:
        steps = folder.split("/")
        for depth, name in enumerate(steps):
            if name.lower() in (CAMERA, *BESIDE_CAMERA):
                names["/".join(steps[:depth])].add(name)
    for parent in sorted(names):
        camera = sorted(name for name in names[parent] if name.lower() == CAMERA)
        others = sorted(names[parent].difference(camera))
        if camera and others:
            place = os.path.join(spec["root"], parent)
            raise InputError(
                f"{place!r} has the directories {camera[0]} and {' and '.join(others)} beside each other, as data sets of "
                f"several sensors do: what lies in {' and '.join(others)} is no image of the product; set include: "
                f"[{camera[0]}] to use the images in {camera[0]} alone, or name the files to use in `include`"
            )
    return rows


def not_used(spec: dict[str, Any], directory: Path, image_ids: Collection[str]) -> dict[str, int]:
    """{directory: images in it} of the images in `directory` and below that are not among `image_ids`, but for masks.

    Directories are told relative to the root.
    """
    root, choice, found = Path(spec["root"]), choice_of(spec), {}
    for folder in directories_below(directory, choice):
        inside = folder.relative_to(root)
        unused = sum((inside / name).as_posix() not in image_ids for name in images(folder, choice))
        if unused and MASKS not in inside.parts:
            found[inside.as_posix()] = unused
    return found


def official_text(path: Path) -> str:
    """The text of an official table, UTF-8. Raises InputError for other encodings and for bytes that are no text."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({error}): save it as UTF-8, or download it again") from None
    if found := CONTROLS.search(re.sub(r"[\t\r\f\x1a]", "", text)):  # which editors leave; \x1a ended files of DOS
        raise InputError(f"{path} holds the control character {found[0]!r}, so it is no text: download it again")
    return text


def check_inside(names: Iterable[str], source: object) -> None:
    """Raise InputError unless each name of a table is that of something below the root of its data set."""
    for name in names:
        if LEADS_OUT.search(name):
            raise InputError(
                f"{source} names {name!r}, which is no path below the root of the data set: download it again"
            )


def on_disk(spec: dict[str, Any], rows: Iterable[Row], source: str) -> list[Row]:
    """The wanted rows whose image is on disk. Others are an InputError unless allow_missing; `source` names the images."""
    root, choice = Path(spec["root"]), choice_of(spec)
    rows = list(rows)
    check_inside((row.image_id for row in rows), root / source)
    if choice.include or choice.exclude:
        rows = [row for row in rows if choice.takes(f"{root}/{row.image_id}")]
    folders = defaultdict(list)
    for row in rows:
        folders[row.image_id.rpartition("/")[0]].append(row.image_id)
    missing = set()
    for folder, named in folders.items():
        present = images(root / folder) if is_directory(root / folder) else []
        missing.update(set(named).difference(f"{folder}/{name}" for name in present))
    if missing and not spec["allow_missing"]:
        first = next(row.image_id for row in rows if row.image_id in missing)
        raise InputError(
            f"{source} of root {str(root)!r} names {len(missing)} images that are not on disk, the first is {first!r}: "
            "complete the download, or set allow_missing: true to go on with what is there"
        )
    return [row for row in rows if row.image_id not in missing]


def choose(spec: dict[str, Any], known: Collection[str]) -> list[str]:
    """The tasks that spec["tasks"] names, in the order of `known`; all of `known` for "all"."""
    if spec["tasks"] == "all":
        return list(known)
    wanted = dict.fromkeys(spec["tasks"])
    for name in wanted.keys() - set(known):
        raise InputError(f"task {name!r} is not in this {spec['kind']} data set: {did_you_mean(name, known)}")
    return [name for name in known if name in wanted]


def with_support(spec: dict[str, Any], names: list[str], rows: Callable[[], Iterable[Row]]) -> list[str]:
    """With allow_missing and `tasks: all`, the names with enough train images for the seeds; otherwise all names.

    rows: gives the rows on disk; it is asked with allow_missing alone, as large data sets take long to list.
    Raises InputError when no name is left, or a task named in the config has no train images.
    """
    if not spec["allow_missing"]:
        return names
    counts = Counter(row.label for row in rows() if row.split == "train")
    if spec["tasks"] != "all":
        if absent := [name for name in names if not counts.get(name)]:
            raise InputError(
                f"task {absent[0]!r} has no train images in root {str(spec['root'])!r}: remove it from tasks"
            )
        return names
    seeds = spec["support"]["seeds"]
    if enough := [name for name in names if counts.get(name, 0) >= seeds]:
        return enough
    most = max(names, key=lambda name: counts.get(name, 0))
    raise InputError(
        f"no class in root {str(spec['root'])!r} has {seeds} train images on disk (support.seeds); the most are "
        f"{counts.get(most, 0)} of {most!r}: lower support.seeds or complete the download"
    )


def spaced(name: str) -> str:
    """A name with its underscores turned to spaces."""
    return name.replace("_", " ").strip()


def product_name(name: str) -> str:
    """A product's name for prompts (App. A): trailing numbers dropped, acronyms spelled out.

    >>> product_name("pcb3"), product_name("pipe_fryum"), product_name("macaroni1"), product_name("2024")
    ('printed circuit board', 'pipe fryum', 'macaroni', '2024')
    """
    cleaned = spaced(re.sub(r"[\s_-]*\d+$", "", name))
    return "printed circuit board" if cleaned.lower() == "pcb" else cleaned or name
