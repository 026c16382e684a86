"""benchmarks/seeds.py: what it says of several seeds, by hand."""

import pandas as pd
import seeds

KNOWN = {"selection": "model", "dataset": "d", "setting": "one_vs_rest", "protocol": "", "source": "", "candidate": "a"}


def picks():
    """Two tasks and seeds; seed 0 is right in the first task, seed 1 in both."""
    rows = [(0, "x", 1, 0.9, 0.0), (0, "y", 0, 0.5, 0.2), (1, "x", 1, 0.9, 0.0), (1, "y", 1, 0.7, 0.0)]
    table = pd.DataFrame(rows, columns=["seed", "task", "right", "real_auroc", "regret"])
    return table.assign(strategy="swsa_cutpaste", n_tied=1, synthetic_auroc=0.8, **KNOWN)


def test_figures_over_seeds():
    (row,) = seeds.over_seeds(picks()).to_dict("records")
    assert (row["pick_rate_mean"], row["pick_rate_min"], row["pick_rate_max"]) == (0.75, 0.5, 1)
    assert (row["auroc_min"], row["auroc_max"]) == (0.7, 0.8)
    assert "| `swsa_cutpaste` |  | 0.750 (0.500 to 1.000) | 0.750 (0.700 to 0.800) |" in seeds.markdown(
        seeds.over_seeds(picks())
    )


def test_means_of_a_task_over_the_seeds():
    means = seeds.mean_over_seeds(picks()).set_index("task")
    assert means.right.to_dict() == {"x": 1, "y": 0.5}
    assert means.regret.to_dict() == {"x": 0, "y": 0.1}
