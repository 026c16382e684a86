"""Tables of a study, each read from the files of all its data sets or backbones."""

from collections.abc import Iterable, Mapping

import pandas as pd

from swsa_core.anomalies.source import LOSSES
from swsa_core.datasets import INDEX
from swsa_core.detectors.cost import COSTS
from swsa_core.evaluation.confidence import CONFIDENCE
from swsa_core.evaluation.evaluate import AUROC, CANDIDATES
from swsa_core.evaluation.leaks import LEAKS
from swsa_core.evaluation.severity import SEVERITY
from swsa_core.evaluation.total_variation import TOTAL_VARIATION
from swsa_core.evaluation.tsne import TSNE
from swsa_core.files import layout
from swsa_core.report.tables import stack
from swsa_core.strategies.select import SELECTION
from swsa_core.strategies.support_curve import SUPPORT_CURVE

# Tables of one data set each, by the names of their paths.
OF_DATASETS = {
    table.name: table
    for table in (
        INDEX,
        AUROC,
        CANDIDATES,
        CONFIDENCE,
        LEAKS,
        SELECTION,
        SEVERITY,
        SUPPORT_CURVE,
        TOTAL_VARIATION,
        TSNE,
    )
}


def read_tables(name: str, paths: Iterable[str]) -> pd.DataFrame:
    """One table of the result `name` of all data sets."""
    return stack({layout.dataset_of(name, path): OF_DATASETS[name].read(path) for path in paths})


def read_losses(paths: Iterable[str], texts: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """The losses of all that sources train, with columns dataset and text; texts: {source: {slug: text}}."""
    found = []
    for path in paths:
        known = layout.fields_of(layout.first_of(path, "trained_losses", "trained_of_task_losses"), path)
        found.append(LOSSES.read(path).assign(dataset=known["dataset"], text=texts[known["source"]][known["text"]]))
    return pd.concat(found, ignore_index=True)


def read_costs(paths: Iterable[str]) -> pd.DataFrame:
    """What one image costs all backbones and their heads, rows of `COSTS`."""
    return pd.concat([COSTS.read(path) for path in paths], ignore_index=True)
