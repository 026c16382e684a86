"""Whether two runs of a study have the same tables and arrays."""

from pathlib import Path

import h5py
import numpy as np

# What says how long a run took, or shows it.
TIMED = ("costs", "benchmarks", "logs", "figures", "report.html")
TELLS_COSTS = "recommendation"


def differences(one: Path, other: Path) -> list[str]:
    """Paths below two results directories that only one has, or whose tables or arrays differ in any bit."""
    names = [{str(path.relative_to(root)) for path in _made(root)} for root in (one, other)]
    common = names[0] & names[1]
    return sorted((names[0] ^ names[1]) | {name for name in common if not _same(one / name, other / name)})


def _made(root):
    files = (
        path for path in root.rglob("*") if path.is_file() and path.suffix != ".sha256"
    )  # of files that are compared
    return [path for path in files if path.relative_to(root).parts[0] not in TIMED and path.stem != TELLS_COSTS]


def _same(one, other):
    if one.suffix != ".h5":
        return one.read_bytes() == other.read_bytes()
    return _arrays(one) == _arrays(other)


def _arrays(path):
    """{name: type, shape and content} of the arrays of an HDF5 file, whose header tells when and of what it was made."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return {name: _content(np.asarray(array)) for name, array in found.items()}


def _content(array):
    return array.dtype, array.shape, array.tolist() if array.dtype == object else array.tobytes()
