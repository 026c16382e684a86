"""What fine-tuning on synthetic anomalies changes: real AUROC before and after, over the tasks of a data set."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from swsa_core.basics.seeding import rng
from swsa_core.files.table import Table
from swsa_core.metrics import exact_mean
from swsa_core.strategies.compare import bootstrap_over_tasks

FIGURES = ("before", "after", "difference")
BEFORE_AFTER = Table(
    "before_after",
    "dataset candidate backbone task source setting n_tasks "
    + " ".join(f"{name} {name}_low {name}_high" for name in FIGURES),
    numbers="n_tasks " + " ".join(f"{name} {name}_low {name}_high" for name in FIGURES),
)


def before_after(
    auroc: pd.DataFrame, pairs: Mapping[str, Sequence[str]], seed: int, resamples: int = 1000
) -> pd.DataFrame:
    """Table `BEFORE_AFTER`: means over the tasks that have both figures, with 95 % intervals of a bootstrap over tasks.

    auroc: rows of auroc.csv of all data sets, with a column dataset; pairs: {candidate that is fine-tuned: (the one that is
    not, the source, what is learnt)}. backbone: the candidate before; task: what is learnt, classification or regression.
    difference: after - before, task by task.
    """
    real = auroc[(auroc["selection"] == "model") & (auroc["validation"] == "real")]
    rows = []
    for (dataset, setting), part in real.groupby(["dataset", "setting"], sort=False):
        wide = part.pivot(index="task", columns="candidate", values="auroc")
        for name, (plain, source, learnt) in pairs.items():
            both = wide[[plain, name]].dropna().to_numpy(dtype=float)  # (tasks, 2)
            values = np.column_stack([both, both[:, 1] - both[:, 0]])  # (tasks, 3), as FIGURES
            if not len(values):
                continue
            low, high = bootstrap_over_tasks(values, rng(seed, dataset, setting, "before_after"), resamples)
            figures = [number for i in range(3) for number in (exact_mean(values[:, i]), low[i], high[i])]
            rows.append([dataset, name, plain, learnt, source, setting, len(values), *figures])
    return pd.DataFrame(rows, columns=BEFORE_AFTER.columns)
