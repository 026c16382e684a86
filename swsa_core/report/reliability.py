"""How often picks of each verdict were near the best, where real labels tell."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from swsa_core.evaluation.confidence import NEAR
from swsa_core.report.style import ACCENT, FAINT, INK, WIDTH, styled
from swsa_core.strategies.verdict import CLEAR, CLOSE, NO_BASIS, VERDICTS

# Only a clear pick has the colour of an accent.
COLOURS = {CLEAR: ACCENT, CLOSE: FAINT, NO_BASIS: "#c7ced6"}


def reliability(picks: pd.DataFrame) -> pd.DataFrame:
    """Recommended picks by verdict: how many, how many near the best real AUROC, and the 95 % interval of that share.

    picks: of swsa_core.report.tables. Columns verdict, n, near, low, high, in the order of `VERDICTS`; tasks without real
    labels are left out. The interval takes tasks as independent (Clopper and Pearson 1934); low, high are NaN where n is 0.
    """
    from swsa_core.evaluation.intervals import clopper_pearson

    rows = picks[picks["recommended"].astype(bool) & picks["real_auroc"].notna()]
    near = rows["best_auroc"] - rows["real_auroc"] <= NEAR + 1e-12
    counts = near.groupby(rows["verdict"]).agg(["size", "sum"]).reindex(list(VERDICTS), fill_value=0)
    n = counts["size"].to_numpy(dtype=float)
    share = np.divide(counts["sum"].to_numpy(dtype=float), n, out=np.full(len(n), np.nan), where=n > 0)
    low, high = clopper_pearson(share, n)
    known = {"verdict": VERDICTS, "n": counts["size"].to_numpy(), "near": counts["sum"].to_numpy(dtype=int)}
    return pd.DataFrame(known | {"low": np.where(n > 0, low, np.nan), "high": np.where(n > 0, high, np.nan)})


@styled
def reliability_figure(picks: pd.DataFrame) -> Figure:
    """The share of picks near the best for each verdict, with counts and intervals; picks: rows of one data set."""
    figure = Figure(figsize=(WIDTH * 0.75, 1.9))
    ax = figure.subplots()
    for at, row in enumerate(reliability(picks).iloc[::-1].itertuples()):
        if row.n:
            ax.barh(at, row.near / row.n, color=COLOURS[row.verdict], height=0.6)
            ax.plot([row.low, row.high], [at, at], color=INK, linewidth=1.4)
        ax.annotate(f"{row.near} of {row.n}", (1, at), (8, 0), textcoords="offset points", va="center")
    ax.set_yticks(range(len(VERDICTS)), VERDICTS[::-1])
    ax.set_xlim(0, 1)
    ax.set_ylim(-0.6, len(VERDICTS) - 0.4)
    ax.set_xlabel(f"share of picks at most {NEAR} below the best real AUROC, 95 % interval")
    ax.grid(False, axis="y")
    ax.tick_params(axis="y", length=0)
    return figure
