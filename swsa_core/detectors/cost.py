"""What one image costs a deployed detector on this machine: milliseconds of its backbone and its head, megabytes of its bank.

Times differ from run to run: nothing but what is told in ms depends on them, and `selection.max_ms` where it is set.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from swsa_core.basics import wording
from swsa_core.candidates.backbone import Backbone
from swsa_core.detectors import HEADS
from swsa_core.files.table import Table

if TYPE_CHECKING:
    import pandas as pd

COSTS = Table(
    "costs",
    "backbone head median_ms p95_ms head_ms n_bank bank_mb device threads",
    numbers="median_ms p95_ms head_ms n_bank bank_mb threads",
)
N_IMAGES, WARM_UP = 30, 3
MOST_SECONDS = 10  # of the single images of a backbone; at least three are measured


def measured(
    backbone: Backbone, images: Sequence[np.ndarray], n_bank: int, heads: Mapping[str, Mapping[str, Any]]
) -> "pd.DataFrame":
    """Rows of `COSTS`, but for its backbone and threads: one for each head.

    images: (h, w, 3) uint8, as they are read from files, which is not counted. n_bank: normal images of the bank, whose
    features are random numbers: the time does not depend on what they are. heads: {head: the settings of its `against`}.
    median_ms, p95_ms: of single images through transform, network and head; head_ms: the part of the head, which is the mean
    over `N_IMAGES` that are scored together: what it fits to the bank it fits once. Patches are compared with their maps;
    scores alone take about a third of that (`patch.highest_patch_scores`), by how alike the normal images are.
    """
    import pandas as pd

    passes = {}
    rows = []
    for head, settings in heads.items():
        patches = HEADS[head].patches
        if patches not in passes:
            passes[patches] = single_seconds(pass_of(backbone, patches), images)
        shape = _shape(backbone, images[0], patches)
        numbers = np.random.default_rng(0)
        bank, queries = (numbers.standard_normal((n, *shape), dtype=np.float32) for n in (n_bank, N_IMAGES))
        of_head = _seconds_of_head(head, queries, bank, settings) / N_IMAGES
        median, p95 = (np.quantile(passes[patches], (0.5, 0.95)) + of_head) * 1000
        rows.append((head, median, p95, of_head * 1000, n_bank, bank_bytes(n_bank, shape, settings) / 1e6))
    table = pd.DataFrame(rows, columns=["head", "median_ms", "p95_ms", "head_ms", "n_bank", "bank_mb"])
    return table.assign(device=backbone.device or "cpu")


def pass_of(backbone: Backbone, patches: bool) -> Callable[[np.ndarray], Any]:
    """Function of one image (h, w, 3) uint8 to what the backbone gives of it, with its patches or without."""
    run = backbone.with_patches if patches else backbone.features
    assert run is not None  # as it was loaded with the grid of the patches that its heads compare
    return lambda image: run(np.stack([backbone.transform(image)]))


def single_seconds(run: Callable[[np.ndarray], Any], images: Sequence[np.ndarray]) -> np.ndarray:
    """Seconds of `run` on single images, after some that do not count: of `N_IMAGES`, fewer where they take long."""
    for image in islice(cycle(images), WARM_UP):
        run(image)
    seconds: list[float] = []
    for image in islice(cycle(images), N_IMAGES):
        seconds.append(_seconds(lambda image=image: run(image)))
        if sum(seconds) > MOST_SECONDS and len(seconds) >= 3:
            break
    return np.array(seconds)


def bank_bytes(n_bank: int, shape: Sequence[int], settings: Mapping[str, Any]) -> int:
    """Bytes of a bank as it is kept: features (d,) of each image in float32, or patches (p, d) in float16.

    settings: those of the head, of which `bank` is the most patches that are kept.

    >>> bank_bytes(20, (512,), {}), bank_bytes(20, (196, 512), {"bank": 1000})
    (40960, 1024000)
    """
    if len(shape) == 1:
        return 4 * n_bank * shape[0]
    patches, size = shape
    return 2 * n_bank * min(patches, max(1, settings["bank"] // n_bank)) * size


def of_candidates(
    costs: "pd.DataFrame",
    groups: Mapping[str, Sequence[str]],
    exposed: Collection[str] = (),
    n_parameters: "Mapping[str, float] | pd.Series | None" = None,
) -> "pd.DataFrame":
    """Rows of `COSTS` with the columns candidate and network, in the order of the candidates.

    groups: {candidate: (backbone, head)}; exposed: those that are fine-tuned. network: the backbone, but for those, whose
    networks have weights of their own and share no pass. n_parameters: of candidates; where it is given there is a column
    weights_mb, of weights in float32.
    """
    import pandas as pd

    table = pd.DataFrame([(name, *group) for name, group in groups.items()], columns=["candidate", "backbone", "head"])
    table["network"] = table["backbone"].where(~table["candidate"].isin(exposed), table["candidate"])
    if n_parameters is not None:
        table["weights_mb"] = table["candidate"].map(n_parameters) * 4 / 1e6
    return table.merge(costs, on=["backbone", "head"], how="left", validate="m:1")


def together_mb(costs: "pd.DataFrame") -> float:
    """Megabytes of detectors together: the weights of each network, and every bank; NaN if not known.

    costs: rows of the detectors, columns network, weights_mb and bank_mb of `of_candidates`.

    >>> import pandas as pd
    >>> together_mb(pd.DataFrame({"network": ["a", "a", "b"], "weights_mb": [14, 14, 0], "bank_mb": [1, 5, 0.5]}))
    20.5
    """
    return float(costs.groupby("network")["weights_mb"].max().sum() + costs["bank_mb"].sum(skipna=False))


def together_ms(costs: "pd.DataFrame") -> float:
    """Milliseconds that one image costs detectors together: one pass of each network, and every head; NaN if not known.

    costs: rows of the detectors, columns network, median_ms and head_ms of `of_candidates`.

    >>> import pandas as pd
    >>> together_ms(pd.DataFrame({"network": ["a", "a", "b"], "median_ms": [12, 11, 6], "head_ms": [2, 1, 1]}))
    19.0
    """
    passes = costs["median_ms"] - costs["head_ms"]
    return float(passes.groupby(costs["network"]).max().sum() + costs["head_ms"].sum(skipna=False))


def measured_on(costs: "pd.DataFrame") -> str:
    """The devices and threads of measured costs, as a part of a sentence.

    >>> import pandas as pd
    >>> measured_on(pd.DataFrame({"device": ["cpu", "cpu"], "threads": [1, 1]}))
    'cpu with 1 thread'
    """
    known = costs.dropna(subset="threads")[["device", "threads"]].drop_duplicates()
    return " and ".join(f"{row.device} with {wording.plural(int(row.threads), 'thread')}" for row in known.itertuples())


def frontier(costs: Sequence[float], gains: Sequence[float]) -> list[int]:
    """Which points no other one beats in both, the cheapest first (Pareto): each has more than all that are cheaper.

    >>> frontier([3, 1, 2, 4], [0.9, 0.7, 0.6, 0.8])
    [1, 0]
    """
    order = sorted(range(len(costs)), key=lambda i: (costs[i], -gains[i]))
    return list(_rising(order, gains))


def _rising(order: Sequence[int], gains: Sequence[float]) -> Iterator[int]:
    highest = -np.inf
    for i in order:
        if gains[i] > highest:
            highest = gains[i]
            yield i


def _seconds_of_head(head, queries, bank, settings):
    """Seconds of scoring all queries, the second time."""
    run = lambda: HEADS[head].against(queries, bank, **settings)  # noqa: E731
    run()
    return _seconds(run)


def _shape(backbone, image, patches):
    """The shape of what a head compares of one image: (d,), or (patches, d)."""
    found = pass_of(backbone, patches)(image)
    return (found[1] if patches else found).shape[1:]


def _seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
