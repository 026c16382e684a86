"""Damages to the files of a study, and what the functions that stages read them with make of each.

A damaged file must be read as if nothing were wrong (its contents are the same) or be refused in one sentence that names the
file and says what to do; a traceback, or other contents in silence, is a fault.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from networks import tame_adm

from swsa_core.anomalies.made import read_origins
from swsa_core.anomalies.pool import NEAREST_ROWS, OTHER_IMAGES, POOL_IMAGES, POOL_ROWS
from swsa_core.anomalies.source import LOSSES
from swsa_core.anomalies.text_guided import read_way
from swsa_core.basics.errors import InputError
from swsa_core.datasets import INDEX
from swsa_core.detectors import score_clip, score_knn
from swsa_core.detectors.cost import COSTS
from swsa_core.detectors.scores import check_listed
from swsa_core.diffusion.delta_h import delta_h_for, read_delta_h, write_delta_h
from swsa_core.elsewhere.manifest import MANIFEST
from swsa_core.embedding.image_stream import RowReader
from swsa_core.evaluation.confidence import CONFIDENCE
from swsa_core.evaluation.consensus import QUALITY
from swsa_core.evaluation.evaluate import AUROC, CANDIDATES
from swsa_core.evaluation.leaks import LEAKS
from swsa_core.evaluation.severity import SEVERITY
from swsa_core.evaluation.total_variation import TOTAL_VARIATION
from swsa_core.evaluation.tsne import TSNE
from swsa_core.files import layout, store
from swsa_core.files.checksums import sidecar
from swsa_core.files.support import read_task_supports
from swsa_core.files.text import read_text
from swsa_core.report import tables
from swsa_core.report.before_after import BEFORE_AFTER
from swsa_core.report.read_pictures import read_drawn
from swsa_core.report.recommendation import read_recommendation
from swsa_core.strategies.compare import STRATEGIES_TABLE
from swsa_core.strategies.select import SELECTION
from swsa_core.strategies.support_curve import SUPPORT_CURVE

OUTCOMES = ("sentence", "identical", "traceback", "silent")


def index_of(path: Path) -> pd.DataFrame:
    """images.csv, as the stages after embedding read it: beside the features of its images."""
    index = INDEX.read(path)
    for features in sorted(path.parent.glob("embeddings/*/images.h5"))[:1]:
        embedded, known = store.read(features, ["image_id"])
        check_listed(index, embedded["image_id"], known["skipped"], (str(path), str(features)))
    return index


def supports_of(path: Path) -> list[Any]:
    """The support sets of all tasks of a data set, which most stages read together."""
    return read_task_supports(sorted(path.parent.glob("*.json")))


def made_images(path: Path) -> list[Any]:
    """Anomalies or reconstructions: their images, and what is said of them."""
    read = RowReader([path])
    return [*read_origins(path), *(read(row) for row in range(read.ends[-1]))]


def scores(path: Path) -> Any:
    return (score_clip if "prompts/name" in store.read(path)[0] else score_knn).read(path)


def network(path: Path) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in read_delta_h(path, tame_adm()).state_dict().items()}


def ways_of(path: Path) -> list[dict[str, np.ndarray]]:
    """The unedited ways of all seed images of a task, as training reads them."""
    count = len(store.read(path, ["images"])[0]["images"])
    return [
        {name: value.numpy() for name, value in read_way(str(path), row, "cpu")._asdict().items()}
        for row in range(count)
    ]


def write_network(path: Path, seed: int) -> None:
    """A trained network, such as the sources that train write."""
    write_delta_h(path, delta_h_for(tame_adm(), seed), {"text": str(seed)})


# How stages read the results by the names of their paths; those that no stage reads are not here, nor are detectors, which are
# not read by stages but delivered (tests/detect/test_detector.py).
READERS: dict[str, Callable[[Path], Any]] = {
    "images": index_of,
    "support": supports_of,
    **dict.fromkeys(("anomalies", "reconstructions"), made_images),
    **dict.fromkeys(("sheet", "reconstruction_sheet"), read_drawn),
    "ways": ways_of,
    **dict.fromkeys(("image_features", "support_features", "anomaly_features", "pool_features", "exposed"), store.read),
    **dict.fromkeys(("image_patches", "support_patches", "anomaly_patches", "pool_patches"), store.read),
    **dict.fromkeys(("reconstruction_features", "reconstruction_patches"), store.read),
    "scores": scores,
    **dict.fromkeys(("trained", "trained_of_task"), network),
    **dict.fromkeys(("trained_losses", "trained_of_task_losses"), LOSSES.read),
    "to_score": MANIFEST.read,
    **{"pool_images": POOL_IMAGES.read, "pool_rows": POOL_ROWS.read},
    **{"nearest_rows": NEAREST_ROWS.read, "other_images": OTHER_IMAGES.read},
    **{"costs": COSTS.read, "leaks": LEAKS.read, "auroc": AUROC.read, "confidence": CONFIDENCE.read},
    **{"candidates": CANDIDATES.read, "quality": QUALITY.read, "severity": SEVERITY.read, "selection": SELECTION.read},
    **{"tsne": TSNE.read, "total_variation": TOTAL_VARIATION.read, "table1": tables.TABLE1.read},
    **{"picks": tables.PICKS.read, "pick_counts": tables.PICK_COUNTS.read, "ranking": tables.RANKING.read},
    **{"support_curve": SUPPORT_CURVE.read, "recommendation": read_recommendation},
    **{"before_after": BEFORE_AFTER.read, "strategies": STRATEGIES_TABLE.read},
}
FIGURES, CHECKSUM = "figures", "checksums themselves"
# Stems of files of other kinds that a pattern takes, too.
GENERIC = {"pool_rows": ("nearest", "others")}


def files_of(results: Path) -> dict[str, list[Path]]:
    """{name of a result: its files}, of those that are there and are read by a stage."""
    found = {}
    for name in READERS:
        pattern = layout.PATHS[name]
        for part in layout.fields_of(name, pattern):
            pattern = pattern.replace(f"{{{part}}}", "*")
        found[name] = sorted(path for path in results.glob(pattern) if path.stem not in GENERIC.get(name, ()))
    found[FIGURES] = sorted((results / layout.PATHS["figures"]).glob("*/*.svg"))
    return {name: paths for name, paths in found.items() if paths}


def reader_of(name: str) -> Callable[[Path], Any]:
    return READERS.get(name, read_text)


def damages(content: bytes, other: bytes, generator: np.random.Generator, flips: int) -> Iterator[tuple[str, bytes]]:
    """(what was done, damaged contents) of a file; other: those of another file of its kind, b"" for none."""
    half = len(content) // 2
    yield "emptied", b""
    yield "cut to half", content[:half]
    yield "cut by a byte", content[:-1]
    if (line := content.rfind(b"\n", 0, half) + 1) and content.isascii():
        yield "cut at a line", content[:line]
    yield "a block of zeros", content[:half] + bytes(min(64, len(content) - half)) + content[half + 64 :]
    if other not in (b"", content):
        yield "another's contents", other
    for place, bit in zip(generator.integers(0, len(content), flips), generator.integers(0, 8, flips), strict=True):
        flipped = bytearray(content)
        flipped[place] ^= 1 << bit
        yield f"bit {bit} of byte {place} flipped", bytes(flipped)


@contextmanager
def holding(path: Path, content: bytes | None) -> Iterator[None]:
    """`path` with other contents, absent for None, within the block."""
    before = path.read_bytes() if path.exists() else None
    try:
        put(path, content)
        yield
    finally:
        put(path, before)


def put(path: Path, content: bytes | None) -> None:
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)


def outcome(read: Callable[[Path], Any], path: Path, expected: str) -> tuple[str, str]:
    """(One of OUTCOMES, what was told) of reading `path`; expected: `plain` of what it held before."""
    store._open.cache_clear()
    try:
        found = plain(read(path))
    except InputError as error:
        told = str(error)
        good = "\n" not in told and path.name in told and "again" in told
        return ("sentence" if good else "traceback"), told
    except Exception as error:
        return "traceback", repr(error)
    return ("identical" if found == expected else "silent"), ""


def plain(value: Any) -> str:
    """A text that two values share just when they hold the same."""
    return repr(_plain(value))


def _plain(value):
    if isinstance(value, pd.DataFrame):
        return [(name, str(value[name].dtype), value[name].tolist()) for name in value.columns]
    if isinstance(value, np.ndarray):
        held = value.tolist() if value.dtype.hasobject else sha256(value.tobytes()).hexdigest()
        return str(value.dtype), value.shape, held
    if is_dataclass(value):
        return _plain(vars(value))
    if isinstance(value, dict):
        return [(key, _plain(each)) for key, each in value.items()]
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


class Damage(NamedTuple):
    """A file that is damaged now: its kind, what was done to it, how it is read, and `plain` of what it held before."""

    kind: str
    what: str
    path: Path
    read: Callable[[Path], Any]
    expected: str


def damaged(results: Path, seed: int, flips: int, per_kind: int, checksums: bool = True) -> Iterator[Damage]:
    """Damage the files of a finished study one after the other; each is whole again when the next one is.

    flips: bits that are flipped, each alone, in every file; per_kind: files of each kind that are damaged. checksums: whether
    those beside the files stay, and are damaged in turn; without, files are read as those of an older version.
    """
    generator = np.random.default_rng(seed)
    for kind, paths in files_of(results).items():
        for path in paths[:per_kind]:
            beside = sidecar(path)
            content, kept = path.read_bytes(), beside.read_bytes()
            damage = Damage(kind, "", path, reader_of(kind), plain(reader_of(kind)(path)))
            other = next((one.read_bytes() for one in reversed(paths) if one != path), b"")
            for what, changed in damages(content, other, generator, flips):
                with holding(path, changed), holding(beside, kept if checksums else None):
                    yield damage._replace(what=what)
            if checksums:
                for what, changed in damages(kept, sidecar(paths[-1]).read_bytes(), generator, flips=2):
                    with holding(beside, changed):
                        yield damage._replace(kind=CHECKSUM, what=what)
