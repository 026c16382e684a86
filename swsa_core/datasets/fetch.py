"""Published data sets put where a config expects them: which are to be fetched, from which files, unpacked and checked."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from swsa_core import datasets
from swsa_core.anomalies import SOURCES
from swsa_core.basics.errors import InputError
from swsa_core.datasets.kind import Spec
from swsa_core.files.archives import unpack
from swsa_core.files.downloads import Publication, difference, download

DOWNLOADS = "resources/datasets"


def publications() -> dict[str, Publication]:
    """{kind of data set, or source: its publication} of all that can be fetched."""
    known = datasets.KINDS | SOURCES
    return {name: one.publication for name, one in known.items() if one.publication}


def published_files() -> list[str]:
    """Names of the files of all publications."""
    return [file.name for publication in publications().values() for file in publication.files]


def published(config: dict[str, Any]) -> dict[str, Spec]:
    """{config key: spec} of what the config reads of published data sets; `kind` says which one it is."""
    known = publications()
    found = {f"datasets.{name}": spec for name, spec in config["datasets"].items() if spec["kind"] in known}
    pools = {name: section for name, section in config["sources"].items() if name in known}
    return found | {f"sources.{name}": section | {"kind": name} for name, section in pools.items()}


def to_fetch(config: dict[str, Any]) -> list[str]:
    """Config keys of the data sets whose root is absent or empty, one for each root.

    Raises InputError where the licence is not accepted, a given archive is absent, or a root holds something that
    cannot be read: what is there is left alone.
    """
    found: dict[Path, str] = {}
    for key, spec in published(config).items():
        if not (problem := _problem(spec)):
            continue
        if not _is_vacant(spec["root"]):
            raise InputError(
                f"{key}: {problem}; what is in {str(spec['root'])!r} is left alone: move it away to have it fetched"
            )
        _check_license(key, spec)
        if missing := [path for path in files(spec) if spec["archive"] and not os.path.isfile(path)]:
            raise InputError(f"{key}.archive: there is no file {missing[0]}")
        found.setdefault(Path(spec["root"]).resolve(), key)
    return list(found.values())


def files(spec: Spec) -> list[str]:
    """Paths of the archive and further files of a data set: downloads, or `archive` and what lies beside it."""
    names = [file.name for file in _publication(spec).files]
    if not spec["archive"]:
        return [f"{DOWNLOADS}/{name}" for name in names]
    archive = Path(spec["archive"])
    return [archive.as_posix(), *((archive.parent / name).as_posix() for name in names[1:])]


def license_line(spec: Spec) -> str:
    """The licence of a data set in one line, "" where the publisher names none."""
    publication = _publication(spec)
    if publication.license is None:
        return ""
    name, terms, url = publication.license
    return f"{publication.title} is under {name} ({terms}; {url})"


def is_absent(spec: Spec) -> bool:
    """Whether there is nothing yet of a data set that can be fetched."""
    return spec["kind"] in publications() and _is_vacant(spec["root"])


def or_fetch(function: Callable[..., Any], spec: Spec, *args: Any) -> Any:
    """`function(spec, *args)`; an error about a data set that can be fetched says how."""
    try:
        return function(spec, *args)
    except InputError as error:
        if is_absent(spec):
            raise InputError(f"{error}; `snakemake datasets` with this config fetches it") from None
        raise


def fetch_archive(name: str, path: str | Path, progress: Callable[[int, int], None] | None = None) -> Path:
    """Download the published file `name` to `path`; see `downloads.download`."""
    known = ((publication, file) for publication in publications().values() for file in publication.files)
    publication, file = next((publication, file) for publication, file in known if file.name == name)
    try:
        return download(file.url, path, file.size, file.sha256, md5=file.md5, progress=progress)
    except InputError as error:
        where = (
            f"{publication.title} is published at {publication.page}; `archive` in the config names a copy of your own"
        )
        raise InputError(f"{error} ({where})") from None


def fetch_dataset(config: dict[str, Any], key: str, progress: Callable[[int, int], None] | None = None) -> Path:
    """Unpack the data set of a config key to its root, which appears whole or not at all; returns the root.

    progress: called with (bytes of the archive read, its size).
    Raises InputError where a file, own or downloaded, is not the published one, or the readers do not find in the archive
    what the config needs.
    """
    spec = published(config)[key]
    publication, (archive, *others) = _publication(spec), files(spec)
    _check_files(spec)
    root = Path(spec["root"]).resolve()  # of a link, the directory that it names
    partial = root.with_name(f".{root.name}.swsa-unpacking")  # a name that nobody else gives
    shutil.rmtree(partial, ignore_errors=True)
    try:
        content = unpack(archive, partial, progress) / publication.inside
        if not content.is_dir():
            raise InputError(
                f"{archive} has no directory {publication.inside!r}: it is not the archive of {publication.title}"
            )
        _copy(others, content)
        for other, sharing in published(config).items():
            if Path(sharing["root"]).resolve() == root and (problem := _problem(sharing | {"root": str(content)})):
                raise InputError(f"{archive} does not hold what {other} needs: {problem}")
        _rename(content, root)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return root


def _publication(spec):
    return publications()[spec["kind"]]


def _check_files(spec):
    for path, file in zip(files(spec), _publication(spec).files, strict=True):
        if found := difference(Path(path), file):
            remedy = "delete it and run again"
            if spec["archive"]:
                remedy = (
                    f"name the published file, or unpack this one to root {str(spec['root'])!r} yourself: "
                    "a root is read, whatever archive it came from"
                )
            raise InputError(f"{path} is not the file of {file.url}: {found}, expected {file.content}; {remedy}")


def _copy(paths, directory):
    try:
        for path in paths:
            shutil.copyfile(path, directory / Path(path).name)
    except OSError as error:
        raise InputError(f"{path} cannot be copied to {directory} ({error.strerror})") from error


def _rename(directory, root):
    try:
        os.replace(directory, root)
    except OSError as error:
        raise InputError(
            f"root {str(root)!r} cannot be made ({error.strerror}): it must be absent, or an empty directory that is no "
            "mount point"
        ) from error


def _check_license(key, spec):
    if license_line(spec) and not spec["accept_license"]:
        raise InputError(f"{key}: {license_line(spec)}: add `accept_license: true` to {key} if you accept it")


def _problem(spec):
    """What the reader of a data set says against its root, "" where it finds all that the config needs."""
    try:
        (SOURCES[spec["kind"]].pool.inputs if spec["kind"] in SOURCES else datasets.support_sizes)(spec)
    except InputError as error:
        return str(error)
    return ""


def _is_vacant(root):
    return not os.path.exists(root) or (os.path.isdir(root) and not os.listdir(root))
